"""A Zarr store, version 3: a folder with one file for each block.

In the order in which data flows: `options` (how to compress), `layout` (which file holds which
block), `attributes` (what the store says besides its pixels), `store` (arrays in memory: a block's
bytes, and the store's metadata), `sink` (files and journal), `place` (the final name).
"""
