"""Pictures of what a network makes while it is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geosr.training.checkpoint import replacing
from geosr.training.patches import Pair
from geosr.training.planes import Plane

ROWS, SIDE, GAP = 6, 160, 4
"""Pairs shown, output pixels of each picture's side at most, white pixels between them."""


def write_samples(path: Path, pairs: list[Pair], outputs: list[Plane]) -> None:
    """Write a PNG with a row for each pair: low resolution, output, truth, in the truth's range.

    Of bands that are seen together the first is shown.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    from matplotlib.image import imsave  # slow to load, and needed here only

    shown = sorted({i * len(pairs) // ROWS for i in range(ROWS)}) if pairs else []
    rows = [_row(pairs[i], outputs[i]) for i in shown]
    if not rows:
        return
    width = max(row.shape[1] for row in rows)
    fitted = [
        np.pad(row, ((0, GAP), (0, width - row.shape[1])), constant_values=1.0) for row in rows
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        imsave(partial, np.concatenate(fitted), cmap="gray", vmin=0.0, vmax=1.0)


def _row(pair: Pair, output: Plane) -> Plane:
    low, output, high = (x.reshape(-1, *x.shape[-2:])[0] for x in (pair.low, output, pair.high))
    factor = high.shape[0] // low.shape[0]
    low = np.kron(low, np.ones((factor, factor), np.float32))
    black, white = np.percentile(high, (0.5, 99.5))
    parts = []
    for image in (low, output, high):
        row, col = (max(n - SIDE, 0) // 2 for n in image.shape)
        part = image[row : row + SIDE, col : col + SIDE]
        scaled = np.clip((part - black) / max(white - black, 1e-6), 0, 1)
        parts.append(np.pad(scaled, ((0, 0), (0, GAP)), constant_values=1.0))
    shown: Plane = np.concatenate(parts, axis=1)
    return shown
