"""Posterior SBC: the posterior at one observation against itself."""

from dataclasses import dataclass, fields

import numpy as np
import pytest
from planted import Planted, Study, posterior_of
from studies import LINE, MIX, NOISE, ExactLine, briefly, exact_posterior, subject_of

from sbi_inn.checks.posterior_sbc import LocalCalibration, N, check_calibration_at
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.checks.survey import draws_each
from sbi_inn.errors import NoDensityError

FAR = 3.5  # y[0] exceeds it in about 6 % of simulations
THERE, ELSEWHERE = [5.5, 1.0], [0.0, -1.0]


class DrawsOnly(ExactLine):
    """Has no density."""

    def log_prob(self, latent, observations):
        raise NoDensityError("it can be drawn from only")


@dataclass(frozen=True, eq=False)
class Simulated(Subject):
    """Simulates in place of a simulator, with a seed of its own; every so many simulations fail."""

    noise_seed: int = 1
    fails: int = 1_000_000

    def rng(self):
        return np.random.default_rng(self.noise_seed)

    def observe(self, flat, observations, *, stream):
        ok = np.arange(1, 1 + len(flat)) % self.fails > 0
        noise = np.random.default_rng(100 + self.noise_seed).normal(size=flat.shape)
        return self.sampler.schema.stack({"y": (flat @ MIX.T + NOISE * noise)[ok]}, {}), ok


def local(y, fitted=None, **settings):
    posterior = exact_posterior(60, 30, fitted=fitted, simulator=False)
    shared = {f.name: getattr(subject_of(posterior), f.name) for f in fields(Subject) if f.init}
    return check_calibration_at(Here(Simulated(**shared, **settings), posterior.schema.read(y)))


@pytest.mark.parametrize("y", [THERE, ELSEWHERE, [-3.0, 4.0]], ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_an_exact_posterior_agrees_with_itself(y, seed):
    found = local(y, noise_seed=seed)
    assert isinstance(found, LocalCalibration)
    assert found.verdict == "trust"
    assert 0.95 * N <= len(found.ranks) <= N  # a few have too few effective draws
    assert found.columns == LINE.prior.columns
    placed = found.table
    assert placed["too_high_by_sd"].abs().max() < 4 / np.sqrt(N)
    assert (placed["relative_width"] - 1).abs().max() < 4 / np.sqrt(2 * N)
    assert "agrees with itself" in found.sentence


@pytest.mark.parametrize(
    ("wrong", "words"), [({"shift": 1.0}, "too high"), ({"shift": -1.0}, "too low")], ids=str
)
def test_it_objects_to_one_that_is_wrong_only_near_y(wrong, words):
    fitted = ExactLine(**wrong, beyond=FAR)
    found = local(THERE, fitted)
    assert found.verdict != "trust"
    assert words in found.sentence
    assert "near this observation" in found.sentence
    assert "narrower prior" in found.advice
    assert local(ELSEWHERE, fitted).verdict == "trust"


@pytest.mark.parametrize(("width", "words"), [(0.6, "too narrow"), (1.5, "too wide")])
def test_it_objects_to_a_wrong_width(width, words):
    found = local([0.0, 0.0], ExactLine(width=width))
    assert found.verdict != "trust"
    assert words in found.sentence


def test_it_objects_where_the_posterior_and_that_of_a_simulation_do_not_overlap():
    found = local(ELSEWHERE, ExactLine(width=0.05))
    assert found.verdict == "do not trust"
    assert "too narrow" in found.sentence


class Spiky(ExactLine):
    """Its density is far narrower than its draws."""

    def log_prob(self, latent, observations):
        return ExactLine(width=1e-3).log_prob(latent, observations)


def test_too_few_effective_draws():
    found = local(ELSEWHERE, Spiky())
    assert isinstance(found, str)
    assert "fewer than 10 effective draws" in found


def test_simulations_that_fail_are_left_out():
    found = local(ELSEWHERE, fails=3)
    assert isinstance(found, LocalCalibration)
    assert 0.6 * N < len(found.ranks) <= N - N // 3
    assert found.verdict == "trust"


def test_without_a_density():
    with pytest.raises(NoDensityError, match="drawn from only"):
        local(ELSEWHERE, DrawsOnly())


def test_its_figure():
    assert local(ELSEWHERE).plot().axes


def at_y(dim, **wrong):
    posterior = posterior_of(Planted(Study(dim, 0.3), 0.3, **wrong), seed=1, tests=600)
    y = np.random.default_rng(dim).normal(size=dim)
    return check_calibration_at(Here(posterior._subject(), posterior.schema.read({"y": y})))


@pytest.mark.parametrize("dim", [10, 20])
def test_of_many_parameters_draws_near_the_product_are_enough(dim):
    found = at_y(dim)
    assert found.verdict == "trust"
    assert len(found.ranks) == N
    assert np.median(found.effective) > 50


class SpikyPlanted(Planted):
    """Its density is far narrower than its draws."""

    def log_prob(self, latent, observations):
        self.asked.append(len(latent))
        return Planted(self.study, 0.3, width=1e-3).log_prob(latent, observations)


def test_of_many_parameters_few_simulations_show_that_all_are_hopeless(monkeypatch):
    asked = []
    monkeypatch.setattr(SpikyPlanted, "asked", asked, raising=False)
    posterior = posterior_of(SpikyPlanted(Study(10, 0.3), 0.3), seed=1, tests=600)
    y = posterior.schema.read({"y": np.zeros(10)})
    found = check_calibration_at(Here(posterior._subject(), y))
    assert found.endswith("100 % of the posteriors have fewer than 10 effective draws")
    # All of them would be 251 points for each simulation, by two laws: 100,400 densities.
    assert sum(asked) < 0.5 * N * 2 * draws_each(posterior.core)


@pytest.mark.parametrize("wrong", [{"shift": 0.5}, {"width": 0.7}, {"width": 1.3}], ids=str)
def test_of_twenty_parameters_it_objects_to_one_that_is_wrong(wrong):
    assert at_y(20, **wrong).verdict != "trust"


def test_a_verdict_of_ten_parameters_contains_it():
    posterior = briefly(posterior_of(Planted(Study(10, 0.0), 0.0), seed=1, tests=600))
    check = posterior.check({"y": np.zeros(10)}, progress=False)
    assert check.verdict == "trust"
    assert check.records["calibration at y"].passed
