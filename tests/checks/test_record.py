"""The face that every check shows, and when a finding is worth a word."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from studies import briefly, exact_posterior

from sbi_inn.checks.record import SIGNIFICANCE, VERDICTS, Finding, Limits, Record, Sight, deviation
from sbi_inn.plots.style import SINGLE_COLUMN_MM

NO_ERROR = {"recovery", "goodness of fit", "information at y", "posterior predictive"}
LIMITS = Limits("length", caution=0.1, distrust=0.3)


@dataclass(frozen=True, repr=False)
class Plain(Record):
    """A record of given findings."""

    found: tuple[Finding, ...]
    sights: tuple[Sight, ...] = ()

    @property
    def findings(self):
        return self.found

    @property
    def well(self):
        return "all <well>"

    @property
    def table(self):
        return pd.DataFrame({"length": [1.23456]}, index=["one"])

    def plot(self, width_mm=180.0):
        return plt.figure()


def finding(effect, p_value, words="off", error=0.01):
    return Finding(effect, error, LIMITS, p_value, words)


@pytest.mark.parametrize(
    ("effect", "p_value", "level"),
    [
        (0.05, 0.0, 0),  # significant, and too small to matter
        (0.2, 0.0026, 0),  # large, and chance may have made it
        (9.0, 0.02, 0),
        (0.2, 0.0024, 1),
        (0.31, 0.0, 2),
        (0.2, np.nan, 0),
        (0.1, 0.0, 0),
        (0.3, 0.0, 1),
    ],
)
def test_a_finding_needs_significance_and_effect(effect, p_value, level):
    assert finding(effect, p_value).level == level
    objections = ("trust", "caution", "do not trust")
    assert Plain((finding(effect, p_value),)).verdict == objections[level]


def test_the_worst_finding_decides():
    found = Plain((finding(0.02, 0.0, "a"), finding(0.2, 0.0, "b"), finding(5.0, 0.5, "c")))
    assert found.worst.words == "b"  # c is larger, and not significant
    assert (found.value, found.error, found.threshold) == (0.2, 0.01, 0.1)
    assert found.verdict == "caution"
    assert not found.passed
    assert found.sentence == "b"
    assert "Simulate more" in found.advice


def test_where_all_is_well():
    found = Plain((finding(0.02, 0.0), finding(0.05, 0.9)))
    assert found.passed
    assert found.value == 0.05
    assert found.sentence == "all <well>"
    assert found.advice == ""
    assert found.more_figures() == {}


def test_too_few_tests_cannot_tell():
    seen = Sight("a length below 0.2", 0.2, LIMITS, 100)
    unseen = Sight("a length below 0.6", 0.6, LIMITS, 100)
    calm = finding(0.05, 0.5)
    assert Plain((calm,), (seen,)).verdict == "trust"
    blind = Plain((calm,), (seen, unseen))
    assert blind.verdict == "cannot tell"
    assert not blind.passed
    assert blind.decided == "too few test simulations"
    # Errors shrink as the root of the number: half of .6 takes four times as many.
    assert blind.sentence == (
        "with 100 test simulations a length below 0.6 may not show: it takes 400"
    )
    assert "test simulations" in blind.advice
    # What is found all the same has shown.
    assert Plain((finding(0.2, 0.0),), (unseen,)).verdict == "caution"


def test_what_decided():
    assert Plain((finding(0.05, 0.0),)).decided == "within the limit"
    assert Plain((finding(0.2, 0.5),)).decided == "above the limit, as chance makes it"
    assert Plain((finding(0.2, 0.0),)).decided == "length 0.2 above 0.1"
    assert Plain((finding(0.5, 0.0),)).decided == "length 0.5 above 0.3"


def test_a_finding_may_count_from_another_p_value_on():
    assert Finding(0.2, 0.0, LIMITS, 0.02, "off", 0.05).level == 1


def test_the_smallest_effect_is_of_the_measure_that_the_record_shows():
    other = Sight("a height below 1", 1.0, Limits("height", 2.0, 3.0), 10)
    assert np.isnan(Plain((finding(0.05, 0.5),), (other,)).smallest)
    length = Sight("a length below 0.2", 0.2, LIMITS, 100)
    assert Plain((finding(0.05, 0.5),), (other, length)).smallest == 0.2


def test_effects_of_so_many_standard_errors_are_seen_in_nine_of_ten_cases():
    rng = np.random.default_rng(0)
    p = 2 * st.norm.sf(np.abs(deviation(looks=7) + rng.standard_normal(20_000)))
    assert (7 * p < SIGNIFICANCE).mean() == pytest.approx(0.9, abs=0.01)


def test_how_it_is_printed():
    bad, good = Plain((finding(0.2, 0.0, "a < b"),)), Plain((finding(0.0, 0.5),))
    assert repr(bad).splitlines()[0] == "caution: a < b"
    assert "1.23" in repr(bad)
    assert repr(bad).endswith(bad.advice)
    assert "Simulate" not in repr(good)
    html = bad._repr_html_()
    assert "<strong>caution</strong>: a &lt; b" in html
    assert "<table" in html


def test_every_check_has_the_face_of_a_record():
    posterior = briefly(exact_posterior(600, 600), 600)
    check = posterior.check([0.5, -1.0], progress=False)
    together = posterior.goodness_of_fit_together([{"y": [0.5, -1.0]}, {"y": [0.1, 0.2]}])
    records = {**check.records, "together": together}
    assert len(records) == 13
    for name, record in records.items():
        assert 0 <= record.value <= 1
        assert record.error >= 0
        assert (record.error > 0) == (name not in NO_ERROR)
        assert record.passed == (record.verdict == "trust")
        assert record.verdict in VERDICTS
        assert record.sentence
        assert record.measure
        assert isinstance(record.table, pd.DataFrame)
        assert len(record.table) > 0
        for width in (SINGLE_COLUMN_MM, 180.0):
            figure = record.plot(width)
            assert figure.axes
            assert figure.get_size_inches()[0] == pytest.approx(width / 25.4, rel=0.02)
        whole = plt.figure()
        for place in (whole, whole.subfigures(1, 2)[0]):
            assert record.plot(fig=place) is place
            assert place.axes
        plt.close("all")
