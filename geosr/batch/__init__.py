"""Many rasters in one go.

In the order in which data flows: `sources` (what was named, found; `stac` for items), `outputs`
(what each becomes), `run` (one after the other), `failures` (those that did not make it).
"""
