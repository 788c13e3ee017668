"""Small networks as a user might bring them, for the tests of networks without a card."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - after the skip

FREE = ("n", "c", "h", "w")


def save(path, nodes, weights, shape, *, outputs=("y",), kind=TensorProto.FLOAT):
    """Write a graph from ``x`` to ``outputs``."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


def node(kind, inputs, output, **attributes):
    """Return a node of one output."""
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def shape_of(bands, side):
    """Return a declared input shape: any batch and size, or one of a fixed side."""
    return ["n", bands, "h", "w"] if side is None else [1, bands, side, side]


def nearest(path, *, bands=1, factor=2, side=None):
    """Repeat pixels: a 1 x 1 convolution and a pixel shuffle."""
    w = np.zeros((bands * factor**2, bands, 1, 1), np.float32)
    w[np.arange(len(w)), np.arange(len(w)) // factor**2] = 1
    nodes = [node("Conv", "x w", "a"), shuffle("a", "y", factor)]
    return save(path, nodes, {"w": w}, shape_of(bands, side))


def shuffle(source, target, factor):
    """Return the pixel shuffle."""
    return node("DepthToSpace", source, target, blocksize=factor, mode="CRD")


def kernels(bands=1, factor=2, hidden=8, seed=0):
    """Return the weights of `convolutions`."""
    rng = np.random.default_rng(seed)
    first = rng.normal(0, 0.3, (hidden, bands, 3, 3)).astype(np.float32)
    last = rng.normal(0, 0.1, (bands * factor**2, hidden, 3, 3)).astype(np.float32)
    last[:, 0] += 0.1
    return {"w": first, "b": rng.normal(0, 0.1, hidden).astype(np.float32), "v": last}


def convolutions(path, *, bands=1, factor=2, side=None, valid=False, seed=0):
    """Two 3 x 3 convolutions, the first with a bias and ReLU: radius 2."""
    pads = [0 if valid else 1] * 4
    nodes = [
        node("Conv", "x w b", "a", pads=pads),
        node("Relu", "a", "r"),
        node("Conv", "r v", "d", pads=pads),
        shuffle("d", "y", factor),
    ]
    return save(path, nodes, kernels(bands, factor, seed=seed), shape_of(bands, side))


def untiled(x, weights, factor=2, margin=2):
    """Return `convolutions` of ``(bands, h, w)`` in float64, mirrored at the edges."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (margin, margin), (margin, margin)), "reflect")
    hidden = np.maximum(correlated(padded, weights["w"]) + weights["b"][:, None, None], 0)
    phases = correlated(hidden, weights["v"])
    bands, (height, width) = len(x), x.shape[1:]
    cut = phases.reshape(bands, factor, factor, height, width)
    return cut.transpose(0, 3, 1, 4, 2).reshape(bands, height * factor, width * factor)


def correlated(x, kernel):
    """Return the valid correlation, one output band per kernel."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows, kernel.astype(np.float64), optimize=True)


def pooled(path, *, bands=1, factor=2, side=None, strength=1.0):
    """Repeat pixels, and add ``strength`` times the mean of all that is seen: not local."""
    w = np.zeros((bands * factor**2, bands, 1, 1), np.float32)
    w[np.arange(len(w)), np.arange(len(w)) // factor**2] = 1
    nodes = [
        node("GlobalAveragePool", "x", "m"),
        node("Mul", "m k", "km"),
        node("Add", "x km", "a"),
        node("Conv", "a w", "b"),
        shuffle("b", "y", factor),
    ]
    return save(path, nodes, {"w": w, "k": np.float32(strength)}, shape_of(bands, side))


def normalised(path, *, scale=1.0):
    """Repeat pixels of the instance-normalised picture, scaled back: a constant stays."""
    w = np.ones((4, 1, 1, 1), np.float32)
    nodes = [
        node("GlobalAveragePool", "x", "m"),
        node("Sub", "x m", "d"),
        node("Mul", "d d", "dd"),
        node("GlobalAveragePool", "dd", "v"),
        node("Add", "v eps", "ve"),
        node("Sqrt", "ve", "s"),
        node("Div", "d s", "q"),
        node("Mul", "q k", "qk"),
        node("Add", "x qk", "a"),
        node("Conv", "a w", "b"),
        shuffle("b", "y", 2),
    ]
    weights = {"w": w, "eps": np.float32(1e-3), "k": np.float32(scale)}
    return save(path, nodes, weights, shape_of(1, None))


def strided(path):
    """A convolution of stride 2 and a pixel shuffle by 4: it stands on a grid of 2 pixels."""
    rng = np.random.default_rng(3)
    w = rng.normal(0, 0.3, (16, 1, 3, 3)).astype(np.float32)
    nodes = [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1], strides=[2, 2]),
        shuffle("a", "y", 4),
    ]
    return save(path, nodes, {"w": w}, shape_of(1, None))


def channels_last(path, *, bands=3):
    """`nearest` in the layout of TensorFlow."""
    w = np.zeros((bands * 4, bands, 1, 1), np.float32)
    w[np.arange(len(w)), np.arange(len(w)) // 4] = 1
    nodes = [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t w", "a"),
        shuffle("a", "b", 2),
        node("Transpose", "b", "y", perm=[0, 2, 3, 1]),
    ]
    return save(path, nodes, {"w": w}, ["n", "h", "w", bands])


def resized(path, *, factor):
    """Enlarge by any factor, bilinearly."""
    scales = np.array([1, 1, factor, factor], np.float32)
    nodes = [
        helper.make_node(
            "Resize", ["x", "", "s"], ["y"], mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
    ]  # fmt: skip
    return save(path, nodes, {"s": scales}, shape_of(1, None))


def aligned(path):
    """Enlarge with corners aligned: its steps depend on the size of the picture."""
    scales = np.array([1, 1, 2, 2], np.float32)
    nodes = [
        helper.make_node(
            "Resize", ["x", "", "s"], ["y"], mode="linear",
            coordinate_transformation_mode="align_corners",
        )
    ]  # fmt: skip
    return save(path, nodes, {"s": scales}, shape_of(1, None))
