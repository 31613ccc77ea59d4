"""Another prior without training again."""

import warnings

import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, MIX, NOISE, columns, exact

import sbi_inn as si
from sbi_inn.draws import make_draws
from sbi_inn.planning.reweighting import reweight

N = 20_000
Y = [1.0, 0.5]


def line_draws(n=N, seed=1):
    mean, covariance = exact(Y)
    a, b = np.random.default_rng(seed).multivariate_normal(mean, covariance, n).T
    return make_draws(
        {"a": a, "b": b},
        labels={"a": "intercept"},
        units={"a": "m"},
        prior_widths={"a": 3.9, "b": 7.8},
        attrs={"acceptance_rate": 0.1},
    )


def normal_draws(n=N):
    """Draws of N(0, 1), as evenly spread as they can be."""
    return make_draws({"a": st.norm.ppf((np.arange(n) + 0.5) / n)})


def test_a_gaussian_posterior_under_another_prior():
    centre, sd = np.array([0.5, -0.5]), np.array([0.8, 1.0])
    new = si.Prior(a=st.norm(centre[0], sd[0]), b=st.norm(centre[1], sd[1]))
    found = reweight(line_draws(), LINE.prior, new, seed=1)
    covariance = np.linalg.inv(np.diag(sd**-2) + MIX.T @ MIX / NOISE**2)
    mean = covariance @ (centre / sd**2 + MIX.T @ np.array(Y) / NOISE**2)
    values, sds = columns(found), np.sqrt(np.diag(covariance))
    effective = found.attrs["effective_sample_size"]
    assert N / 2 < effective < N
    # Five standard errors are allowed; the old posterior lies further away than that.
    assert np.abs((exact(Y)[0] - mean) / sds).max() > 10 / np.sqrt(effective)
    assert np.abs((values.mean(axis=0) - mean) / sds).max() < 5 / np.sqrt(effective)
    assert np.abs(values.std(axis=0) / sds - 1).max() < 5 / np.sqrt(2 * effective)
    correlation = np.corrcoef(values, rowvar=False)[0, 1]
    assert abs(correlation - covariance[0, 1] / sds.prod()) < 5 / np.sqrt(effective)


@pytest.mark.parametrize("sd", [0.5, 0.8])
def test_the_effective_sample_size_of_two_gaussians(sd):
    """For N(0, 1) to N(0, sd^2) it is (E w)^2 / E w^2 = sd sqrt(2 - sd^2)."""
    found = reweight(normal_draws(), si.Prior(a=st.norm(0, 1)), si.Prior(a=st.norm(0, sd)), seed=1)
    share = found.attrs["effective_sample_size"] / N
    assert share == pytest.approx(sd * np.sqrt(2 - sd**2), abs=1e-3)
    # Evenly spread draws, resampled systematically: far closer than sd / sqrt(2 N) = .5 %.
    assert float(found["a"].std()) == pytest.approx(sd, rel=2e-3)


def test_the_same_prior_gives_every_draw_once():
    draws = line_draws(500)
    found = reweight(draws, LINE.prior, LINE.prior, seed=1)
    assert found.attrs["effective_sample_size"] == pytest.approx(500)
    assert np.array_equal(columns(found), columns(draws))


def test_the_seed_decides():
    new = si.Prior(a=st.norm(0, 0.5), b=st.norm(0, 1))
    one, same, other = (reweight(line_draws(2_000), LINE.prior, new, seed=s) for s in (1, 1, 2))
    assert one.identical(same)
    assert not one.equals(other)


