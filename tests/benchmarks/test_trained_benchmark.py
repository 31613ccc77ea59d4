"""The benchmark of trained networks: exact posteriors are exact, errors and verdicts counted."""

import inside
import known
import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
import trained as command

import sbi_inn as si


@pytest.mark.slow
@pytest.mark.parametrize("name", known.KNOWN)
def test_posteriors_are_exact(name):
    """Ranks of truths among exact draws are uniform: in place, in width and in shape."""
    case = known.KNOWN[name]()
    n = 300 if name == "decay" else 2_000
    table = si.simulate(case.problem, n=n, seed=6, n_jobs=1, progress=False)
    truth = table.prior.flatten(table.parameters())
    drawn = case.draw(table.observations(), 100, np.random.default_rng(1))
    assert drawn.shape == (n, 100, truth.shape[1])
    ranks = ((drawn < truth[:, None]).sum(axis=1) + 0.5) / 101
    p_values = [st.kstest(one, "uniform").pvalue for one in ranks.T]
    assert min(p_values) > 0.01 / len(p_values)


def test_exact_draws_have_no_error(monkeypatch):
    case = known.two_widths()
    monkeypatch.setattr(inside, "draw", lambda posterior, seen, n, rng: case.draw(seen, n, rng))
    found = command.compared(case, None, 7)
    assert found["shift"] < 0.02
    assert found["width"] < np.log(1.03)
    assert found["correlation"] < 0.04
    assert command.class_of(found) == "nothing wrong"


def test_errors_are_those_that_were_made():
    rng = np.random.default_rng(1)
    exact, scores = rng.standard_normal((2, 100, 2_000, 2))
    draws = scores * [1, 0.8] + [0.2, 0]
    found = command.errors(draws, exact, ["a", "b"])
    assert found["shift of"] == "a"
    assert found["shift"] == pytest.approx(0.2, abs=0.02)
    assert found["bias"] == pytest.approx(0.2, abs=0.02)
    assert found["shift of most"] == pytest.approx(0.2, abs=0.02)
    assert found["far"] == 0
    assert found["width of"] == "b"
    assert found["ratio"] == pytest.approx(0.8, abs=0.02)
    assert found["width"] == pytest.approx(-np.log(0.8), abs=0.02)
    together = scores + scores[..., ::-1] * 0.5
    assert command.of_correlation(together, exact) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ((0.05, 0.03, 0.01), "nothing wrong"),
        ((0.05, 0.03, np.nan), "nothing wrong"),
        ((0.05, 0.03, 0.1), "between"),
        ((0.2, 0.03, 0.0), "between"),
        ((0.05, 0.1, 0.0), "between"),
        ((0.35, 0.03, 0.0), "caution deserved"),
        ((0.05, 0.15, np.nan), "caution deserved"),
    ],
)
def test_classes(errors, expected):
    row = dict(zip(("shift", "width", "correlation"), errors, strict=True))
    assert command.class_of(row) == expected


def test_tables():
    about = {"commit": "abc", "date": "2026-11-27", "cores": 2, "threads": 1}
    right = {
        "shift": 0.05,
        "shift of most": 0.04,
        "width": 0.02,
        "correlation": 0.01,
        "verdict": "trust",
        "by": None,
    }
    wrong = right | {"shift": 0.4}
    warned = right | {"verdict": "caution", "by": "calibration"}
    mended = {"error.before": 0.1, "error.after": 0.01, "gain": 0.2, "noise": 0.01, "said": "all"}
    rows = [
        about | {"problem": "decay", "budget": 500, "seed": seed} | found
        for seed, found in ((1, right | mended), (2, wrong), (3, warned))
    ]
    said = command.table(pd.DataFrame(rows))
    assert "caution was deserved: 1 of 1. An objection where nothing was wrong: 1 of 2. " in said
    assert "caution was deserved: 0 of 0. An objection where nothing was wrong: 1 of 3." in said
    assert "| all | nothing wrong | 2 | 1 | 0 | 1 | 0 |" in said
    assert "| decay | 500 | 0.05 to 0.40 | 0.04 | 2 % | 0.01 |" in said
    assert "| decay | 1 | 10.0 % | 1.0 % | +0.200 +- 0.010 | all |" in said
