"""The verdict: made of records, printed for people."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from studies import ExactLine, briefly, exact_posterior, quick_fit, subject_of

import sbi_inn as si
from sbi_inn.report import Check
from sbi_inn.report.compare import Rejection, beside_abc


@dataclass(frozen=True)
class Found:
    verdict: str
    sentence: str
    advice: str = ""
    hint: str = ""
    first: str = ""
    elsewhere: bool = False
    value: float = 0.01
    error: float = 0.002
    threshold: float = 0.02
    measure: str = "distance"
    smallest: float = 0.005
    p_value: float = 0.001
    decided: str = "as planted"

    @property
    def passed(self):
        return self.verdict == "trust"

    @property
    def table(self):
        return pd.DataFrame()

    def plot(self, width_mm=180.0):
        return plt.figure()

    def more_figures(self, width_mm=180.0):
        return {} if self.passed else {f"more of {self.sentence}": plt.figure()}


@si.simulator(batched=True)
def scaled(a, k, rng):
    return a * k + rng.normal(size=len(a))


SCALED = si.Problem(scaled, si.Prior(a=st.norm(0, 1)), given={"k": st.uniform(1, 1)})

GOOD = Found("trust", "all well")
FITS = Found("trust", "it fits")
DOUBTFUL = Found("caution", "a little wide", "Train longer.")
BAD = Found("do not trust", "far <off>", "Simulate more.")
BLIND = Found("cannot tell", "too few", "Check with more.")
CANNOT_TELL = "Cannot tell whether to trust this posterior"
WORSE = Found("do not trust", "far off too", "Look at y.")


def named(*records):
    return {f"check {i}": record for i, record in enumerate(records)}


@pytest.mark.parametrize(
    ("records", "notes", "verdict", "sentence"),
    [
        ([GOOD], (), "trust", "Trust this posterior: all well."),
        ([GOOD, GOOD, GOOD], (), "trust", "Trust this posterior: all well; 2 other checks agree."),
        ([GOOD, DOUBTFUL], (), "caution", "Use this posterior with caution: a little wide."),
        ([BAD, DOUBTFUL], (), "do not trust", "Do not trust this posterior: far <off>."),
        ([BAD, WORSE], (), "do not trust", "Do not trust this posterior: far <off>; far off too."),
        ([GOOD, BLIND], (), "cannot tell", f"{CANNOT_TELL}: too few."),
        ([BLIND, DOUBTFUL], (), "caution", "Use this posterior with caution: a little wide."),
        ([BLIND], ("k is 9",), "caution", "Use this posterior with caution: k is 9."),
        ([GOOD], ("k is 9",), "caution", "Use this posterior with caution: k is 9."),
        ([BAD], ("k is 9",), "do not trust", "Do not trust this posterior: far <off>; k is 9."),
        ([], (), "trust", "Trust this posterior."),
    ],
)
def test_the_verdict_is_the_worst_and_says_why(records, notes, verdict, sentence):
    check = Check(named(*records), notes)
    assert check.verdict == verdict
    assert check.sentence == sentence


def test_a_sentence_tells_the_fit_at_y_where_all_is_well():
    check = Check({"calibration": GOOD, "recovery": GOOD, "goodness of fit": FITS})
    assert check.sentence == "Trust this posterior: all well; it fits; 1 other check agrees."


def test_a_sentence_tells_three_reasons_and_counts_the_rest():
    check = Check(named(*[Found("caution", f"reason {i}") for i in range(5)]))
    assert check.sentence.endswith("reason 0; reason 1; reason 2; and 2 more.")


def test_advice_only_where_there_is_something_to_do():
    assert Check({"one": GOOD}).advice == ""
    assert Check({"one": BAD}).advice == "Simulate more."
    assert "Widen" in Check({"one": GOOD}, ("k is 9",)).advice
    # Of the checks that decide, and once where two of them say the same.
    assert Check(named(DOUBTFUL, BAD, WORSE, BAD)).advice == "Simulate more. Look at y."


def test_the_table_has_a_row_a_check():
    table = Check({"one": GOOD, "two": BAD}).table
    assert table.index.to_list() == ["one", "two"]
    assert table.columns.to_list()[0] == "measure"
    assert table.loc["two"].to_list() == [
        *("distance", 0.01, 0.002, 0.02, 0.005, 0.001, False, "do not trust", "as planted")
    ]


def test_what_is_printed():
    check = Check({"one": GOOD, "two": BAD}, skipped={"fit": "no simulator"})
    text = repr(check)
    assert text.startswith(check.sentence)
    assert "skipped: fit (no simulator)" in text
    assert check.advice in text
    html = check._repr_html_()
    assert "far &lt;off&gt;" in html
    assert "<table" in html
    assert "skipped: fit (no simulator)" in html
    assert check.advice in html


def test_figures_by_name():
    figures = Check({"one": GOOD, "two": BAD}).figures
    assert list(figures) == ["one", "two", "more of far <off>"]
    assert all(isinstance(figure, plt.Figure) for figure in figures.values())
    plt.close("all")


# -- of a posterior --------------------------------------------------------------------------------


def test_an_exact_posterior_is_trusted_in_general_and_at_an_observation():
    posterior = exact_posterior()
    check = posterior.check(progress=False)
    assert check.verdict == "trust"
    assert check.records["calibration"].ranks.shape == (5_000, 2)  # topped up
    at = posterior.check([0.5, -1.0], progress=False)
    assert at.verdict == "trust"
    assert set(at.records) > set(check.records)
    assert set(at.figures) > set(at.records)
    assert posterior.plot_calibration().axes
    plt.close("all")


@pytest.mark.parametrize("fitted", [ExactLine(width=0.7), ExactLine(shift=0.5)])
def test_a_wrong_posterior_is_not_trusted(fitted):
    posterior = briefly(exact_posterior(fitted=fitted), 1_000)
    check = posterior.check(progress=False)
    assert check.verdict != "trust"
    assert posterior.calibration() is check.records["calibration"]
    assert check.sentence in repr(posterior)


def test_a_check_without_a_simulator_says_what_is_skipped():
    check = exact_posterior(n=2_000, test=1_000, simulator=False).check(progress=False)
    assert check.verdict == "trust"
    assert "re-simulation" not in check.records
    assert "skipped: re-simulation (no simulator; give it to load_posterior" in repr(check)
    assert check.records["calibration"].ranks.shape == (1_000, 2)


def test_a_page_is_written(tmp_path):
    posterior = briefly(exact_posterior(fitted=ExactLine(width=0.7), simulator=False))
    check = posterior.check(progress=False)
    path = tmp_path / "report.html"
    check.to_html(path, figures={"the corner": plt.figure()})
    page = path.read_text()
    assert "Do not trust this posterior" in page
    assert check.advice in page
    assert "the corner" in page
    for name, fact in check.about.items():
        assert name in page
        assert fact in page
    plt.close("all")


@pytest.mark.slow
def test_an_arm_that_does_not_reach():
    posterior = briefly(quick_fit("inverse_kinematics", n=2_000, epochs=20))
    reachable = posterior.check({"across": 1.6, "up": 0.1}, progress=False)
    assert reachable.records["re-simulation at y"].verdict == "trust"
    # The arm is two metres long: no pose, however wrong the network, lands on four.
    check = posterior.check({"across": 4.0, "up": 0.0}, progress=False)
    fit = check.records["re-simulation at y"]
    assert check.verdict == fit.verdict == "do not trust"
    assert fit.value >= 2 / posterior.core.scale[0]
    assert "the simulator may not explain this observation" in fit.sentence
    goodness = check.records["goodness of fit"]
    assert goodness.verdict == "do not trust"
    assert goodness.sticks_out == "across"


def test_givens_outside_the_trained_range():
    posterior = briefly(quick_fit(SCALED, n=1_000, epochs=5), 200)
    with pytest.warns(UserWarning, match="k = 9 is outside the trained range 1"):
        check = posterior.check({"y": 2.0, "k": 9.0}, progress=False)
    assert check.verdict != "trust"
    assert "k = 9 is outside the trained range" in check.sentence
    inside = posterior.check({"y": 2.0, "k": 1.5}, progress=False)
    assert not inside.notes
    with pytest.warns(UserWarning, match="k = 9 is outside the trained range"):
        posterior.sample({"y": 2.0, "k": 9.0}, 5)


# -- beside ABC ------------------------------------------------------------------------------------


def test_rejection_draws_from_its_closest_simulations():
    posterior = exact_posterior(n=2_000)
    table = posterior.simulations.take(posterior.core.seen_rows)
    rejection = Rejection.of(table)
    observations = subject_of(posterior).tests.head(3).observations
    draws = rejection.draw(observations, 50, np.random.default_rng(1))
    assert draws.shape == (3, 50, 2)
    for row, y in enumerate(observations.vector):
        kept = si.rejection_abc(table, y)
        assert set(draws[row, :, 0]) <= set(kept.a.values)


def test_the_network_beside_abc():
    posterior = exact_posterior(n=2_000)
    seen = posterior.simulations.take(posterior.core.seen_rows)
    table = beside_abc(subject_of(briefly(posterior)), seen, "exact", training_seconds=1.0)
    assert table.index.to_list() == ["exact", "ABC"]
    error = table.filter(like="median").to_numpy(dtype=float).ravel()
    assert error[0] < error[1]  # ABC spreads its draws over a neighbourhood


def test_abc_is_left_out_where_givens_vary():
    posterior = briefly(quick_fit(SCALED))
    table = beside_abc(subject_of(posterior), posterior.simulations, "cINN", training_seconds=1.0)
    assert table.index.to_list() == ["cINN"]


def test_a_hint_is_given_whatever_the_verdict():
    sharper = Found("trust", "y taught 3 nats", hint="posterior.refine(y) would help.")
    assert Check({"one": GOOD, "two": sharper}).advice == "posterior.refine(y) would help."


def test_the_verdict_says_that_posterior_sbc_could_not_run():
    why = "given the observation, 40 % of the posteriors have fewer than 10 effective draws"
    check = Check({"calibration": GOOD}, skipped={"calibration at y": why})
    assert check.verdict == "trust"
    assert check.sentence.endswith(
        f"Whether it is calibrated at this observation itself was not checked: {why}."
    )
    # Without a simulator many checks are missing, which the list of what was skipped says.
    other = Check({"calibration": GOOD}, skipped={"calibration at y": "no simulator"})
    assert "not checked" not in other.sentence


def test_the_verdict_says_where_nothing_is_wrong_at_the_observation_itself():
    said = "The checks at this observation itself find nothing wrong."
    here = {"goodness of fit": FITS, "calibration at y": GOOD}
    for wrong in (DOUBTFUL, BAD):
        assert Check({"calibration": wrong} | here).sentence.endswith(said)
    quiet = [
        {"calibration": GOOD} | here,
        {"calibration": BLIND} | here,
        {"calibration": BAD} | here | {"goodness of fit": DOUBTFUL},
        {"calibration": BAD} | here | {"re-simulation at y": BLIND},
        {
            "calibration": BAD,
            "goodness of fit": FITS,
        },  # whether it is calibrated there is not known
    ]
    for records in quiet:
        assert said not in Check(records).sentence
    assert said not in Check({"calibration": BAD} | here, ("k is 9",)).sentence


def test_what_is_wrong_at_the_observation_comes_first():
    elsewhere = Found("do not trust", "elsewhere, far off", elsewhere=True)
    lesser = Found("caution", "too wide")
    assert Check(named(elsewhere, lesser)).reasons == "too wide; elsewhere, far off"
    at_y = {"calibration": BAD, "re-simulation at y": WORSE}
    assert Check(at_y).reasons == "far off too; far <off>"
    wide = Found("trust", "y taught 3 nats", first="at this observation too wide")
    assert Check({"a": BAD, "information at y": wide}).reasons == (
        "at this observation too wide; far <off>"
    )
    assert "too wide" not in Check({"a": GOOD, "information at y": wide}).reasons


def test_of_what_the_simulator_cannot_make_advice_is_about_the_model():
    strange = Found("do not trust", "strange", "Look at the model.")
    hinting = Found("trust", "y taught 3 nats", hint="posterior.refine(y) would help.")
    check = Check({"one": BAD, "goodness of fit": strange, "two": WORSE})
    assert check.advice == "Look at the model."
    odd = Found("caution", "odd", "Look at the model.")
    both = Check({"one": BAD, "goodness of fit": odd})
    assert both.advice == "Look at the model. Simulate more."
    assert "refine" in Check({"one": BAD, "two": hinting}).advice
