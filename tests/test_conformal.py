"""Split-conformal quantiles against closed forms, and on noise whose deviation is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from geosr.metrics.conformal import (
    conformal_quantile,
    coverage,
    error_ratios,
    held_out_coverages,
)


@given(n=st.integers(1, 40), level=st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_one_pixel_a_scene_is_an_order_statistic(n, level):
    scenes = [np.array([float(value)]) for value in np.random.default_rng(n).permutation(n) + 1]
    assert conformal_quantile(scenes, level) == math.ceil(round(level * n, 9))
    place = math.ceil(round(level * (n + 1), 9))  # the textbook's
    wanted = place if place <= n else math.inf
    assert conformal_quantile(scenes, level, finite_sample=True) == wanted


def test_scenes_count_alike_however_many_pixels_they_have():
    small, large = np.array([1.0]), np.full(10_000, 5.0)
    assert conformal_quantile([small, large], 0.5) == 1.0
    assert conformal_quantile([small, large], 0.51) == 5.0
    assert conformal_quantile([large, np.array([]), small], 0.5) == 1.0  # no pixel, no say


def test_nothing_gives_nothing():
    assert math.isnan(conformal_quantile([], 0.9))
    assert math.isnan(coverage(np.array([]), 1.0))


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_gaussian_noise_of_a_known_deviation(level):
    rng = np.random.default_rng(4)
    scenes = []
    for deviation in (0.5, 2.0, 30.0, 900.0):
        sigma = np.full((80, 90), deviation)
        truth = rng.normal(1000, 1, sigma.shape)
        scenes.append(error_ratios(truth + rng.normal(0, deviation, sigma.shape), truth, sigma))
    found = conformal_quantile(scenes, level)
    assert found == pytest.approx(norm.ppf((1 + level) / 2), rel=0.03)
    assert np.mean(held_out_coverages(scenes, level)) == pytest.approx(level, abs=0.01)


def test_a_sigma_that_is_twice_too_small_is_mended():
    rng = np.random.default_rng(5)
    scenes = [np.abs(rng.normal(0, 2, 5000)) for _ in range(6)]
    assert coverage(scenes[0], 1.96) < 0.7
    assert np.mean(held_out_coverages(scenes, 0.95)) == pytest.approx(0.95, abs=0.01)


def test_the_correction_covers_a_new_scene_on_average():
    """Ten scenes of different difficulty, one pixel each."""
    rng = np.random.default_rng(6)
    covered = {False: [], True: []}
    for _ in range(400):
        scenes = [np.abs(rng.normal(0, rng.uniform(1, 3), 1)) for _ in range(11)]
        for corrected, found in covered.items():
            limit = conformal_quantile(scenes[1:], 0.8, finite_sample=corrected)
            found.append(coverage(scenes[0], limit))
    assert np.mean(covered[True]) >= 0.8 - 2 * math.sqrt(0.8 * 0.2 / 400)
    assert np.mean(covered[False]) < np.mean(covered[True])


def test_ratios_where_sigma_is_zero():
    found = error_ratios(np.array([5, 5, 7], "uint8"), np.array([5, 6, 3], "uint8"), np.zeros(3))
    assert found.tolist() == [0, math.inf, math.inf]
