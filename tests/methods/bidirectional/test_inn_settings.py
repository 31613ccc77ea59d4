"""Settings of the bidirectional network: what cannot be, and what is filled in."""

import numpy as np
import pytest

from sbi_inn.methods import INN
from sbi_inn.training.loop import Training


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": 0}, r"blocks=...\) must be positive; got 0"),
        ({"latent": -1}, r"latent=...\) must be positive; got -1"),
        ({"candidates": 0}, r"candidates=...\) must be positive; got 0"),
        ({"loss": "adversarial"}, r"loss=...\) must be one of .*got 'adversarial'"),
        ({"transform": "planar"}, r"transform=...\) must be one of .*got 'planar'"),
        ({"blur": (0.01, 1.0)}, r"blur=...\) must be positive and not rise; got \(0.01, 1.0\)"),
        ({"blur": (1.0, 0.0)}, r"blur=...\) must be positive and not rise"),
        ({"widths": ()}, r"widths=...\) must be positive numbers; got \(\)"),
        ({"widths": (0.2, -1.0)}, r"widths=...\) must be positive numbers"),
        ({"terms": ("y", "w")}, r"terms=...\) must be some of .*got \('y', 'w'\)"),
        ({"terms": ()}, r"terms=...\) must be some of"),
        ({"tolerance": -0.1}, r"tolerance=...\) must not be negative; got -0.1"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        INN(**settings)


@pytest.mark.parametrize(
    ("settings", "parameters", "loss", "padding", "latent"),
    [
        (INN(), 4, "likelihood", (0, 0), 2),
        (INN(loss="mmd"), 4, "mmd", (0, 0), 2),
        # As many observables as parameters: padded, by discrepancies to 16 at least.
        (INN(), 2, "mmd", (14, 12), 2),
        (INN(loss="mmd", width=5), 2, "mmd", (3, 1), 2),
        (INN(loss="mmd", latent=1), 4, "mmd", (12, 13), 1),
        (INN(loss="mmd"), 17, "mmd", (0, 0), 15),
        (INN(loss="mmd", latent=17), 17, "mmd", (2, 0), 17),
        # Trained by likelihood, what would be padding beside z is z.
        (INN(loss="likelihood"), 2, "likelihood", (2, 0), 2),
        (INN(loss="likelihood", width=9), 2, "likelihood", (7, 0), 7),
        (INN(loss="likelihood", latent=1), 4, "likelihood", (0, 0), 2),
    ],
)
def test_the_width_follows_from_both_sides(settings, parameters, loss, padding, latent):
    plane = np.random.default_rng(1).standard_normal((500, 2))
    found = settings.resolve(parameters, plane)
    sides = found.sides(parameters, 2, givens=3)
    assert (found.loss, sides.padding, sides.latent) == (loss, padding, latent)
    assert sides.givens == 3


def test_a_width_that_does_not_hold_both_sides():
    plane = np.random.default_rng(1).standard_normal((500, 2))
    with pytest.raises(ValueError, match="a width of at least 4; got 2 and 3"):
        INN(loss="mmd", width=3).resolve(4, plane).sides(4, 2, 0)


def test_training_takes_more_and_smaller_steps_than_elsewhere():
    usual = Training().resolve(90_000)
    found = INN().schedule(Training(), 90_000)
    assert (found.batch_size, found.epochs) == (512, usual.epochs)
    assert INN().schedule(Training(batch_size=2_000), 90_000).batch_size == 2_000
    assert INN().schedule(Training(), 2_000) == Training().resolve(2_000)


def test_what_is_filled_in_stays():
    filled = INN().resolve(3, np.random.default_rng(1).standard_normal((500, 1)))
    assert None not in (filled.blocks, filled.hidden, filled.loss, filled.latent, filled.width)
    assert filled.resolve(3, np.zeros((9, 1))) == filled
