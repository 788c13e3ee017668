"""The tile loop: read a block with its halo, predict its tiles, write it.

In the order in which data flows: `parts` (what goes in), `read`, `infer`, `run` (all at once);
`overlap` and `blend` stand beside `infer` for networks whose tiles do not fit together.
Nothing here knows a file format or a framework.
"""

from geosr.engine.parts import Predictor, Reader, Tally, Work, Writer
from geosr.engine.run import run

__all__ = ["Predictor", "Reader", "Tally", "Work", "Writer", "run"]
