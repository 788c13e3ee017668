"""How good models are: on a folder of images, on real pairs, on a user's own scene.

In the order of a run: `protocol` (what is asked for), `samples` (truth and low resolution, one
image at a time: `lowering` makes it, or `overlap` lays pairs on each other), `methods` (the low
resolution upscaled), `scoring` (one picture's scores), `summary` (means and intervals), `plots`,
`pictures` and `report` (one HTML file), `run` (all of it). `comparison` does without truth.
"""