def test_labels_stay_and_derived_variables_go_along():
    draws = line_draws()
    draws["sum"] = draws["a"] + draws["b"]
    before = draws.copy(deep=True)
    new = si.Prior(b=st.norm(0, 1), a=st.uniform(-4, 8))
    found = reweight(draws, LINE.prior, new, seed=1)
    assert found.sizes == draws.sizes
    assert np.array_equal(found["sum"], found["a"] + found["b"])
    assert found["a"].attrs["label"] == "intercept"
    assert found["a"].attrs["units"] == "m"
    assert found.attrs["acceptance_rate"] == 0.1
    # Of 10,000 prior draws the ends of the 95 % interval are known to a per cent or two.
    assert found["a"].attrs["prior_width95"] == pytest.approx(0.95 * 8, rel=0.03)
    assert found["b"].attrs["prior_width95"] == pytest.approx(2 * 1.96, rel=0.05)
    assert draws.identical(before)


def test_vectors_and_dependent_priors():
    eye = np.eye(2)
    old = si.Prior(
        theta=st.multivariate_normal([0, 0], eye), g=lambda theta: st.norm(theta[:, 0], 1)
    )
    new = si.Prior(
        theta=st.multivariate_normal([0.5, 0], eye), g=lambda theta: st.norm(theta[:, 0], 0.5)
    )
    drawn = old.sample(N, np.random.default_rng(3))
    found = reweight(make_draws(drawn), old, new, seed=1)
    error = 5 / np.sqrt(found.attrs["effective_sample_size"])
    assert np.abs(found["theta"].values.mean(axis=0) - [0.5, 0]).max() < error
    rest = found["g"].values - found["theta"].values[:, 0]
    assert abs(rest.mean()) < 0.5 * error
    assert rest.std() == pytest.approx(0.5, rel=error / np.sqrt(2))
    assert len(found["theta"].attrs["prior_width95"]) == 2


def test_a_prior_that_the_draws_hardly_cover():
    old = si.Prior(a=st.norm(0, 1))
    with pytest.warns(UserWarning, match="hardly cover.*20,000 draws are worth"):
        found = reweight(normal_draws(), old, si.Prior(a=st.norm(4, 0.1)), seed=1)
    assert found.attrs["effective_sample_size"] < 100
    # 1 %, not 100, is what counts of many draws.
    with pytest.warns(UserWarning, match="hardly cover"):
        found = reweight(normal_draws(), old, si.Prior(a=st.norm(0, 0.005)), seed=1)
    assert 100 < found.attrs["effective_sample_size"] < N / 100


def uniform_draws_under(width):
    """Reweight draws of U(0, 1) to U(0, width), and collect what is warned of."""
    draws = make_draws({"a": np.linspace(0.01, 0.99, 999)})
    old, new = si.Prior(a=st.uniform(0, 1)), si.Prior(a=st.uniform(0, width))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reweight(draws, old, new, seed=1)
    return [str(warning.message) for warning in caught]


def test_a_prior_beyond_the_old_support():
    assert uniform_draws_under(1.005) == []
    (said,) = uniform_draws_under(1.25)
    share = int(said.split("%")[0])
    assert abs(share - 20) <= 3  # .5 for rounding, and five standard errors of .4
    assert "outside the support of the old" in said


@pytest.mark.parametrize(
    ("draws", "new", "error", "message"),
    [
        (line_draws(50), si.Prior(a=st.norm(0, 1), c=st.norm(0, 1)), si.PriorError, "a, b.*a, c"),
        (line_draws(50)[["a"]], LINE.prior, si.PriorError, "expected the parameters a, b; got a"),
        (
            line_draws(50),
            si.Prior(a=st.norm(0, 1), b=st.uniform(50, 1)),
            si.PriorError,
            "none of the 50 draws",
        ),
        (line_draws(50).expand_dims(observation=2), LINE.prior, si.ShapeError, "one observation"),
    ],
)
def test_what_cannot_be_reweighted(draws, new, error, message):
    with pytest.raises(error, match=message):
        reweight(draws, LINE.prior, new, seed=1)


def test_draws_that_the_old_prior_does_not_allow():
    old = si.Prior(a=st.uniform(0, 1))
    draws = make_draws({"a": [0.5, 0.9, 1.5]})
    with pytest.raises(si.PriorError, match="1 of 3 draws lie outside"):
        reweight(draws, old, old, seed=1)
