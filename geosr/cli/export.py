"""``geosr export``."""

from __future__ import annotations

from pathlib import Path

import click

from geosr.cli import options
from geosr.cli.progress import Progress
from geosr.cli.session import EventCommand, command_session
from geosr.cli.train import need_keras
from geosr.core.catalog import find_model
from geosr.core.errors import OptionError
from geosr.core.facts import ModelFacts

FORMATS = ("openvino-int8", "tflite", "onnx", "keras")


@click.command(cls=EventCommand, short_help="Write a model for small devices or other programs.")
@click.argument("model", metavar="MODEL")
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), required=True, help="What to make of it."
)
@click.option("--out", required=True, metavar="PATH", help="File; for openvino-int8 a folder.")
@click.option("-f", "--factor", type=int, metavar="N", help="Of the model, if it has several.")
@click.option(
    "--data",
    "data_dir",
    metavar="DIR",
    help="For openvino-int8: folder of the images that the model's recipe names.",
)
@click.option("--float16", is_flag=True, help="For tflite: weights of half the size.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@options.run_options
def export(
    model: str,
    *,
    kind: str,
    out: str,
    factor: int | None,
    data_dir: str | None,
    float16: bool,
    overwrite: bool,
    progress: Progress | None,
    exit_with_stdin: bool,
    log_path: str | None,
    verbose: int,
    quiet: bool,
) -> None:
    """Write MODEL in another form.

    \b
    geosr export geosr-lite-x2 --format openvino-int8 --data images --out mine
    geosr upscale scene.tif sharper.tif --model mine/geosr-lite-x2.json --precision int8
    geosr export geosr-lite-x2 --format tflite --out geosr-lite-x2.tflite

    \b
    openvino-int8  the trained part with int8 weights; a folder with its card (geosr[quantise])
    tflite         the whole network for LiteRT (geosr[tensorflow])
    onnx, keras    the whole network, as it ships
    """
    with command_session(
        progress, -1 if quiet else verbose, with_stdin=exit_with_stdin, log_path=log_path
    ) as session:
        _check(kind, data_dir, float16=float16, overwrite=overwrite)
        facts = find_model(model, factor)
        if kind == "openvino-int8":
            written = _int8(facts, data_dir or "", out)
        elif kind == "tflite":
            written = _tflite(facts, out, float16=float16, overwrite=overwrite)
        else:
            from geosr.training.copies import copy_network

            copy_network(facts, kind, Path(out), overwrite=overwrite)
            written = f"{out}: {facts.name} as {kind}"
        session.emit({"event": "result", "output": out})
        if session.tells_people:
            click.echo(written)


def _check(kind: str, data_dir: str | None, *, float16: bool, overwrite: bool) -> None:
    int8 = kind == "openvino-int8"
    if int8 and data_dir is None:
        raise OptionError(
            "openvino-int8 needs --data: activations are calibrated on training images.",
            hint="Name the folder that the model was trained from.",
        )
    wrong = {"--data": data_dir and not int8, "--float16": float16 and kind != "tflite"}
    wrong["--overwrite"] = overwrite and int8
    for option, given in wrong.items():
        if given:
            raise OptionError(f"{option} does not apply to {kind}.", hint="Leave it out.")


def _int8(facts: ModelFacts, data_dir: str, out: str) -> str:
    need_keras("Drawing the recipe's patches")
    from geosr.training.int8 import export_int8

    card = export_int8(facts, data_dir, out)
    error = ModelFacts.from_card(card.read_text(encoding="utf-8")).int8_error
    return f"{card}: off by at most {error:g} of 10,000 on training images"


def _tflite(facts: ModelFacts, out: str, *, float16: bool, overwrite: bool) -> str:
    need_keras("Writing TFLite")
    from geosr.training.tflite import write_tflite

    share = write_tflite(facts, Path(out), float16=float16, overwrite=overwrite)
    return f"{out}: off by {share:.1e} of the contrast"
