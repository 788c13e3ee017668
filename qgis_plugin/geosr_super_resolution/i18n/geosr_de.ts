<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
<context>
    <name>GeoSR</name>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>0 does not hold them.</source>
        <translation>0 hält sie nicht.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>300 take a few minutes on a processor.</source>
        <translation>300 dauern auf einem Prozessor einige Minuten.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>&lt;p&gt;Fine-tunes a model on a raster, which is its own truth one scale down. A quarter of the raster is held back and tells whether it helped; if it did not, the model's own weights are written.&lt;/p&gt;&lt;p&gt;Then choose the card as 'Own model' in 'Super-resolve raster'.&lt;/p&gt;</source>
        <translation>&lt;p&gt;Passt ein Modell an ein Raster an, das eine Stufe gröber seine eigene Wahrheit ist. Ein Viertel des Rasters wird zurückgehalten und zeigt, ob es geholfen hat; wenn nicht, werden die ursprünglichen Gewichte des Modells geschrieben.&lt;/p&gt;&lt;p&gt;Wählen Sie danach die Karte als „Eigenes Modell“ in „Raster schärfen (Super-Resolution)“.&lt;/p&gt;</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Adapt a model to this raster</source>
        <translation>Modell an dieses Raster anpassen</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Adapted model</source>
        <translation>Angepasstes Modell</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Adapting adds {mean:+.2f} dB (95 % interval: {low:+.2f} to {high:+.2f}).</source>
        <translation>Das Anpassen bringt {mean:+.2f} dB (95-%-Intervall: {low:+.2f} bis {high:+.2f}).</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Adapting does not help; the model's weights were kept.</source>
        <translation>Das Anpassen hilft nicht; die Gewichte des Modells wurden behalten.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Adapting does not help; the weights were written anyway.</source>
        <translation>Das Anpassen hilft nicht; die Gewichte wurden trotzdem geschrieben.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Adapting helps.</source>
        <translation>Das Anpassen hilft.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Bands to adapt to. None: all.</source>
        <translation>Kanäle, an die angepasst wird. Keine Angabe: alle.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Cards</source>
        <translation>Karten</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Fine-tunes a model on a raster and tells whether it helped.</source>
        <translation>Passt ein Modell an ein Raster an und sagt, ob es geholfen hat.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>How strongly the weights are held to the model's</source>
        <translation>Wie stark die Gewichte an denen des Modells gehalten werden</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Learning rate, at most</source>
        <translation>Höchste Lernrate</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Lower end of its 95 % interval</source>
        <translation>Untere Grenze des 95-%-Intervalls dafür</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Memory for the raster, in MiB</source>
        <translation>Speicher für das Raster, in MiB</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>More of a large raster is seen with more.</source>
        <translation>Mit mehr davon wird mehr von einem großen Raster gesehen.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Not set: 2.</source>
        <translation>Ohne Angabe: 2.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>PSNR of bicubic interpolation, in dB</source>
        <translation>PSNR der bikubischen Interpolation, in dB</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>PSNR of the adapted model, in dB</source>
        <translation>PSNR des angepassten Modells, in dB</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>PSNR of the model, in dB</source>
        <translation>PSNR des Modells, in dB</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>PSNR where the raster was held back: bicubic {bicubic:.2f} dB, the model {model:.2f} dB, adapted {adapted:.2f} dB.</source>
        <translation>PSNR auf dem zurückgehaltenen Teil: bikubisch {bicubic:.2f} dB, das Modell {model:.2f} dB, angepasst {adapted:.2f} dB.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Raster layer</source>
        <translation>Rasterlayer</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Seed</source>
        <translation>Startwert des Zufalls</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Steps</source>
        <translation>Schritte</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>The card (.json) of a model to start from.</source>
        <translation>Die Karte (.json) des Modells, von dem ausgegangen wird.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>The model's card; its weights are written beside it.</source>
        <translation>Die Karte des Modells; seine Gewichte werden daneben geschrieben.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>The raster to upscale later.</source>
        <translation>Das Raster, das später geschärft werden soll.</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Upper end of its 95 % interval</source>
        <translation>Obere Grenze des 95-%-Intervalls dafür</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>What adapting adds to the PSNR, in dB</source>
        <translation>Was das Anpassen an PSNR bringt, in dB</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Whether it helped</source>
        <translation>Ob es geholfen hat</translation>
    </message>
    <message>
        <location filename="../algorithms/adapt.py"/>
        <source>Write the adapted weights even if they do not help</source>
        <translation>Angepasste Gewichte auch schreiben, wenn sie nicht helfen</translation>
    </message>
    <message>
        <location filename="../algorithms/base.py"/>
        <source>&lt;p&gt;Needs an environment with TensorFlow; the one for upscaling has none.&lt;/p&gt;</source>
        <translation>&lt;p&gt;Braucht eine Umgebung mit TensorFlow; die zum Schärfen hat keines.&lt;/p&gt;</translation>
    </message>
    <message>
        <location filename="../algorithms/base.py"/>
        <source>Models</source>
        <translation>Modelle</translation>
    </message>
    <message>
        <location filename="../algorithms/base.py"/>
        <source>Parameters</source>
        <translation>Parameter</translation>
    </message>
    <message>
        <location filename="../algorithms/base.py"/>
        <source>Quality</source>
        <translation>Qualität</translation>
    </message>
    <message>
        <location filename="../algorithms/base.py"/>
        <source>Super-resolution</source>
        <translation>Super-Resolution</translation>
    </message>
    <message>
        <location filename="../algorithms/base.py"/>
        <source>The environment {python} has no TensorFlow, which training needs. Create one for training in Settings &gt; Options &gt; GeoSR, or install it there with: pip install "geosr[tensorflow]"</source>
        <translation>Die Umgebung {python} hat kein TensorFlow, das zum Trainieren nötig ist. Erstellen Sie eine zum Trainieren unter Einstellungen &gt; Optionen &gt; GeoSR, oder installieren Sie es dort mit: pip install "geosr[tensorflow]"</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>&lt;p&gt;Averages the finer raster to the pixels of the coarser one and compares the two, band by band. The report has the differences, both power spectra (how much detail of which size) and both pictures to swipe between. Neither is taken for the truth.&lt;/p&gt;</source>
        <translation>&lt;p&gt;Mittelt das feinere Raster auf die Pixel des gröberen und vergleicht beide Kanal für Kanal. Der Bericht enthält die Abweichungen, beide Leistungsspektren (wie viel Detail welcher Größe) und beide Bilder zum Hin- und Herschieben. Keines gilt als Wahrheit.&lt;/p&gt;</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>As red, green and blue: 3,2,1.</source>
        <translation>Als Rot, Grün und Blau: 3,2,1.</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Bands to compare. None: all.</source>
        <translation>Zu vergleichende Kanäle. Keine Angabe: alle.</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Bands to show</source>
        <translation>Gezeigte Kanäle</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Coarser raster</source>
        <translation>Gröberes Raster</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Compare rasters</source>
        <translation>Raster vergleichen</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Correlation, of the worst band</source>
        <translation>Korrelation des schlechtesten Kanals</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Differences of each band</source>
        <translation>Abweichungen jedes Kanals</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Finer raster</source>
        <translation>Feineres Raster</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>HTML files</source>
        <translation>HTML-Dateien</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Largest difference</source>
        <translation>Größte Abweichung</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>One file, with pictures.</source>
        <translation>Eine Datei, samt Bildern.</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Pixels of the finer raster per pixel of the coarser one, a side</source>
        <translation>Pixel des feineren Rasters je Pixel des gröberen und Seite</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Report</source>
        <translation>Bericht</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Root mean square difference, all bands</source>
        <translation>Mittlere quadratische Abweichung (RMSE), alle Kanäle</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Such as its result: the same place, with pixels as large or smaller.</source>
        <translation>Zum Beispiel das Ergebnis davon: derselbe Ort, mit gleich großen oder kleineren Pixeln.</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Such as the input of an upscaling.</source>
        <translation>Zum Beispiel das Raster vor dem Schärfen.</translation>
    </message>
    <message>
        <location filename="../algorithms/compare.py"/>
        <source>Tells how far a finer raster agrees with a coarser one.</source>
        <translation>Sagt, wie weit ein feineres Raster mit einem gröberen übereinstimmt.</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>&lt;p&gt;Makes parts of the raster coarser, lets each model restore them, and compares that with the raster itself (Wald's protocol). The report says how much better than bicubic interpolation each model is, how much of its detail is right, and how much is made up.&lt;/p&gt;&lt;p&gt;It tells how a model does one scale down; at the raster's own scale nobody knows the truth.&lt;/p&gt;</source>
        <translation>&lt;p&gt;Vergröbert Teile des Rasters, lässt sie von jedem Modell wiederherstellen und vergleicht das mit dem Raster selbst (Verfahren von Wald). Der Bericht sagt, wie viel besser als bikubische Interpolation jedes Modell ist, wie viel seines Details stimmt und wie viel erfunden ist.&lt;/p&gt;&lt;p&gt;Das zeigt, wie sich ein Modell eine Stufe gröber schlägt; auf der Stufe des Rasters selbst kennt niemand die Wahrheit.&lt;/p&gt;</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>A card (.json) or a network (.onnx, .keras), scored beside the others.</source>
        <translation>Eine Karte (.json) oder ein Netz (.onnx, .keras), das neben den anderen bewertet wird.</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>A row for each part, method and band.</source>
        <translation>Eine Zeile für jeden Teil, jedes Verfahren und jeden Kanal.</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Bands to score. None: all.</source>
        <translation>Zu bewertende Kanäle. Keine Angabe: alle.</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Best model</source>
        <translation>Bestes Modell</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>CSV files</source>
        <translation>CSV-Dateien</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Evaluate a model on this raster</source>
        <translation>Modell auf diesem Raster bewerten</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>How the raster is made coarser</source>
        <translation>Wie das Raster vergröbert wird</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>In the report, as red, green and blue: 3,2,1.</source>
        <translation>Im Bericht, als Rot, Grün und Blau: 3,2,1.</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Not set: 16.</source>
        <translation>Ohne Angabe: 16.</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Not set: 512, or less for small rasters.</source>
        <translation>Ohne Angabe: 512, bei kleinen Rastern weniger.</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Of the test. Not set: the models', or 2.</source>
        <translation>Des Tests. Ohne Angabe: der der Modelle, oder 2.</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Own model, beside those above</source>
        <translation>Eigenes Modell, neben den obigen</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>PSNR of the best model, in dB</source>
        <translation>PSNR des besten Modells, in dB</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Parts that are scored, at most</source>
        <translation>Höchstzahl der bewerteten Teile</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Scores of each method</source>
        <translation>Werte jedes Verfahrens</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Side of a part, in pixels</source>
        <translation>Seite eines Teils, in Pixeln</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Table</source>
        <translation>Tabelle</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Tells whether a model suits a raster, before you rely on it.</source>
        <translation>Sagt, ob ein Modell zu einem Raster passt, bevor man sich darauf verlässt.</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>The best model's PSNR over bicubic, in dB</source>
        <translation>PSNR des besten Modells über bikubisch, in dB</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>Whether each model suits the raster</source>
        <translation>Ob jedes Modell zum Raster passt</translation>
    </message>
    <message>
        <location filename="../algorithms/evaluate.py"/>
        <source>area: block means. mtf: a sensor's blur first. bicubic: as in papers.</source>
        <translation>area: Blockmittel. mtf: zuvor die Unschärfe eines Sensors. bicubic: wie in Fachartikeln.</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>&lt;p&gt;Lists the models of the environment: their factors, bands, licence and how much better than bicubic interpolation they are. The dialogs of GeoSR offer the same list from then on.&lt;/p&gt;</source>
        <translation>&lt;p&gt;Listet die Modelle der Umgebung auf: ihre Faktoren, Kanäle, Lizenz und wie viel besser als bikubische Interpolation sie sind. Die Dialoge von GeoSR bieten danach dieselbe Liste an.&lt;/p&gt;</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>Bands seen together</source>
        <translation>Gemeinsam gesehene Kanäle</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>Factor</source>
        <translation>Faktor</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>Licence</source>
        <translation>Lizenz</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>List models</source>
        <translation>Modelle auflisten</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>Lists the models that geosr has.</source>
        <translation>Listet die Modelle auf, die geosr hat.</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>Name</source>
        <translation>Name</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>Names, with commas between</source>
        <translation>Namen, durch Kommas getrennt</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>Number of models</source>
        <translation>Anzahl der Modelle</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>Over bicubic, dB</source>
        <translation>Über bikubisch, dB</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>The list as a page.</source>
        <translation>Die Liste als Seite.</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>Weights</source>
        <translation>Gewichte</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>What it is</source>
        <translation>Was es ist</translation>
    </message>
    <message>
        <location filename="../algorithms/listmodels.py"/>
        <source>{path} cannot be written: {why}.</source>
        <translation>{path} kann nicht geschrieben werden: {why}.</translation>
    </message>
    <message>
        <location filename="../algorithms/parameters.py"/>
        <source>Bands</source>
        <translation>Kanäle</translation>
    </message>
    <message>
        <location filename="../algorithms/parameters.py"/>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <location filename="../algorithms/parameters.py"/>
        <source>Networks</source>
        <translation>Netze</translation>
    </message>
    <message>
        <location filename="../algorithms/parameters.py"/>
        <source>Own model, in place of the one above</source>
        <translation>Eigenes Modell, anstelle des obigen</translation>
    </message>
    <message>
        <location filename="../algorithms/parameters.py"/>
        <source>What is scored; bicubic interpolation is always scored beside them.</source>
        <translation>Was bewertet wird; bikubische Interpolation wird immer daneben bewertet.</translation>
    </message>
    <message>
        <location filename="../algorithms/parameters.py"/>
        <source>What makes the detail; names with a factor, such as geosr-lite-x4, are understood in scripts, too.</source>
        <translation>Was das Detail erzeugt; Namen mit Faktor wie geosr-lite-x4 werden in Skripten auch verstanden.</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>&lt;p&gt;Trains a network on a folder of fine rasters, which are made coarser to learn from. Without a recipe it is the small network geosr-lite on all rasters of the folder; the recipe is written beside the result, to be changed and used again.&lt;/p&gt;&lt;p&gt;Plan hours for a good model. To fit a finished one to your scene, 'Adapt a model to this raster' takes minutes. A run that was cancelled goes on where it stopped when it is started again with the same folder.&lt;/p&gt;</source>
        <translation>&lt;p&gt;Trainiert ein Netz auf einem Ordner mit feinen Rastern, die zum Lernen vergröbert werden. Ohne Rezept ist es das kleine Netz geosr-lite auf allen Rastern des Ordners; das Rezept wird neben das Ergebnis geschrieben und kann geändert und wieder verwendet werden.&lt;/p&gt;&lt;p&gt;Rechnen Sie für ein gutes Modell mit Stunden. Ein fertiges Modell an Ihre Szene anzupassen („Modell an dieses Raster anpassen“) dauert Minuten. Ein abgebrochener Lauf geht dort weiter, wo er aufgehört hat, wenn er mit demselben Ordner neu gestartet wird.&lt;/p&gt;</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>A TOML file that decides all. None: one is written.</source>
        <translation>Eine TOML-Datei, die alles bestimmt. Keine Angabe: Es wird eine geschrieben.</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>Fine rasters; subfolders are searched.</source>
        <translation>Feine Raster; Unterordner werden durchsucht.</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>Folder of rasters</source>
        <translation>Ordner mit Rastern</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>Folder of the model</source>
        <translation>Ordner des Modells</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>Go on with a run that was stopped</source>
        <translation>Einen angehaltenen Lauf fortsetzen</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>In place of the recipe's.</source>
        <translation>Anstelle der Angabe im Rezept.</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>In place of the recipe's. Not set, and without one: 4000.</source>
        <translation>Anstelle der Angabe im Rezept. Ohne Angabe und ohne Rezept: 4000.</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>Of the model; only without a recipe.</source>
        <translation>Des Modells; nur ohne Rezept.</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>Output pixels per input pixel and side; only without a recipe.</source>
        <translation>Ausgabepixel je Eingabepixel und Seite; nur ohne Rezept.</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>Recipe</source>
        <translation>Rezept</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>Recipes</source>
        <translation>Rezepte</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>The model's card</source>
        <translation>Die Karte des Modells</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>The recipe is {recipe}.</source>
        <translation>Das Rezept ist {recipe}.</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>The recipe {path} cannot be written: {why}.</source>
        <translation>Das Rezept {path} kann nicht geschrieben werden: {why}.</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>There is no raster in the folder {data}. Choose the folder that holds them.</source>
        <translation>Im Ordner {data} ist kein Raster. Wählen Sie den Ordner, in dem sie liegen.</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>Train a model</source>
        <translation>Modell trainieren</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>Trains a network on a folder of rasters.</source>
        <translation>Trainiert ein Netz auf einem Ordner mit Rastern.</translation>
    </message>
    <message>
        <location filename="../algorithms/train.py"/>
        <source>Weights, card, history and checkpoint.</source>
        <translation>Gewichte, Karte, Verlauf und Zwischenstand.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale.py"/>
        <source>&lt;p&gt;Makes a raster finer without moving it: the result covers the same footprint, in the same units, with nodata and scale kept. Each block of its pixels averages to the pixel it came from, unless you switch that off.&lt;/p&gt;&lt;p&gt;Detail finer than the input's pixels is &lt;b&gt;estimated&lt;/b&gt;: good for looking and mapping, no proof that something is there.&lt;/p&gt;</source>
        <translation>&lt;p&gt;Macht ein Raster feiner, ohne es zu verschieben: Das Ergebnis deckt dieselbe Fläche ab, in denselben Einheiten; Nodata-Wert und Skalierung bleiben. Jeder Block seiner Pixel hat im Mittel den Wert des Pixels, aus dem er entstand, sofern Sie das nicht abschalten.&lt;/p&gt;&lt;p&gt;Detail, das feiner als die Pixel der Eingabe ist, ist &lt;b&gt;geschätzt&lt;/b&gt;: gut zum Ansehen und Kartieren, aber kein Beweis, dass etwas da ist.&lt;/p&gt;</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale.py"/>
        <source>Columns of the result</source>
        <translation>Spalten des Ergebnisses</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale.py"/>
        <source>Factor of that model</source>
        <translation>Faktor dieses Modells</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale.py"/>
        <source>Give either a factor or a pixel size, not both.</source>
        <translation>Geben Sie entweder einen Faktor oder eine Pixelgröße an, nicht beides.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale.py"/>
        <source>Makes a raster finer with a neural network, on the same footprint.</source>
        <translation>Macht ein Raster mit einem neuronalen Netz feiner, auf derselben Fläche.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale.py"/>
        <source>Model that was used</source>
        <translation>Verwendetes Modell</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale.py"/>
        <source>Rows of the result</source>
        <translation>Zeilen des Ergebnisses</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale.py"/>
        <source>Seconds that it took</source>
        <translation>Dauer in Sekunden</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale.py"/>
        <source>Super-resolve raster</source>
        <translation>Raster schärfen (Super-Resolution)</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale.py"/>
        <source>{width} x {height} pixels by {model} in {seconds} s ({device}).</source>
        <translation>{width} x {height} Pixel mit {model} in {seconds} s ({device}).</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>A card (.json) that 'Adapt a model' or 'Train a model' wrote, or a network as .onnx or .keras file.</source>
        <translation>Eine Karte (.json), die „Modell an dieses Raster anpassen“ oder „Modell trainieren“ geschrieben hat, oder ein Netz als .onnx- oder .keras-Datei.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>A cloud-optimised GeoTIFF with the style of the input.</source>
        <translation>Ein Cloud-Optimized GeoTIFF mit dem Stil der Eingabe.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>A second raster: the standard deviation of each pixel's error, in units of the bands. Not every model can tell it.</source>
        <translation>Ein zweites Raster: die Standardabweichung des Fehlers jedes Pixels, in Einheiten der Kanäle. Nicht jedes Modell kann sie angeben.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Any raster that lies in a file or at an address. No web maps.</source>
        <translation>Jedes Raster, das in einer Datei oder unter einer Adresse liegt. Keine Webkarten.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Bands of the result, in this order. None: all.</source>
        <translation>Kanäle des Ergebnisses, in dieser Reihenfolge. Keine Angabe: alle.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Card of what tells the uncertainty. Not set: the model's own.</source>
        <translation>Karte dessen, was die Unsicherheit angibt. Ohne Angabe: die des Modells.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Creation options</source>
        <translation>Erzeugungsoptionen</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Data type</source>
        <translation>Datentyp</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Device</source>
        <translation>Gerät</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Each block of output pixels averages to its input pixel, so that sums and indices stay what they were. Networks only: interpolation never does.</source>
        <translation>Jeder Block von Ausgabepixeln hat im Mittel den Wert seines Eingabepixels, sodass Summen und Indizes bleiben, was sie waren. Nur bei Netzen: Interpolation leistet das nie.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Extent</source>
        <translation>Ausdehnung</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>GDAL's, for GeoTIFF: COMPRESS=DEFLATE, several with | between.</source>
        <translation>Die von GDAL für GeoTIFF: COMPRESS=DEFLATE, mehrere mit | dazwischen.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Keep the mean of each input pixel</source>
        <translation>Mittelwert jedes Eingabepixels bewahren</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Nodata value of the result</source>
        <translation>Nodata-Wert des Ergebnisses</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Not set: the input's.</source>
        <translation>Ohne Angabe: der der Eingabe.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Number format inside the network. bfloat16 and int8 are quicker and less exact.</source>
        <translation>Zahlenformat im Netz. bfloat16 und int8 sind schneller und weniger genau.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Of the result.</source>
        <translation>Des Ergebnisses.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Only for an .onnx or .keras file without a card.</source>
        <translation>Nur für eine .onnx- oder .keras-Datei ohne Karte.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Output pixels per input pixel and side. Not set: 2, or the model's only one.</source>
        <translation>Ausgabepixel je Eingabepixel und Seite. Ohne Angabe: 2, oder der einzige des Modells.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Part of the raster, in any CRS; it is widened to whole pixels. Not set: all of it.</source>
        <translation>Teil des Rasters, in beliebigem KBS; er wird auf ganze Pixel erweitert. Ohne Angabe: alles.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Pixel size</source>
        <translation>Pixelgröße</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Pixel size of the result in units of the layer's CRS, in place of a factor. The result has it exactly.</source>
        <translation>Pixelgröße des Ergebnisses in Einheiten des KBS des Layers, anstelle eines Faktors. Das Ergebnis hat genau diese.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Precision</source>
        <translation>Genauigkeit</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Processes</source>
        <translation>Prozesse</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Processes that share the work. Not set: one.</source>
        <translation>Prozesse, die sich die Arbeit teilen. Ohne Angabe: einer.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Runtime</source>
        <translation>Laufzeitumgebung</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Side of what the network sees at once, in input pixels. Less needs less memory; the result is the same.</source>
        <translation>Seite dessen, was das Netz auf einmal sieht, in Eingabepixeln. Weniger braucht weniger Speicher; das Ergebnis ist dasselbe.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Super-resolved</source>
        <translation>Geschärft</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Threads</source>
        <translation>Threads</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Threads of each process. Not set: all cores.</source>
        <translation>Threads jedes Prozesses. Ohne Angabe: alle Kerne.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Tile size</source>
        <translation>Kachelgröße</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Uncertainty</source>
        <translation>Unsicherheit</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Uncertainty model</source>
        <translation>Unsicherheitsmodell</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Values that the own model expects as 0 and 1</source>
        <translation>Werte, die das eigene Modell als 0 und 1 erwartet</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>What runs the network.</source>
        <translation>Was das Netz ausführt.</translation>
    </message>
    <message>
        <location filename="../algorithms/upscale_parameters.py"/>
        <source>Where the network runs.</source>
        <translation>Wo das Netz läuft.</translation>
    </message>
    <message>
        <location filename="../gui/by_hand_page.py"/>
        <source>1. Run these commands in a terminal, changed as your network asks for:</source>
        <translation>1. Führen Sie diese Befehle in einem Terminal aus, angepasst an Ihr Netzwerk:</translation>
    </message>
    <message>
        <location filename="../gui/by_hand_page.py"/>
        <source>2. Choose the Python of the new environment under 'Use an existing one', and press Check.</source>
        <translation>2. Wählen Sie das Python der neuen Umgebung unter „Vorhandene verwenden“ und drücken Sie auf „Prüfen“.</translation>
    </message>
    <message>
        <location filename="../gui/by_hand_page.py"/>
        <source>Any environment will do, of conda or of your IT department, if geosr is installed in it. Administrators name it for everybody by the variable GEOSR_PYTHON, or by geosr/python in QGIS's global settings file.</source>
        <translation>Jede Umgebung ist recht, ob von conda oder von Ihrer IT-Abteilung, wenn geosr darin installiert ist. Administratoren legen sie für alle fest: mit der Variablen GEOSR_PYTHON oder mit geosr/python in der globalen Einstellungsdatei von QGIS.</translation>
    </message>
    <message>
        <location filename="../gui/by_hand_page.py"/>
        <source>Copy the commands</source>
        <translation>Befehle kopieren</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>A folder that make_wheel_folder.py has filled; nothing is downloaded then.</source>
        <translation>Ein Ordner, den make_wheel_folder.py gefüllt hat; dann wird nichts heruntergeladen.</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>CA bundle</source>
        <translation>CA-Zertifikate</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>Certificates</source>
        <translation>Zertifikate</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>Folder</source>
        <translation>Ordner</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>Index address</source>
        <translation>Index-Adresse</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>Leave empty what your network does not need.</source>
        <translation>Lassen Sie leer, was Ihr Netzwerk nicht braucht.</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>Light: upscales on any processor (recommended)</source>
        <translation>Leicht: schärft auf jedem Prozessor (empfohlen)</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>Looking for Python…</source>
        <translation>Python wird gesucht …</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>Network and offline installation</source>
        <translation>Netzwerk und Offline-Installation</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>None found: install Python 3.12</source>
        <translation>Keines gefunden: Installieren Sie Python 3.12</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>Proxy</source>
        <translation>Proxy</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>Python</source>
        <translation>Python</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>Wheel folder</source>
        <translation>Wheel-Ordner</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>With TensorFlow: also trains models, and uses NVIDIA GPUs</source>
        <translation>Mit TensorFlow: trainiert auch Modelle und nutzt NVIDIA-GPUs</translation>
    </message>
    <message>
        <location filename="../gui/create_fields.py"/>
        <source>pip's own setting, or the public index</source>
        <translation>Einstellung von pip oder der öffentliche Index</translation>
    </message>
    <message>
        <location filename="../gui/create_page.py"/>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <location filename="../gui/create_page.py"/>
        <source>Cancelled; what was made is removed.</source>
        <translation>Abgebrochen; das Erstellte ist entfernt.</translation>
    </message>
    <message>
        <location filename="../gui/create_page.py"/>
        <source>Create</source>
        <translation>Erstellen</translation>
    </message>
    <message>
        <location filename="../gui/create_page.py"/>
        <source>Log</source>
        <translation>Protokoll</translation>
    </message>
    <message>
        <location filename="../gui/create_page.py"/>
        <source>Stopping, and removing what was made…</source>
        <translation>Wird angehalten; das Erstellte wird entfernt …</translation>
    </message>
    <message>
        <location filename="../gui/create_page.py"/>
        <source>Working; QGIS can be used meanwhile.</source>
        <translation>In Arbeit; QGIS kann währenddessen benutzt werden.</translation>
    </message>
    <message>
        <location filename="../gui/desktop.py"/>
        <source>GeoSR</source>
        <translation>GeoSR</translation>
    </message>
    <message>
        <location filename="../gui/desktop.py"/>
        <source>Preview and compare</source>
        <translation>Vorschau und Vergleich</translation>
    </message>
    <message>
        <location filename="../gui/desktop.py"/>
        <source>Set up…</source>
        <translation>Einrichten …</translation>
    </message>
    <message>
        <location filename="../gui/desktop.py"/>
        <source>Super-resolve raster…</source>
        <translation>Raster schärfen …</translation>
    </message>
    <message>
        <location filename="../gui/diagnostics.py"/>
        <source>Copied</source>
        <translation>Kopiert</translation>
    </message>
    <message>
        <location filename="../gui/dock.py"/>
        <source>Cancelled, for the map was moved.</source>
        <translation>Abgebrochen, weil die Karte bewegt wurde.</translation>
    </message>
    <message>
        <location filename="../gui/dock.py"/>
        <source>Cancelled.</source>
        <translation>Abgebrochen.</translation>
    </message>
    <message>
        <location filename="../gui/dock.py"/>
        <source>Choose a raster layer first.</source>
        <translation>Wählen Sie zuerst einen Rasterlayer.</translation>
    </message>
    <message>
        <location filename="../gui/dock.py"/>
        <source>Looking for the environment…</source>
        <translation>Die Umgebung wird gesucht …</translation>
    </message>
    <message>
        <location filename="../gui/dock.py"/>
        <source>QGIS cannot open the preview.</source>
        <translation>QGIS kann die Vorschau nicht öffnen.</translation>
    </message>
    <message>
        <location filename="../gui/dock.py"/>
        <source>The layer has no place on the map, so its preview has none.</source>
        <translation>Der Layer hat keinen Platz auf der Karte, also auch seine Vorschau nicht.</translation>
    </message>
    <message>
        <location filename="../gui/dock.py"/>
        <source>The map shows nothing of the layer '{}'.</source>
        <translation>Die Karte zeigt nichts vom Layer „{}“.</translation>
    </message>
    <message>
        <location filename="../gui/dock.py"/>
        <source>The view has {columns} x {rows}; this is its middle. Zoom in to see all of it.</source>
        <translation>Die Ansicht hat {columns} x {rows}; dies ist ihre Mitte. Zoomen Sie hinein, um alles zu sehen.</translation>
    </message>
    <message>
        <location filename="../gui/dock.py"/>
        <source>{columns} x {rows} pixels of the layer in {seconds} s.</source>
        <translation>{columns} x {rows} Pixel des Layers in {seconds} s.</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>(a preview or a result)</source>
        <translation>(Vorschau oder Ergebnis)</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>After</source>
        <translation>Nachher</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>Before and after</source>
        <translation>Vorher und nachher</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>Check again</source>
        <translation>Erneut prüfen</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>Follow the map</source>
        <translation>Der Karte folgen</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>GeoSR computes in a Python environment of its own, so that QGIS stays as it is. It is chosen or created once.</source>
        <translation>GeoSR rechnet in einer eigenen Python-Umgebung, damit QGIS bleibt, wie es ist. Sie wird einmal gewählt oder erstellt.</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>GeoSR is not set up yet</source>
        <translation>GeoSR ist noch nicht eingerichtet</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>Layer</source>
        <translation>Layer</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>Left of the handle the map is as before. Drag it, or move it with the arrow keys; Esc ends.</source>
        <translation>Links vom Griff ist die Karte wie vorher. Ziehen Sie ihn oder bewegen Sie ihn mit den Pfeiltasten; Esc beendet.</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>Makes the preview anew whenever the map was moved.</source>
        <translation>Erneuert die Vorschau, sobald die Karte bewegt wurde.</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>Makes what the map shows of the layer sharper, into a temporary layer.</source>
        <translation>Schärft, was die Karte vom Layer zeigt, in einen temporären Layer.</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>Opens the dialog of the algorithm, filled in as here.</source>
        <translation>Öffnet den Dialog des Algorithmus, ausgefüllt wie hier.</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>Preview this view</source>
        <translation>Vorschau dieser Ansicht</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>Run on the whole layer…</source>
        <translation>Ganzen Layer schärfen …</translation>
    </message>
    <message>
        <location filename="../gui/dock_widgets.py"/>
        <source>Swipe on the map</source>
        <translation>Auf der Karte schieben</translation>
    </message>
    <message>
        <location filename="../gui/environment_state.py"/>
        <source>The check failed: {error}</source>
        <translation>Die Prüfung ist fehlgeschlagen: {error}</translation>
    </message>
    <message>
        <location filename="../gui/environment_state.py"/>
        <source>The check was cancelled.</source>
        <translation>Die Prüfung wurde abgebrochen.</translation>
    </message>
    <message>
        <location filename="../gui/environment_state.py"/>
        <source>chosen in the settings</source>
        <translation>in den Einstellungen gewählt</translation>
    </message>
    <message>
        <location filename="../gui/environment_state.py"/>
        <source>created by this plugin</source>
        <translation>von dieser Erweiterung erstellt</translation>
    </message>
    <message>
        <location filename="../gui/environment_state.py"/>
        <source>found as the command geosr on PATH</source>
        <translation>als Befehl geosr im PATH gefunden</translation>
    </message>
    <message>
        <location filename="../gui/environment_state.py"/>
        <source>just checked</source>
        <translation>eben geprüft</translation>
    </message>
    <message>
        <location filename="../gui/environment_state.py"/>
        <source>named by the environment variable GEOSR_PYTHON</source>
        <translation>festgelegt durch die Umgebungsvariable GEOSR_PYTHON</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>Check</source>
        <translation>Prüfen</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>Checking…</source>
        <translation>Wird geprüft …</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>Choose the Python of an environment first.</source>
        <translation>Wählen Sie zuerst das Python einer Umgebung.</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>Does not work:</source>
        <translation>Geht nicht:</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>NVIDIA driver {version}</source>
        <translation>NVIDIA-Treiber {version}</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>Python of the environment</source>
        <translation>Python der Umgebung</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>Works:</source>
        <translation>In Ordnung:</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>geosr {version} on Python {python}</source>
        <translation>geosr {version} mit Python {python}</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>no NVIDIA GPU</source>
        <translation>keine NVIDIA-GPU</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>such as C:/envs/geosr/Scripts/python.exe or ~/envs/geosr/bin/python</source>
        <translation>etwa C:/envs/geosr/Scripts/python.exe oder ~/envs/geosr/bin/python</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>upscaling only, no training</source>
        <translation>nur Schärfen, kein Training</translation>
    </message>
    <message>
        <location filename="../gui/existing_page.py"/>
        <source>with training</source>
        <translation>mit Training</translation>
    </message>
    <message>
        <location filename="../gui/options_page.py"/>
        <source>Copy diagnostics</source>
        <translation>Diagnose kopieren</translation>
    </message>
    <message>
        <location filename="../gui/options_page.py"/>
        <source>Environment</source>
        <translation>Umgebung</translation>
    </message>
    <message>
        <location filename="../gui/options_page.py"/>
        <source>In use now:</source>
        <translation>Jetzt in Gebrauch:</translation>
    </message>
    <message>
        <location filename="../gui/options_page.py"/>
        <source>The Python of the environment that has geosr. Empty: the one that this plugin has created, or the command geosr on PATH.</source>
        <translation>Das Python der Umgebung, die geosr enthält. Leer: die von dieser Erweiterung erstellte oder der Befehl geosr im PATH.</translation>
    </message>
    <message>
        <location filename="../gui/options_page.py"/>
        <source>The dock begins with:</source>
        <translation>Das Bedienfeld beginnt mit:</translation>
    </message>
    <message>
        <location filename="../gui/plan_words.py"/>
        <source>About {disk} GB on disk, nothing to download; {minutes} min or more.</source>
        <translation>Etwa {disk} GB auf der Festplatte, nichts herunterzuladen; {minutes} Min. oder mehr.</translation>
    </message>
    <message>
        <location filename="../gui/plan_words.py"/>
        <source>About {disk} GB on disk, {download} GB to download; {minutes} min or more.</source>
        <translation>Etwa {disk} GB auf der Festplatte, {download} GB herunterzuladen; {minutes} Min. oder mehr.</translation>
    </message>
    <message>
        <location filename="../gui/plan_words.py"/>
        <source>Into {folder}, from {source}, with {tool}.</source>
        <translation>Nach {folder}, aus {source}, mit {tool}.</translation>
    </message>
    <message>
        <location filename="../gui/plan_words.py"/>
        <source>QGIS itself is not changed. To get rid of it, delete the folder.</source>
        <translation>QGIS selbst wird nicht verändert. Zum Entfernen löschen Sie den Ordner.</translation>
    </message>
    <message>
        <location filename="../gui/plan_words.py"/>
        <source>the package index of pip</source>
        <translation>dem Paketindex von pip</translation>
    </message>
    <message>
        <location filename="../gui/preview_layer.py"/>
        <source>Preview: {source} ({model}, detail estimated)</source>
        <translation>Vorschau: {source} ({model}, Detail geschätzt)</translation>
    </message>
    <message>
        <location filename="../gui/previewer.py"/>
        <source>Loading the model</source>
        <translation>Modell wird geladen</translation>
    </message>
    <message>
        <location filename="../gui/previewer.py"/>
        <source>Starting geosr…</source>
        <translation>geosr wird gestartet …</translation>
    </message>
    <message>
        <location filename="../gui/previewer.py"/>
        <source>The preview cannot be kept: {error}</source>
        <translation>Die Vorschau kann nicht abgelegt werden: {error}</translation>
    </message>
    <message>
        <location filename="../gui/previewer.py"/>
        <source>Upscaling</source>
        <translation>Wird geschärft</translation>
    </message>
    <message>
        <location filename="../gui/previewer.py"/>
        <source>Waiting…</source>
        <translation>Bitte warten …</translation>
    </message>
    <message>
        <location filename="../gui/setup_dialog.py"/>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <location filename="../gui/setup_dialog.py"/>
        <source>Create one</source>
        <translation>Neu erstellen</translation>
    </message>
    <message>
        <location filename="../gui/setup_dialog.py"/>
        <source>Do it by hand</source>
        <translation>Von Hand</translation>
    </message>
    <message>
        <location filename="../gui/setup_dialog.py"/>
        <source>For a question or a report; the home folder and secrets are left out.</source>
        <translation>Für Fragen und Fehlerberichte; ohne Benutzerordner und Geheimnisse.</translation>
    </message>
    <message>
        <location filename="../gui/setup_dialog.py"/>
        <source>GeoSR computes in a Python environment of its own. QGIS and its Python stay as they are.</source>
        <translation>GeoSR rechnet in einer eigenen Python-Umgebung. QGIS und sein Python bleiben, wie sie sind.</translation>
    </message>
    <message>
        <location filename="../gui/setup_dialog.py"/>
        <source>In use from now on.</source>
        <translation>Ab jetzt in Gebrauch.</translation>
    </message>
    <message>
        <location filename="../gui/setup_dialog.py"/>
        <source>Set up GeoSR</source>
        <translation>GeoSR einrichten</translation>
    </message>
    <message>
        <location filename="../gui/setup_dialog.py"/>
        <source>The Python of an environment with geosr: of a virtual environment, of conda, or of what your IT department has installed. The folder of the environment will do.</source>
        <translation>Das Python einer Umgebung mit geosr: einer virtuellen Umgebung, von conda oder der Installation Ihrer IT-Abteilung. Der Ordner der Umgebung genügt.</translation>
    </message>
    <message>
        <location filename="../gui/setup_dialog.py"/>
        <source>Use an existing one</source>
        <translation>Vorhandene verwenden</translation>
    </message>
    <message>
        <location filename="../gui/setup_dialog.py"/>
        <source>Use this environment</source>
        <translation>Diese Umgebung verwenden</translation>
    </message>
    <message>
        <location filename="../gui/swipe_item.py"/>
        <source>Before</source>
        <translation>Vorher</translation>
    </message>
    <message>
        <location filename="../models.py"/>
        <source>, {:+.1f} dB over bicubic</source>
        <translation>, {:+.1f} dB gegenüber bikubisch</translation>
    </message>
    <message>
        <location filename="../models.py"/>
        <source>{summary} Adds no detail; for comparison ({factors}).</source>
        <translation>{summary} Fügt kein Detail hinzu; zum Vergleich ({factors}).</translation>
    </message>
    <message>
        <location filename="../post.py"/>
        <source>Detail finer than the pixels of '{source}' is estimated by {model}, not measured.</source>
        <translation>Detail, das feiner als die Pixel von „{source}“ ist, hat {model} geschätzt; es ist nicht gemessen.</translation>
    </message>
    <message>
        <location filename="../post.py"/>
        <source>Estimated standard deviation of each pixel that geosr made of '{source}', by {model}, in units of the bands.</source>
        <translation>Von {model} geschätzte Standardabweichung jedes Pixels, den geosr aus „{source}“ gemacht hat, in Einheiten der Kanäle.</translation>
    </message>
    <message>
        <location filename="../post.py"/>
        <source>Made by geosr {version}.</source>
        <translation>Erstellt mit geosr {version}.</translation>
    </message>
    <message>
        <location filename="../post.py"/>
        <source>Pixel size: {before:g} before, {after:g} now, in units of the CRS.</source>
        <translation>Pixelgröße: vorher {before:g}, jetzt {after:g}, in Einheiten des KBS.</translation>
    </message>
    <message>
        <location filename="../post.py"/>
        <source>{source} ({model}, detail estimated)</source>
        <translation>{source} ({model}, Detail geschätzt)</translation>
    </message>
    <message>
        <location filename="../post.py"/>
        <source>{source} ({model}, uncertainty)</source>
        <translation>{source} ({model}, Unsicherheit)</translation>
    </message>
    <message>
        <location filename="../provider.py"/>
        <source>GeoSR super-resolution</source>
        <translation>GeoSR Super-Resolution</translation>
    </message>
    <message>
        <location filename="../resources/models.json"/>
        <source>Classical bicubic interpolation.</source>
        <translation>Klassische bikubische Interpolation.</translation>
    </message>
    <message>
        <location filename="../resources/models.json"/>
        <source>Classical bilinear interpolation.</source>
        <translation>Klassische bilineare Interpolation.</translation>
    </message>
    <message>
        <location filename="../resources/models.json"/>
        <source>Classical lanczos interpolation.</source>
        <translation>Klassische Lanczos-Interpolation.</translation>
    </message>
    <message>
        <location filename="../resources/models.json"/>
        <source>Classical nearest interpolation.</source>
        <translation>Klassische Interpolation mit dem nächsten Nachbarn.</translation>
    </message>
    <message>
        <location filename="../resources/models.json"/>
        <source>Fast network for any band of any sensor, trained on aerial, drone and satellite imagery.</source>
        <translation>Schnelles Netz für jeden Kanal jedes Sensors, trainiert mit Luft-, Drohnen- und Satellitenbildern.</translation>
    </message>
    <message>
        <location filename="../resources/models.json"/>
        <source>Main network for any band of any sensor, trained on aerial, drone and satellite imagery.</source>
        <translation>Hauptnetz für jeden Kanal jedes Sensors, trainiert mit Luft-, Drohnen- und Satellitenbildern.</translation>
    </message>
    <message>
        <location filename="../resources/models.json"/>
        <source>Perceptual network: crisper edges to the eye, but its detail is invented and must not be measured; PSNR is below bicubic's. Block means are kept.</source>
        <translation>Netz für das Auge: schärfere Kanten, doch die Details sind erfunden und dürfen nicht gemessen werden; PSNR liegt unter dem von Bicubic. Blockmittel bleiben erhalten.</translation>
    </message>
    <message>
        <location filename="../resources/models.json"/>
        <source>Red, green, blue and near infrared seen together, for 10 m bands as Sentinel-2 has them.</source>
        <translation>Sieht Rot, Grün, Blau und nahes Infrarot gemeinsam, für 10-m-Bänder wie die von Sentinel-2.</translation>
    </message>
    <message>
        <location filename="../resources/models.json"/>
        <source>geosr-lite-x4, and geosr-lite-x2 on what it makes.</source>
        <translation>geosr-lite-x4, und geosr-lite-x2 auf dessen Ergebnis.</translation>
    </message>
    <message>
        <location filename="../resources/models.json"/>
        <source>geosr-x4, and geosr-x2 on what it makes.</source>
        <translation>geosr-x4, und geosr-x2 auf dessen Ergebnis.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>By hand: {command}</source>
        <translation>Von Hand: {command}</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Choose a folder that you may write to and run programs from.</source>
        <translation>Wählen Sie einen Ordner, in den Sie schreiben und aus dem Sie Programme starten dürfen.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Choose another environment in the settings of GeoSR.</source>
        <translation>Wählen Sie in den Einstellungen von GeoSR eine andere Umgebung.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Choose another folder, or close what uses it.</source>
        <translation>Wählen Sie einen anderen Ordner, oder schließen Sie, was ihn benutzt.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Choose another folder, or use what is there as an existing environment.</source>
        <translation>Wählen Sie einen anderen Ordner, oder verwenden Sie, was dort ist, als vorhandene Umgebung.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Choose or create an environment in Settings &gt; Options &gt; GeoSR.</source>
        <translation>Wählen oder erstellen Sie eine unter Einstellungen &gt; Optionen &gt; GeoSR.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Correct the path.</source>
        <translation>Berichtigen Sie den Pfad.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Create it anew in Settings &gt; Options &gt; GeoSR.</source>
        <translation>Erstellen Sie sie neu unter Einstellungen &gt; Optionen &gt; GeoSR.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>GEOSR_PYTHON says so: {hint}</source>
        <translation>So sagt es GEOSR_PYTHON: {hint}</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Install Python {versions} from python.org or your system's packages.</source>
        <translation>Installieren Sie Python {versions} von python.org oder aus den Paketen Ihres Systems.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Install Python's module venv; on Debian and Ubuntu: sudo apt install python3-venv</source>
        <translation>Installieren Sie das Modul venv von Python; unter Debian und Ubuntu: sudo apt install python3-venv</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Install it; on Debian and Ubuntu: sudo apt install python3-venv</source>
        <translation>Installieren Sie es; unter Debian und Ubuntu: sudo apt install python3-venv</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Lower the tile size or the number of workers, or close other programs.</source>
        <translation>Verkleinern Sie die Kachelgröße oder die Zahl der Prozesse, oder schließen Sie andere Programme.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Make one with make_wheel_folder.py, on a computer like this one.</source>
        <translation>Erstellen Sie einen mit make_wheel_folder.py, auf einem Rechner wie diesem.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Make room on the disk, or choose another folder.</source>
        <translation>Schaffen Sie Platz auf der Festplatte, oder wählen Sie einen anderen Ordner.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Make room, or choose another folder.</source>
        <translation>Schaffen Sie Platz, oder wählen Sie einen anderen Ordner.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>No environment with geosr was found.</source>
        <translation>Es wurde keine Umgebung mit geosr gefunden.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>See the log above; installing by hand shows the same.</source>
        <translation>Sehen Sie im Protokoll nach; die Installation von Hand zeigt dasselbe.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>See the log.</source>
        <translation>Sehen Sie im Protokoll nach.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>See the log; the environment may be damaged: check it in the settings of GeoSR.</source>
        <translation>Sehen Sie im Protokoll nach; vielleicht ist die Umgebung beschädigt: Prüfen Sie sie in den Einstellungen von GeoSR.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Set the proxy of your network, as http://user:password@host:port if it asks for one.</source>
        <translation>Geben Sie den Proxy Ihres Netzwerks an, als http://Name:Passwort@Rechner:Port, wenn er danach fragt.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Set up another one in the settings of GeoSR.</source>
        <translation>Richten Sie in den Einstellungen von GeoSR eine andere ein.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>The environment of {path} is damaged: {why}</source>
        <translation>Die Umgebung von {path} ist beschädigt: {why}</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>The environment's geosr {version} is newer than this plugin can read.</source>
        <translation>Das geosr {version} der Umgebung ist neuer, als diese Erweiterung lesen kann.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>The environment's geosr {version} is too old for this plugin.</source>
        <translation>Das geosr {version} der Umgebung ist zu alt für diese Erweiterung.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>The folder {path} cannot be made: {why}.</source>
        <translation>Der Ordner {path} kann nicht angelegt werden: {why}.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>The folder {path} is not empty, and was not made by this plugin.</source>
        <translation>Der Ordner {path} ist nicht leer und wurde nicht von dieser Erweiterung erstellt.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>The package index cannot be reached: check the network, the proxy and the index address, or install from a wheel folder.</source>
        <translation>Der Paketindex ist nicht erreichbar: Prüfen Sie Netzwerk, Proxy und Index-Adresse, oder installieren Sie aus einem Wheel-Ordner.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>The package index refuses: check its address, and the name and password in it.</source>
        <translation>Der Paketindex weist ab: Prüfen Sie seine Adresse sowie Name und Passwort darin.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>The package source lacks what is named above for this Python and system: give the address of an index that has it, or a wheel folder made for this Python.</source>
        <translation>Der Paketquelle fehlt das oben Genannte für dieses Python und System: Geben Sie die Adresse eines Index an, der es hat, oder einen Wheel-Ordner für dieses Python.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>The preview was killed: usually it was out of memory.</source>
        <translation>Die Vorschau wurde beendet: Meist war der Arbeitsspeicher zu klein.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>The preview's process has ended (status {status}){why}</source>
        <translation>Der Prozess der Vorschau ist zu Ende (Status {status}){why}</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>The virtual environment could not be made: {why}</source>
        <translation>Die virtuelle Umgebung konnte nicht erstellt werden: {why}</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>There is no CA bundle at {path}.</source>
        <translation>Unter {path} sind keine CA-Zertifikate.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>There is no Python at {path}.</source>
        <translation>Unter {path} ist kein Python.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>There is no Python in the folder {path}.</source>
        <translation>Im Ordner {path} ist kein Python.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>There is no Python {versions} here.</source>
        <translation>Hier gibt es kein Python {versions}.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>There is no geosr in the wheel folder {path}.</source>
        <translation>Im Wheel-Ordner {path} ist kein geosr.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>There is {free} GB of room in {path}; this takes about {needed} GB.</source>
        <translation>In {path} sind {free} GB frei; nötig sind etwa {needed} GB.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Try again: the first start of a new environment is slow.</source>
        <translation>Versuchen Sie es noch einmal: Der erste Start einer neuen Umgebung ist langsam.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Try again; if it comes back, check the environment in the settings of GeoSR.</source>
        <translation>Versuchen Sie es noch einmal; wenn es wiederkommt, prüfen Sie die Umgebung in den Einstellungen von GeoSR.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Update the environment to geosr {version} or later.</source>
        <translation>Aktualisieren Sie die Umgebung auf geosr {version} oder neuer.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Update the plugin GeoSR Super-Resolution.</source>
        <translation>Aktualisieren Sie die Erweiterung GeoSR Super-Resolution.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>What {path} answers is not geosr's.</source>
        <translation>Was {path} antwortet, kommt nicht von geosr.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>Your network inspects encrypted connections: give its CA bundle, a .pem file.</source>
        <translation>Ihr Netzwerk prüft verschlüsselte Verbindungen: Geben Sie seine CA-Zertifikate an, eine .pem-Datei.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>geosr crashed ({how}){why}</source>
        <translation>geosr ist abgestürzt ({how}){why}</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>geosr did not answer within {seconds} seconds.</source>
        <translation>geosr hat nicht innerhalb von {seconds} Sekunden geantwortet.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>geosr ended without a result.</source>
        <translation>geosr hat ohne Ergebnis geendet.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>geosr gave no answer.</source>
        <translation>geosr hat nicht geantwortet.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>geosr has failed.</source>
        <translation>geosr ist gescheitert.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>geosr is not installed in this environment.</source>
        <translation>geosr ist in dieser Umgebung nicht installiert.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>geosr is not installed in {path}.</source>
        <translation>geosr ist in {path} nicht installiert.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>geosr was killed: usually it was out of memory.</source>
        <translation>geosr wurde beendet: Meist war der Arbeitsspeicher zu klein.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>pip failed: {why}</source>
        <translation>pip ist gescheitert: {why}</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>{path} cannot be started: {why}.</source>
        <translation>{path} kann nicht gestartet werden: {why}.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>{path} cannot make environments: its module venv is not installed.</source>
        <translation>{path} kann keine Umgebungen erstellen: Sein Modul venv ist nicht installiert.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>{path} is Python {version} with {bits} bits; geosr needs {versions} with 64 bits.</source>
        <translation>{path} ist Python {version} mit {bits} Bit; geosr braucht {versions} mit 64 Bit.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>{path} is Python {version}; geosr needs 3.11 or later.</source>
        <translation>{path} ist Python {version}; geosr braucht 3.11 oder neuer.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>{path} is Python {version}; geosr needs {versions} with 64 bits.</source>
        <translation>{path} ist Python {version}; geosr braucht {versions} mit 64 Bit.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>{path} is QGIS itself, not a Python for geosr.</source>
        <translation>{path} ist QGIS selbst, kein Python für geosr.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>{path} is no working Python.</source>
        <translation>{path} ist kein lauffähiges Python.</translation>
    </message>
    <message>
        <location filename="../said.py"/>
        <source>{what} was installed without TensorFlow.</source>
        <translation>{what} wurde ohne TensorFlow installiert.</translation>
    </message>
    <message>
        <location filename="../source.py"/>
        <source>The layer '{name}' cannot be opened again from {path}.</source>
        <translation>Der Layer „{name}“ kann nicht erneut aus {path} geöffnet werden.</translation>
    </message>
    <message>
        <location filename="../source.py"/>
        <source>The layer '{name}' comes from the provider {provider}, which only QGIS can read. Export it as GeoTIFF (right-click, Export, Save As) and use that file.</source>
        <translation>Der Layer „{name}“ kommt vom Datenlieferanten {provider}, den nur QGIS lesen kann. Exportieren Sie ihn als GeoTIFF (Rechtsklick, Export, Speichern als) und verwenden Sie diese Datei.</translation>
    </message>
    <message>
        <location filename="../source.py"/>
        <source>The layer '{name}' is a virtual raster that only QGIS can compute. Save its result (right-click, Export, Save As) and use that file.</source>
        <translation>Der Layer „{name}“ ist ein virtuelles Raster, das nur QGIS berechnen kann. Speichern Sie sein Ergebnis (Rechtsklick, Export, Speichern als) und verwenden Sie diese Datei.</translation>
    </message>
    <message>
        <location filename="../source.py"/>
        <source>The layer '{name}' is a web map (WMS, WMTS or XYZ tiles): it has pictures, no measured pixels. Export the part you need (right-click, Export, Save As, Raw data), or use the provider's own GeoTIFF.</source>
        <translation>Der Layer „{name}“ ist eine Webkarte (WMS, WMTS oder XYZ-Kacheln): Er hat Bilder, keine gemessenen Pixel. Exportieren Sie den Teil, den Sie brauchen (Rechtsklick, Export, Speichern als, Rohdaten), oder verwenden Sie das GeoTIFF des Anbieters.</translation>
    </message>
    <message>
        <location filename="../source.py"/>
        <source>The layer '{name}' is only in QGIS's memory. Export it (right-click, Export, Save As) and use that file.</source>
        <translation>Der Layer „{name}“ liegt nur im Arbeitsspeicher von QGIS. Exportieren Sie ihn (Rechtsklick, Export, Speichern als) und verwenden Sie diese Datei.</translation>
    </message>
    <message>
        <location filename="../source.py"/>
        <source>The layer '{name}' is opened with a password kept by QGIS, which geosr does not get. Export it (right-click, Export, Save As) and use that file.</source>
        <translation>Der Layer „{name}“ wird mit einem Passwort geöffnet, das QGIS aufbewahrt und geosr nicht bekommt. Exportieren Sie ihn (Rechtsklick, Export, Speichern als) und verwenden Sie diese Datei.</translation>
    </message>
</context>
</TS>
