"""How it was done, and what came out, in words: for the report and for the terminal."""

from __future__ import annotations

from geosr.degrade import SENSORS
from geosr.evaluation.lowering import MARGIN
from geosr.evaluation.protocol import Protocol
from geosr.evaluation.run import Evaluation
from geosr.evaluation.samples import LARGEST
from geosr.evaluation.summary import MethodSummary
from geosr.evaluation.tables import interval_text, signed


def answer(summary: MethodSummary, kind: str) -> str:
    """Return whether a model is better than bicubic, in a sentence."""
    what = "this scene" if kind == "scene" else "these images"
    if summary.gain.low is None:
        return f"One image tells little: no interval for {what}."
    return {
        "gains": f"Better than bicubic on {what}.",
        "loses": f"Worse than bicubic on {what}.",
        "unsure": f"No clear difference from bicubic on {what}.",
    }[summary.verdict]


def suitability(evaluation: Evaluation) -> list[str]:
    """Return the answer to "does this model suit my data?", a few lines for each model."""
    lines = []
    crops = evaluation.summaries[0].images
    for summary in evaluation.summaries:
        if summary.is_baseline:
            continue
        said = {"gains": "yes", "loses": "no", "unsure": "unclear"}[summary.verdict]
        lines.append(
            f"Does {summary.method} suit {evaluation.title}? {said.capitalize()}: "
            f"{signed(summary.gain.mean)} dB over bicubic (95 % interval "
            f"{interval_text(summary.gain, sign=True)}), better on {crops - summary.losses} of "
            f"{crops} crops."
        )
    s = evaluation.factor
    lines.append(
        f"The scene was made {s} times coarser and restored (Wald's protocol); that the gain holds "
        f"from its own pixels to {s} times finer ones is an assumption."
    )
    return lines


def protocol_words(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return terms and sentences that say how the scores came about."""
    protocol, s, border = evaluation.protocol, evaluation.factor, evaluation.border
    if protocol.data_range is not None:
        span = f"{protocol.data_range:g} for all images, as asked for."
    else:
        span = (
            "255 for 8-bit images; else each band's range from the 0.1 to the 99.9 percentile of "
            "the truth. Bands without any range have no PSNR and no SSIM."
        )
    return [
        ("Low resolution", _low_resolution(evaluation)),
        (
            "Upscaling",
            f"As `geosr upscale` does from a GeoTIFF, factor {s}, on the processor; `gdalwarp -r "
            "cubic` is GDAL's own resampling.",
        ),
        ("Data range", span),
        ("Border", f"{border} pixels of the fine picture are left out at each edge."),
        (
            "Headline",
            "PSNR, SSIM and sharpness are those of luma (ITU-R BT.601, full range) for 8-bit "
            "images of three and more bands, else the mean of the bands'. Equal pictures count as "
            "100 dB.",
        ),
        (
            "Holes",
            "Nodata is not scored, nor is any pixel of the low resolution that the degradation "
            f"made of nodata; where it draws how far it looks, {MARGIN} pixels around.",
        ),
        ("Large images", f"Of images larger than {LARGEST} pixels a side, the middle is scored."),
        (
            "Intervals",
            f"95 % percentile bootstrap, 10,000 draws of {_unit(evaluation)}, seed "
            f"{protocol.seed}.",
        ),
        (
            "Detail",
            "Improvement, omission and hallucination as opensr-test defines them, with the "
            "normalised difference (L1 where values are negative), at the quarter of pixels with "
            "most missing detail; the three sum to 1.",
        ),
        (
            "Time, memory",
            "Wall time of one upscaling with the model loaded, files included; growth of resident "
            "memory at its peak (Linux only).",
        ),
    ]


def _unit(evaluation: Evaluation) -> str:
    return "crops, the unit, of one scene" if evaluation.kind == "scene" else "images, the unit"


def _low_resolution(evaluation: Evaluation) -> str:
    protocol, s = evaluation.protocol, evaluation.factor
    if evaluation.kind == "pairs":
        how = "Taken by another sensor, as it is."
        if protocol.align:
            how += " The truth was resampled (cubic) onto its grid."
        if protocol.match:
            how += " Each band of the truth was brought to its values by a straight line."
        return how
    made = (
        f"made {s} times coarser by the degradation `{protocol.degradation}`{_sensor(protocol)}, "
        "rounded to the dtype"
    )
    if evaluation.kind == "scene":
        return (
            f"Crops of the scene without nodata, drawn with seed {protocol.seed}, {made}, restored "
            "and compared with themselves (Wald's protocol)."
        )
    return f"Each image, cut to a multiple of {s} pixels, is {made}, and compared with itself."


def _sensor(protocol: Protocol) -> str:
    if not protocol.sensor:
        return ""
    sensor = SENSORS[protocol.sensor]
    kind = "assumed: " if sensor.assumed else ""
    return (
        f" of the sensor {protocol.sensor} (a band that is described by the name of one of its "
        f"bands gets that one's modulation transfer, each other draws one; {kind}{sensor.source})"
    )
