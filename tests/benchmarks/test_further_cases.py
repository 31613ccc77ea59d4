"""Further cases of the benchmark of the verdict: what is called exact is, the rest is not."""

import further
import numpy as np
import pytest
from cases import posterior_of
from scipy import stats

from sbi_inn.checks.conditional import CONDITIONAL
from sbi_inn.checks.dependence import DEPENDENCE
from sbi_inn.diagnostics.uniformity import uniformity_p_value

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", further.exact())
def test_ranks_of_an_exact_posterior_are_uniform(name):
    posterior = posterior_of(further.exact()[name], seed=1, tests=500)
    survey = posterior._subject().survey()
    assert np.isfinite(survey.mean).all()
    p_values = uniformity_p_value(np.concatenate([survey.ranks, survey.products], axis=1))
    assert p_values.min() > 1e-3 / len(p_values)
    # A small shift of all parameters shows in their mean first.
    scores = stats.norm.ppf(np.clip(survey.ranks, 1e-9, 1 - 1e-9))
    assert abs(scores.mean()) < 4 / np.sqrt(scores.size)


CALIBRATED = {
    "ignores an interaction",
    "ignores an interaction, 30 observables",
    "ignores what is seen in 10 %",
    "reads the mean of a set only",
    "ignores the order of a series",
    "ignores half of a season",
    "ignores pairs of a set",
    "ignores half of an image",
    "alike in size, infer=",
}


@pytest.mark.parametrize("name", sorted(CALIBRATED))
def test_what_is_calibrated_and_wrong_is_found(name):
    """By what the check says of dependence, or of what the observation predicts."""
    subject = posterior_of(further.wrong()[name], seed=1, tests=1_000)._subject()
    survey = subject.survey()
    assert uniformity_p_value(survey.ranks).min() > 1e-3
    kinds = (DEPENDENCE,) if name.startswith("alike") else (CONDITIONAL,)
    assert any(not kind.record(subject).passed for kind in kinds)


def test_there_are_as_many_as_are_said():
    assert len(further.wrong()) == 24
    assert len(further.exact()) == 20
    assert set(further.wrong()) >= CALIBRATED
