"""Table 5.1: its pictures, its networks and what it makes of them."""

import numpy as np
import pandas as pd
import pictures
import pytest
import table_5_1 as table
import torch

from sbi_inn.training.settings import Training


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Have few letters, drawn into a folder of the test."""
    monkeypatch.setattr(pictures, "CACHE", tmp_path)
    monkeypatch.setattr(pictures, "GLYPHS", 200)
    monkeypatch.setattr(pictures, "GLYPH_TESTS", 100)
    monkeypatch.setattr(pictures, "OTHERS", 30)


def test_five_folds_test_every_digit_once(few):
    folds = list(pictures.digits(1))
    assert [len(fold.test) for fold in folds] == [360, 360, 359, 359, 359]
    tested = np.concatenate([fold.test_labels for fold in folds])
    assert np.bincount(tested).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    for fold in folds:
        assert len(fold.train) + len(fold.test) == 1_797
        assert fold.train.std() == pytest.approx(1)


def test_pictures_unlike_them_differ_and_have_whole_levels_where_they_do(few):
    digits, letters = next(pictures.digits(1)), next(pictures.letters(1))
    assert digits.dim == 64
    assert letters.dim == 256
    for data in (digits, letters):
        assert set(data.others) == set(table.UNLIKE)
        for x in data.others.values():
            assert x.shape == (30, data.dim)
    for x in digits.others.values():
        levels = (x - digits.train.min()) / digits.level
        assert np.abs(levels - np.rint(levels)).max() < 1e-9


def test_turning_keeps_the_noise_of_the_camera(few):
    blank = np.random.default_rng(1).normal(0, pictures.glyphs.NOISE, (200, 16, 16))
    turned = pictures.unlike(blank, 1.0, np.random.default_rng(2))["rotated"]
    assert turned[:, 6:10, 6:10].std() == pytest.approx(pictures.glyphs.NOISE, rel=0.1)


@pytest.mark.parametrize("dim", [64, 256])
def test_networks_have_about_as_many_weights(dim):
    counts = {
        name: sum(p.numel() for p in table.built(*table.MODELS[name], dim)[0].parameters())
        for name in ("IB-INN, gamma 1", "softmax", "VIB, gamma 1", "class likelihood")
    }
    assert max(counts.values()) < 1.06 * min(counts.values())


@pytest.mark.parametrize("name", ["IB-INN, gamma 1", "IB-INN, only L_Y", "softmax", "VIB, gamma 1"])
def test_every_kind_learns_and_is_measured(few, name):
    data = next(pictures.digits(1))
    network, _ = table.trained(
        *table.MODELS[name], data, Training(epochs=6, batch_size=128, learning_rate=3e-3), 1
    )
    log_p, labels, about = table.measured_fold(network, data, np.random.default_rng(1))
    assert (log_p.argmax(axis=1) == labels).mean() > 0.5
    assert np.exp(log_p).sum(axis=1) == pytest.approx(1)
    assert ("bits/dim" in about) == ("IB-INN" in name)


def test_the_class_likelihood_is_that_of_the_true_component():
    network, loss = table.built("class likelihood", {}, 4)
    rows = table.rows(np.zeros((3, 4)), np.array([0, 1, 2]))
    with torch.no_grad():
        z, log_det = network.latent(rows)
        own = torch.distributions.Normal(network.mixture.means[[0, 1, 2]], 1.0)
        expected = -(own.log_prob(z).sum(dim=1) + log_det) / 4
        assert torch.allclose(loss(rows), expected, atol=1e-5)


def test_detection_by_typicality_sees_both_sides():
    rng = np.random.default_rng(1)
    usual, high, low = rng.normal(size=(3, 400))
    assert table.detection(usual, high + 4) > 0.95
    assert table.detection(usual, low - 4) > 0.95
    assert abs(table.detection(usual, rng.normal(size=400)) - 0.5) < 0.1


def test_rows_become_tables_and_figures(tmp_path):
    rng = np.random.default_rng(1)
    p = rng.dirichlet([0.3] * 10, size=300)
    labels = (rng.random((300, 1)) > p.cumsum(axis=1)).sum(axis=1)
    about = {"entropy": 1.0, "bits/dim": 2.0, "L_X": 90.0}
    about |= {f"{kind}, {name}": 0.9 for kind in ("entropy", "detected") for name in table.UNLIKE}
    row = table.pooled([(np.log(p), labels, about)], rng)
    assert abs(row["ECE"] - row["ECE, floor"]) < 0.02
    source = {"commit": "abc", "date": "2026-11-26", "cores": 2, "threads": 1, "seed": 1}
    rows = pd.DataFrame([source | row | {"model": name, "data": "digits"} for name in table.MODELS])
    text = table.table(rows)
    assert "IB-INN, gamma 50" in text
    assert "0.0001" in text
    latent = pd.DataFrame(
        [
            {"model": "IB-INN, gamma 1", "data": "digits", "class": f"{k} {axis}"}
            | {str(i): float(k + i) for i in range(4)}
            for k in range(10)
            for axis in "xy"
        ]
    )
    table.draw_all(rows, latent, tmp_path)
    assert {f.stem for f in tmp_path.iterdir()} == {"fig_5_7", "fig_5_8", "fig_5_11", "fig_5_14"}
