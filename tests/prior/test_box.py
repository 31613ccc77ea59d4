"""A prior truncated to a turned box on its latent side."""

import json

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.prior.box import Box
from sbi_inn.prior.interval import Intervals

INNER = np.array([0, 1, 3])  # the latents that are turned; 2 is that of a discrete parameter


def prior():
    return si.Prior(a=st.norm(), b=st.expon(), n=st.poisson(4), c=lambda a: st.norm(a, 1))


def box(flat=True):
    """Give a box that holds 2 to 6 of n, and is turned in all other latents."""
    axes = np.eye(4)
    axes[np.ix_(INNER, INNER)] = st.ortho_group.rvs(3, random_state=1)
    cells = prior().cells[2]
    return Box(
        axes,
        np.array([-0.5, 0.2, cells[2], -1.0]),
        np.array([0.5, 0.3, cells[7], 3.0]),
        np.array([flat, flat, False, flat]),
    )


def test_draws_lie_inside_and_their_share_is_the_mass():
    truncated, many = prior().truncated(box()), prior().sample(200_000, np.random.default_rng(0))
    draws = truncated.sample(2_000, np.random.default_rng(1))
    assert np.isfinite(truncated.log_prob(draws)).all()
    assert set(np.unique(draws["n"])) == {2, 3, 4, 5, 6}
    share = np.isfinite(truncated.log_prob(many)).mean()
    mass = box().mass
    assert share == pytest.approx(mass, abs=4 * np.sqrt(mass / 200_000))


def test_draws_are_those_of_the_whole_prior_that_lie_inside():
    truncated, many = prior().truncated(box()), prior().sample(400_000, np.random.default_rng(0))
    kept = np.isfinite(truncated.log_prob(many))
    draws = truncated.sample(4_000, np.random.default_rng(1))
    for name in ("a", "b", "c"):
        assert st.ks_2samp(many[name][kept], draws[name]).pvalue > 0.001


def test_the_density_is_renormalised_inside_and_nothing_outside():
    truncated = prior().truncated(box())
    draws = truncated.sample(100, np.random.default_rng(1))
    gain = truncated.log_prob(draws) - prior().log_prob(draws)
    assert gain == pytest.approx(np.full(100, -np.log(box().mass)))
    outside = {"a": 9.0, "b": 9.0, "n": 0, "c": -9.0}
    assert truncated.log_prob(outside) == [-np.inf]


@pytest.mark.parametrize("flat", [True, False])
def test_latents_come_back_and_none_leads_outside(flat):
    truncated = prior().truncated(box(flat))
    draws = truncated.sample(1_000, np.random.default_rng(1))
    again = truncated.from_latent(truncated.to_latent(draws))
    for name, values in draws.items():
        assert again[name] == pytest.approx(values, abs=1e-9)
    wild = np.random.default_rng(2).standard_normal((100, 4)) * 1e3
    wild[0] = np.inf
    assert np.isfinite(truncated.log_prob(truncated.from_latent(wild))).all()


def test_without_flat_axes_the_latents_are_standard_normal():
    truncated = prior().truncated(box(flat=False))
    draws = truncated.sample(4_000, np.random.default_rng(1))
    within = np.random.default_rng(2).random((4_000, 1))
    latents = truncated.to_latent(draws, within)
    for column in latents.T:
        assert st.kstest(column, "norm").pvalue > 0.001
    assert truncated.log_density(latents) == pytest.approx(st.norm.logpdf(latents).sum(axis=1))


def test_the_density_of_the_latents_is_that_of_draws():
    """By importance sampling it integrates to 1, and it is the density of the draws' latents."""
    truncated = prior().truncated(box())
    rows = 1.3 * np.random.default_rng(1).standard_normal((200_000, 4))
    weight = np.exp(truncated.log_density(rows) - st.norm(0, 1.3).logpdf(rows).sum(axis=1))
    assert weight.mean() == pytest.approx(1, abs=4 * weight.std() / np.sqrt(len(weight)))
    drawn = truncated.sample(50_000, np.random.default_rng(2))
    latents = truncated.to_latent(drawn, np.random.default_rng(3).random((50_000, 1)))
    for axis in range(4):
        mean, error = (weight * rows[:, axis]).mean(), (weight * rows[:, axis]).std() / 200_000**0.5
        assert latents[:, axis].mean() == pytest.approx(mean, abs=4 * error + 0.02)


def test_a_thin_box_far_out_is_still_a_prior():
    thin = Box(np.eye(1), np.array([6.0]), np.array([6.0 + 1e-6]), np.array([True]))
    truncated = si.Prior(a=st.norm()).truncated(thin)
    draws = truncated.sample(1_000, np.random.default_rng(1))["a"]
    assert st.kstest((draws - 6) / 1e-6, "uniform").pvalue > 0.001
    assert truncated.log_prob({"a": draws}) == pytest.approx(np.full(1_000, np.log(1e6)), abs=1e-4)


def test_pieces_of_discrete_parameters_go_with_the_box():
    cuts = dict(prior().truncated(box()).pieces)[2]
    draws = prior().truncated(box()).sample(100_000, np.random.default_rng(1))["n"]
    share = np.cumsum([(draws == k).mean() for k in range(2, 6)])
    assert st.norm.cdf(cuts) == pytest.approx(share, abs=0.01)


def test_a_truncated_prior_in_a_file_and_back():
    truncated = prior().truncated(box())
    again = si.Prior.from_config(json.loads(json.dumps(truncated.to_config())))
    assert again == truncated
    assert again != prior()
    assert again.whole == prior()
    assert "truncated to 0.0099 of its mass" in repr(again)


def test_a_damaged_box_in_a_file():
    config = prior().truncated(box()).to_config()
    with pytest.raises(si.LoadError, match="not orthogonal"):
        si.Prior.from_config(config | {"box": config["box"] | {"axes": np.ones((4, 4)).tolist()}})
    with pytest.raises(si.LoadError, match="damaged"):
        si.Prior.from_config(config | {"box": {"axes": 1}})


def test_the_marginal_of_some_parameters():
    open_to_b = box().only(INNER).among(np.array([0, 2, 3]), 4)  # b, the second, is free now
    study = si.Prior(a=st.norm(), b=st.expon(), c=st.norm(), d=st.norm()).truncated(open_to_b)
    assert study.marginal(["a", "c", "d"]).box.mass == pytest.approx(open_to_b.mass)
    with pytest.raises(si.PriorError, match="mix these parameters"):
        study.marginal(["a", "b"])


def test_a_box_that_cannot_be_drawn_from():
    with pytest.raises(si.PriorError, match="at least 1e-08 wide"):
        Box(np.eye(1), np.array([0.0]), np.array([1e-9]), np.array([True]))
    with pytest.raises(si.PriorError, match="so far out that nothing can be drawn"):
        Box(np.eye(1), np.array([40.0]), np.array([41.0]), np.array([True]))
    with pytest.raises(si.PriorError, match="closed along flat"):
        Box(np.eye(1), np.array([0.0]), np.array([np.inf]), np.array([True]))


def test_slopes_of_intervals():
    unit = Intervals(*(np.array([x]) for x in (-1.0, 2.0, 0.0, 0.7)))
    line = np.linspace(-3, 4, 20_001)[:, None]
    slope = np.gradient(unit.from_line(line)[:, 0], line[:, 0])
    assert np.log(slope[1:-1]) == pytest.approx(unit.log_slope(line)[1:-1, 0], abs=5e-3)
    assert unit.to_line(unit.from_line(line)) == pytest.approx(line, abs=1e-6)
