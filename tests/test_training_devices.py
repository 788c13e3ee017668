"""One batch shared among several devices."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")

from geosr.core.errors import DeviceError  # noqa: E402
from geosr.training.devices import share_batches  # noqa: E402

STEPS = """
import json, sys
import keras, numpy as np
from pathlib import Path
from geosr.models.families import build
from geosr.training.devices import share_batches
from geosr.training.recipe import Recipe, Source
from geosr.training.run import Run
devices = share_batches() if sys.argv[1] == "shared" else 1
keras.utils.set_random_seed(0)
recipe = Recipe("t", "geosr-lite", 2, (Source("*"),), batch_size=4, patch=12, warmup=0)
run = Run(recipe, {2: build("geosr-lite", 2, expansion=4)}, Path("."))
rng = np.random.default_rng(0)
low, high = rng.random((4, 32, 32, 1), np.float32), rng.random((4, 24, 24, 1), np.float32)
losses = [run.train_on([low], [high])["loss"] for _ in range(3)]
print(json.dumps([devices, losses]))
"""


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="is for other backends")
def test_other_backends_are_told_which_one_it_takes():
    with pytest.raises(DeviceError, match="with JAX only") as caught:
        share_batches()
    assert "KERAS_BACKEND=jax" in caught.value.hint


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")
def test_two_devices_learn_what_one_does():
    """Two virtual processors: the losses agree to rounding."""
    found = {}
    for how, devices in (("shared", 2), ("alone", 1)):
        done = subprocess.run(
            [sys.executable, "-c", STEPS, how],
            env={
                **os.environ,
                "KERAS_BACKEND": "jax",
                "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        found[how] = json.loads(done.stdout.splitlines()[-1])
        assert found[how][0] == devices
    np.testing.assert_allclose(found["shared"][1], found["alone"][1], rtol=1e-4)
