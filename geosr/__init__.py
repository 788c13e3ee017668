"""geosr makes GeoTIFFs sharper without moving them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geosr.core.version import __version__

if TYPE_CHECKING:
    from geosr.api import plan_file, upscale, upscale_file, upscale_files

__all__ = ["__version__", "plan_file", "upscale", "upscale_file", "upscale_files"]


def __getattr__(name: str) -> Any:
    """Load the public names when they are first used: a bare ``import geosr`` stays light."""
    if name in __all__:
        from geosr import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
