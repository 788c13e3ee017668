"""Training against a discriminator: who learns when, resuming, balance, collapse, samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from training_scenes import TINY, write_images

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")
pytest.importorskip("tf2onnx", reason="needs geosr[tensorflow]")

from geosr.core.errors import OptionError, TrainingError  # noqa: E402
from geosr.core.facts import ModelFacts  # noqa: E402
from geosr.models.families import build  # noqa: E402
from geosr.training import gan  # noqa: E402
from geosr.training.balance import Balance, signs_of_collapse  # noqa: E402
from geosr.training.fit import train  # noqa: E402
from geosr.training.history import Row, read_history  # noqa: E402
from geosr.training.recipe import Gan, read_recipe  # noqa: E402

RECIPE = replace(
    TINY,
    learning_rate=1e-3,
    validate_every=2,
    losses={"charbonnier": 1.0, "adversarial": {"weight": 0.01, "kind": "relativistic"}},
    gan=Gan(pretrain=2, pause_above=1.0),
)


def small_critic(*_):
    """Spectral normalisation included: its vectors must survive a stop, too."""
    norm = keras.layers.SpectralNormalization
    return keras.Sequential(
        [
            keras.Input((None, None, 1)),
            norm(keras.layers.Conv2D(6, 4, 2, padding="same")),
            keras.layers.LeakyReLU(0.2),
            norm(keras.layers.Conv2D(6, 4, 2, padding="same")),
            keras.layers.LeakyReLU(0.2),
            keras.layers.Conv2D(1, 3, padding="same"),
        ]
    )


@pytest.fixture(autouse=True)
def critics(monkeypatch):
    made = []
    monkeypatch.setattr(gan, "_critic", lambda *_: made.append(small_critic()) or made[-1])
    return made


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("images"))


def values(layer) -> list[np.ndarray]:
    return [np.array(w) for w in layer.get_weights()]


def same(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture
def run(tmp_path):
    keras.utils.set_random_seed(0)
    return gan.GanRun(RECIPE, {2: build("geosr-lite", 2, expansion=8)}, tmp_path)


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return (
        [rng.random((2, 32, 32, 1), dtype=np.float32)],
        [rng.random((2, 24, 24, 1), dtype=np.float32)],
    )


def test_each_step_moves_one_of_the_two(run):
    from geosr.training.run import take_step

    network, critic = values(run.trained), values(run.critic)
    take_step(run.maker_step, *batch())
    assert not same(network, values(run.trained))
    assert same(critic, values(run.critic))
    network = values(run.trained)
    take_step(run.critic_step, *batch())
    assert same(network, values(run.trained))
    moved = zip(critic, values(run.critic), strict=True)
    assert all(not np.array_equal(a, b) for a, b in moved if a.ndim > 1)


def test_pixels_first_then_both(run):
    run.step = 1
    critic = values(run.critic)
    assert set(run.train_on(*batch())) == {"loss", "charbonnier"}
    assert same(critic, values(run.critic))
    run.step = 2
    found = run.train_on(*batch())
    assert set(found) >= {"charbonnier", "adversarial", "critic", "right", "waits"}
    total = found["charbonnier"] + 0.01 * found["adversarial"]
    assert found["loss"] == pytest.approx(total, rel=1e-4)
    assert not same(critic, values(run.critic))


def test_a_discriminator_far_ahead_waits(run):
    run.step, run.balance.right = 5, 1.0
    run.gan = Gan(pause_above=0.9)
    critic = values(run.critic)
    found = run.train_on(*batch())
    assert (found["waits"], found["critic"]) == (1.0, 0.0)
    assert same(critic, values(run.critic))
    run.balance.right = 0.5
    assert run.train_on(*batch())["waits"] == 0.0


def test_a_critic_learns_to_tell_noise_from_smooth(run):
    """With a network that does not move, its accuracy rises."""
    from geosr.training.run import take_step

    run.critic_optimizer.learning_rate = 5e-3
    smooth = np.zeros((2, 24, 24, 1), np.float32) + 0.5
    low = batch()[0]
    first = take_step(run.critic_step, low, [smooth])["loss"]
    for _ in range(60):
        last = take_step(run.critic_step, low, [smooth])["loss"]
    assert last < 0.6 * first


def test_run_is_the_same_stopped_or_not_and_leaves_samples(images, tmp_path, critics):
    class StoppedError(Exception):
        pass

    def stop_at_five(event):
        if event["event"] == "progress" and event["done"] == 5:
            raise StoppedError

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    card = train(RECIPE, images, whole)
    with pytest.raises(StoppedError):
        train(RECIPE, images, stopped, on_event=stop_at_five)
    train(RECIPE, images, stopped)  # from the checkpoint of step 4, in the second phase
    with np.load(whole / "checkpoint.npz") as a, np.load(stopped / "checkpoint.npz") as b:
        assert a.files == b.files
        for name in set(a.files) - {"facts"}:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(values(critics[0]), values(critics[2]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    rows = read_history(whole)
    assert [row.step for row in rows] == [2, 4, 6]
    assert set(rows[0].terms) == {"charbonnier"}
    assert {"adversarial", "critic", "right", "waits", "sharpness"} <= set(rows[2].terms)
    pictures = sorted((whole / "samples").iterdir())
    assert [p.name for p in pictures] == [f"step_{n:06d}_x2.png" for n in (2, 4, 6)]
    assert pictures[0].read_bytes().startswith(b"\x89PNG")
    facts = ModelFacts.from_card(card.read_text())
    assert facts.consistency == "block-mean"
    assert facts.training["recipe"]["gan"]["pretrain"] == 2


def test_a_collapsed_run_stops(images, tmp_path):
    recipe = replace(RECIPE, gan=Gan(pretrain=0, tolerance=-50.0))
    with pytest.raises(TrainingError, match="the network has collapsed"):
        train(recipe, images, tmp_path)


def row(**terms) -> Row:
    return Row(10, 1.0, 0.1, 1e-4, 30.0, 29.0, terms)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"right": 0.7, "sharpness": 0.9}, None),
        ({"right": 1.0, "sharpness": 0.9}, "learns little"),
        ({"right": 0.1, "sharpness": 0.9}, "worse than a coin"),
        ({"right": 0.7, "sharpness": 0.1}, "collapses to blur"),
        ({"right": 0.7, "sharpness": 4.0}, "fills with noise"),
        ({}, None),
    ],
)
def test_signs_of_collapse_are_said(terms, said):
    found = signs_of_collapse(row(**terms))
    assert (not found) if said is None else said in " ".join(found)


def test_balance_forgets_slowly():
    balance = Balance()
    for _ in range(50):
        balance.note(1.0)
    assert balance.pauses(0.95)
    balance.note(0.0)
    assert not balance.pauses(0.95)


def test_gan_without_an_adversarial_loss_is_an_error(tmp_path):
    with pytest.raises(OptionError, match=r"\[gan\] and no adversarial loss"):
        replace(RECIPE, losses={"l1": 1.0})
    text = 'name="a"\narchitecture="geosr"\nupscale_factor=2\n[[sources]]\nglob="*"\n'
    path = tmp_path / "r.toml"
    path.write_text(text + "[losses]\nl1=1\nadversarial=0.1\n[gan]\npretrian=3\n")
    with pytest.raises(OptionError, match="unknown key: pretrian") as caught:
        read_recipe(path)
    assert "Did you mean pretrain?" in caught.value.hint
