# SPDX-License-Identifier: GPL-2.0-or-later
"""Train a model: ``geosr train``."""

from __future__ import annotations

import os

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterString,
)

from . import parameters as make
from .arguments import option
from .base import GeosrAlgorithm, Values, for_option, given, needs_tensorflow
from .recipe import rasters_in, recipe_text


class TrainModel(GeosrAlgorithm):
    """Trains a network on a folder of rasters, by a recipe or without one."""

    NAME = "train"
    GROUP = "models"
    TRAINS = True

    def words(self) -> dict[str, str]:
        """Return what it is called and does."""
        about = self.tr(
            "<p>Trains a network on a folder of fine rasters, which are made coarser to learn "
            "from. Without a recipe it is the small network geosr-lite on all rasters of the "
            "folder; the recipe is written beside the result, to be changed and used again.</p>"
            "<p>Plan hours for a good model. To fit a finished one to your scene, 'Adapt a model "
            "to this raster' takes minutes. A run that was cancelled goes on where it stopped "
            "when it is started again with the same folder.</p>"
        )
        return {
            "title": self.tr("Train a model"),
            "short": self.tr("Trains a network on a folder of rasters."),
            "about": about + needs_tensorflow(),
        }

    def tags(self) -> list[str]:
        """Return words to find it by."""
        return ["train", "learn", "model", "network", "recipe", "keras", "tensorflow"]

    def add_all(self) -> None:
        """Add the parameters and outputs."""
        data = QgsProcessingParameterFile(
            "DATA",
            self.tr("Folder of rasters"),
            behavior=make.FOLDER,
        )
        recipe = QgsProcessingParameterFile(
            "RECIPE",
            self.tr("Recipe"),
            optional=True,
            fileFilter=self.tr("Recipes") + " (*.toml)",
        )
        name = QgsProcessingParameterString("NAME", self.tr("Name"), "own-x2", optional=True)
        output = QgsProcessingParameterFolderDestination("OUTPUT", self.tr("Folder of the model"))
        resume = QgsProcessingParameterBoolean(
            "RESUME", self.tr("Go on with a run that was stopped"), True
        )
        for parameter in (
            for_option(
                make.helped(data, self.tr("Fine rasters; subfolders are searched.")), "--data"
            ),
            make.helped(recipe, self.tr("A TOML file that decides all. None: one is written.")),
            make.helped(name, self.tr("Of the model; only without a recipe.")),
            make.helped(
                make.number("FACTOR", self.tr("Factor"), default=2, minimum=2, maximum=8),
                self.tr("Output pixels per input pixel and side; only without a recipe."),
            ),
            for_option(
                make.helped(
                    make.number("STEPS", self.tr("Steps"), minimum=1),
                    self.tr("In place of the recipe's. Not set, and without one: 4000."),
                ),
                "--steps",
            ),
            for_option(
                make.helped(
                    make.number("SEED", self.tr("Seed")),
                    self.tr("In place of the recipe's."),
                    advanced=True,
                ),
                "--seed",
            ),
            for_option(make.helped(resume, "", advanced=True), "--no-resume"),
            for_option(
                make.helped(output, self.tr("Weights, card, history and checkpoint.")), "--out"
            ),
        ):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputFile("CARD", self.tr("The model's card")))

    def carry_out(
        self, parameters: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Values:
        """Run it."""
        folder = self.parameterAsString(parameters, "OUTPUT", context)
        data = self.parameterAsFile(parameters, "DATA", context)
        recipe = self.parameterAsFile(parameters, "RECIPE", context)
        if not recipe:
            recipe = self._written_recipe(parameters, data, folder, context)
            feedback.pushInfo(self.tr("The recipe is {recipe}.").format(recipe=recipe))
        arguments = ["train", recipe, *option("data", data), *option("out", folder)]
        for key, name in (("STEPS", "steps"), ("SEED", "seed")):
            if given(parameters, key):
                arguments += option(name, self.parameterAsInt(parameters, key, context))
        if not self.parameterAsBool(parameters, "RESUME", context):
            arguments.append("--no-resume")
        report = self.run_geosr(arguments, feedback)
        if report is None:
            return {}
        return {"OUTPUT": folder, "CARD": str(report.result.get("output") or "")}

    def _written_recipe(
        self, parameters: Values, data: str, folder: str, context: QgsProcessingContext
    ) -> str:
        rasters = rasters_in(data)
        if not rasters:
            raise QgsProcessingException(
                self.tr(
                    "There is no raster in the folder {data}. Choose the folder that holds them."
                ).format(data=data)
            )
        steps = 4000
        if given(parameters, "STEPS"):
            steps = self.parameterAsInt(parameters, "STEPS", context)
        text = recipe_text(
            rasters,
            name=self.parameterAsString(parameters, "NAME", context) or "own",
            factor=self.parameterAsInt(parameters, "FACTOR", context),
            steps=steps,
        )
        path = os.path.join(folder, "recipe.toml")
        try:
            os.makedirs(folder, exist_ok=True)
            with open(path, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except OSError as error:
            raise QgsProcessingException(
                self.tr("The recipe {path} cannot be written: {why}.").format(
                    path=path, why=error.strerror
                )
            ) from error
        return path
