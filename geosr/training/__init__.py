"""The training run: patches, losses, checkpoints, finished weights."""
