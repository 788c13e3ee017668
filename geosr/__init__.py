"""geosr makes GeoTIFFs sharper without moving them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geosr.api import plan_file, upscale, upscale_file

__version__ = "0.1.0"
__all__ = ["__version__", "plan_file", "upscale", "upscale_file"]


def __getattr__(name: str) -> Any:
    """Load the public names when they are first used: a bare ``import geosr`` stays light."""
    if name in __all__:
        from geosr import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
