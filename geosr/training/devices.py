"""Training on several devices at once."""

from __future__ import annotations

import keras

from geosr.core.errors import DeviceError


def share_batches() -> int:
    """Let Keras split each batch evenly among all devices; return how many there are.

    It holds for all networks that are made afterwards. Keras 3.15 distributes with JAX only; its
    TensorFlow part calls itself a prototype that is not to be used.

    Raises
    ------
    DeviceError
        If the backend is not JAX, or there is one device.
    """
    backend = keras.backend.backend()
    if backend != "jax":
        raise DeviceError(
            f"Keras shares batches among devices with JAX only; the backend is {backend}.",
            hint='pip install "jax[cuda12]" and set KERAS_BACKEND=jax, or leave --data-parallel '
            "out.",
        )
    devices = keras.distribution.list_devices()
    if len(devices) < 2:
        raise DeviceError(
            f"There is one device, {devices[0]}: nothing to share batches among.",
            hint="Leave --data-parallel out.",
        )
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    return len(devices)
