"""Values that can be trusted: holes filled, detail cut out, block means kept, integers exact.

All arrays in *phases* are ``(bands, s*s, height, width)``; see `geosr.kernels`.
"""

from __future__ import annotations
