"""What observations tell about each parameter, against what theory says."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from studies import SPREAD, ExactLine, exact, exact_posterior

KNOWN = 1 - np.diag(exact([0.0, 0.0])[1]) / SPREAD**2  # variance that y explains


def recovery(**wrong):
    return exact_posterior(2_000, 2_000, fitted=ExactLine(**wrong), simulator=False).recovery()


def test_the_share_of_variance_that_is_explained():
    found = recovery()
    # sd of a share at n = 2,000: about 2 sqrt(R2) (1 - R2) / sqrt(n) <= .01.
    assert found.r_squared == pytest.approx(KNOWN, abs=0.03)
    assert found.table["R2"].to_numpy() == pytest.approx(found.r_squared)
    assert found.table["contraction"].to_numpy() == pytest.approx(KNOWN, abs=0.02)
    assert found.table["median_abs_z"].to_numpy() == pytest.approx(0.6745, abs=0.06)
    assert found.value == pytest.approx(1 - KNOWN.min(), abs=0.03)


def test_the_sentence_names_the_best_and_the_least_known():
    assert KNOWN.round(2).tolist() == [0.82, 0.97]
    assert "of b, and" in recovery().sentence
    assert recovery().sentence.endswith("of a")


@pytest.mark.parametrize("wrong", [{"width": 8.0}, {"shift": 9.0}], ids=str)
def test_it_is_evidence_and_never_objects(wrong):
    assert recovery(**wrong).verdict == "trust"


def test_z_scores_show_what_is_wrong():
    assert recovery(shift=9.0).table["median_abs_z"].to_numpy() == pytest.approx(9, abs=0.3)


def test_two_figures():
    found = recovery()
    assert found.plot().axes
    (caption,) = found.more_figures()
    assert "contraction" in caption
    plt.close("all")
