"""Networks without a card: a user's .onnx or .keras file, its facts found by probe.

In the order of a run: `opening` (file to function), `layout` (which arrays it takes and gives),
`probe` (how far it looks, whether tiles of it agree), `predictor` (the result as a
`geosr.engine.Predictor`), `tiles` (how a raster is cut for it).
"""

from geosr.foreign.opening import is_model_path
from geosr.foreign.predictor import ForeignPredictor, open_foreign
from geosr.foreign.tiles import lay_tiles

__all__ = ["ForeignPredictor", "is_model_path", "lay_tiles", "open_foreign"]
