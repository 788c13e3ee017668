"""The course of a training run, as CSV and as a picture."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """The state after some steps: loss since the last row, validation scores in dB."""

    step: int
    seconds: float
    loss: float
    learning_rate: float
    psnr: float
    bicubic: float

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


def write_history(rows: list[Row], out_dir: Path, *, title: str) -> None:
    """Write ``history.csv`` and ``history.png``."""
    with (out_dir / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*(f.name for f in fields(Row)), "gain"])
        writer.writeheader()
        writer.writerows({**asdict(row), "gain": row.gain} for row in rows)
    _plot(rows, out_dir / "history.png", title)


def read_history(out_dir: Path) -> list[Row]:
    """Read ``history.csv`` back; empty if there is none."""
    path = out_dir / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Row(int(line["step"]), *(float(line[f.name]) for f in fields(Row)[1:]))
            for line in csv.DictReader(file)
        ]


def _plot(rows: list[Row], path: Path, title: str) -> None:
    from matplotlib.figure import Figure  # slow to load, and needed here only

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([r.step for r in rows], [r.gain for r in rows], marker=".", label="gain, dB")
    axes.axhline(0, color="gray", linewidth=0.8)
    axes.set(title=title, xlabel="step", ylabel="validation PSNR above bicubic (dB)")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
