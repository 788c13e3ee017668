"""A cloud-optimised GeoTIFF in one pass: tiles are appended as they come, the directory last.

In the order in which data flows: `layout` (which tiles there are), `pyramid` (overviews of a
block), `encode` (compressed tiles), `sink` (append and journal), `top` (the overviews that no
block can make), `directory` (the header over ready-made tiles).
"""
