"""``geosr models``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import click

from geosr.cli import options
from geosr.cli.progress import finite
from geosr.cli.session import EventCommand, json_errors
from geosr.core.facts import KERNEL_FACTORS, KERNEL_RADIUS, ModelFacts, kernel_facts

HEADER = ("name", "factor", "bands", "radius", "parameters", "gain", "bfloat16", "int8", "licence")


@click.command(cls=EventCommand, short_help="List the models.")
@options.json_option
def models(as_json: bool) -> None:
    """List the models, for the option --model of `geosr upscale`.

    \b
    bands     each: every band by itself; else those that are seen together, in this order
    radius    source pixels on each side that an output pixel depends on
    gain      PSNR above bicubic in dB, as the model's card says
    bfloat16  largest difference from float32, of 10,000; a dash: not allowed
    int8      the same; a dash: not there
    """
    with json_errors(as_json):
        from geosr.core.catalog import known_models

        networks = sorted(known_models(), key=lambda facts: facts.name)
        if as_json:
            kernels = (kernel_facts(name, n) for name in KERNEL_RADIUS for n in KERNEL_FACTORS)
            facts = [asdict(model) for model in (*networks, *kernels)]
            click.echo(json.dumps(finite(facts), indent=2))
        else:
            click.echo("\n".join(table((HEADER, *map(_row, networks), *_kernel_rows()))))


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the rows as lines with aligned columns.

    >>> table([("a", "b"), ("long", "c")])
    ['a     b', 'long  c']
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(facts: ModelFacts) -> tuple[str, ...]:
    gain = facts.scores.get("gain_db")
    error = facts.bfloat16_error
    return (
        facts.name,
        str(facts.upscale_factor),
        "each" if facts.bands == 1 else ",".join(facts.band_names) or str(facts.bands),
        str(facts.radius),
        f"{facts.parameters:,}",
        "-" if gain is None else f"{gain:+.2f} dB",
        "-" if error is None else f"{error:,.2f}" if error < 1 else f"{error:,.0f}",
        "-" if facts.int8_error is None else f"{facts.int8_error:,.0f}",
        facts.licence or "-",
    )


def _kernel_rows() -> Iterable[tuple[str, ...]]:
    factors = f"{KERNEL_FACTORS[0]}-{KERNEL_FACTORS[-1]}"
    for name in KERNEL_RADIUS:
        facts = kernel_facts(name, KERNEL_FACTORS[0])
        row = _row(facts)
        yield (name, factors, *row[2:4], "-", "0 dB" if name == "bicubic" else "-", *row[6:])
