"""The course of a training run, as CSV and as a picture."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from geosr.training.checkpoint import replacing


@dataclass(frozen=True)
class Row:
    """The state after some steps: losses since the last row, validation scores in dB.

    ``terms`` has the mean of each loss term before weighting, and what else was watched.
    """

    step: int
    seconds: float
    loss: float
    learning_rate: float
    psnr: float
    bicubic: float
    terms: dict[str, float] = field(default_factory=dict)

    @property
    def gain(self) -> float:
        """Validation PSNR above bicubic's, in dB."""
        return self.psnr - self.bicubic

    def line(self) -> str:
        """Return the row as a sentence for the progress."""
        return (
            f"step {self.step}: validation {self.psnr:.2f} dB, {self.gain:+.3f} dB against "
            f"bicubic, loss {self.loss:.5f}, {self.seconds:.0f} s"
        )


_COLUMNS = tuple(f.name for f in fields(Row) if f.name != "terms")


def write_history(rows: list[Row], out_dir: Path, *, title: str) -> None:
    """Write ``history.csv``, with a column for each loss term, and ``history.png``.

    Raises
    ------
    OutputError
        If they cannot be written; the old ones are left then.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.terms))
    with (
        replacing(out_dir / "history.csv") as path,
        path.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, [*_COLUMNS, "gain", *names])
        writer.writeheader()
        for row in rows:
            line = {name: value for name, value in asdict(row).items() if name != "terms"}
            writer.writerow({**line, "gain": row.gain, **row.terms})
    with replacing(out_dir / "history.png") as path:
        _plot(rows, path, title)


def read_history(out_dir: Path) -> list[Row]:
    """Read ``history.csv`` back; empty if there is none."""
    path = out_dir / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [_row(line) for line in csv.DictReader(file)]


def _row(line: dict[str, str]) -> Row:
    terms = {k: float(v) for k, v in line.items() if k not in (*_COLUMNS, "gain") and v}
    numbers = {name: float(line[name]) for name in _COLUMNS[1:]}
    return Row(step=int(line["step"]), terms=terms, **numbers)


def _plot(rows: list[Row], path: Path, title: str) -> None:
    from matplotlib.figure import Figure  # slow to load, and needed here only

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([r.step for r in rows], [r.gain for r in rows], marker=".", label="gain, dB")
    axes.axhline(0, color="gray", linewidth=0.8)
    axes.set(title=title, xlabel="step", ylabel="validation PSNR above bicubic (dB)")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
