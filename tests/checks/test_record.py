"""The face that every check shows, and when a finding is worth a word."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from studies import briefly, exact_posterior

from sbi_inn.checks.record import VERDICTS, Finding, Limits, Record
from sbi_inn.plots.style import SINGLE_COLUMN_MM

LIMITS = Limits("length", caution=0.1, distrust=0.3)


@dataclass(frozen=True, repr=False)
class Plain(Record):
    """A record of given findings."""

    found: tuple[Finding, ...]

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
        (0.2, 0.02, 0),  # large, and chance may have made it
        (9.0, 0.02, 0),
        (0.2, 0.0099, 1),
        (0.31, 0.0, 2),
        (0.2, np.nan, 0),
        (0.1, 0.0, 0),
        (0.3, 0.0, 1),
    ],
)
def test_a_finding_needs_significance_and_effect(effect, p_value, level):
    assert finding(effect, p_value).level == level
    assert Plain((finding(effect, p_value),)).verdict == VERDICTS[level]


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
    assert len(records) == 10
    for name, record in records.items():
        assert 0 <= record.value <= 1
        assert record.error >= 0
        assert (record.error > 0) == (name not in {"recovery", "goodness of fit"})
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
