"""Hundreds of choices: what a likelihood reads of them, and nobody else."""

import numpy as np
import pytest
import torch

from sbi_inn.flows import LaplaceStart
from sbi_inn.likelihoods import learning
from sbi_inn.likelihoods.learning import learned
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks.choices import RARE, Choices
from sbi_inn.summary_networks.exact import Exact

PEOPLE = 1_100
AGES = np.linspace(-1.5, 1.5, PEOPLE)
WIDE = 4.0  # of the prior


def votes(rows, seed):
    """Latents of a level and a slope, and what people of known ages vote: 2 or 5."""
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(rows, 2))
    yes = rng.logistic(size=(rows, PEOPLE)) < odds(latents)
    return latents, np.where(yes, 5.0, 2.0)


def odds(latents):
    return WIDE * (latents[:, :1] + latents[:, 1:] * AGES)


def exact_posterior(row, points=61):
    """Mean and widths of the posterior of one row, on a grid of latents that closes in on it."""
    middle, reach = np.zeros(2), 4.0
    for _ in range(4):
        grid = np.stack(
            np.meshgrid(*np.linspace(middle - reach, middle + reach, points).T), axis=-1
        )
        grid = grid.reshape(-1, 2)
        said = odds(grid)
        log = -np.logaddexp(0, np.where(row > 3, -said, said)).sum(axis=1)
        log -= 0.5 * np.square(grid).sum(axis=1)
        weight = np.exp(log - log.max())
        weight /= weight.sum()
        middle = weight @ grid
        width = np.sqrt(weight @ np.square(grid - middle))
        reach = max(6 * width.max(), 6 * reach / points)
    return middle, width


@pytest.fixture(scope="module")
def rows():
    return votes(1_500, 1)


def test_each_of_more_choices_than_are_read_one_by_one_is_kept_for_a_likelihood(rows):
    latents, table = rows
    seen = Observations(table, {})
    exact = Exact.fit(seen, np.arange(PEOPLE), likelihood=True, latents=latents)
    assert exact.source.sufficient is not None
    listed = exact.with_choices(seen)
    assert listed is not None
    assert listed.n_columns == 0
    assert listed.width == exact.width + PEOPLE
    assert listed.last == tuple(range(exact.width, listed.width))
    read = listed(seen)
    np.testing.assert_array_equal(read[:, listed.last], table > 3)
    np.testing.assert_array_equal(read[:, : exact.width], exact(seen))
    again = Exact.from_arrays(listed.to_arrays())
    assert isinstance(again.listed, Choices)
    np.testing.assert_array_equal(again(seen), read)


def test_few_choices_are_not_kept_twice(rows):
    latents, table = rows
    seen = Observations(table[:, :50], {})
    exact = Exact.fit(seen, np.arange(50), likelihood=True, latents=latents)
    assert exact.with_choices(seen) is None


def test_what_is_no_choice_is_seen():
    draw = np.random.default_rng(2)
    table = draw.integers(0, 2, size=(1_000, 4)).astype(float)
    table[:, 2] = 7.0  # always the same
    table[:, 3] = np.arange(1_000) < 0.5 * RARE * 1_000  # nearly always
    found = Choices.fit(Observations(table, {}), np.arange(4))
    assert found is not None
    assert found.columns.tolist() == [0, 1]
    givens = np.hstack([table, draw.normal(size=(1_000, 1))])
    found = Choices.fit(Observations(givens, {}, givens=1), np.arange(5))
    assert found is not None
    assert found.columns.tolist() == [0, 1]
    for other in (0.5, np.nan):
        wrong = table.copy()
        wrong[3, 0] = other
        assert Choices.fit(Observations(wrong, {}), np.arange(4)) is None
    assert Choices.fit(Observations(table, {}), np.array([2])) is None


def test_a_likelihood_of_choices_keeps_no_correlations(rows):
    latents, table = (torch.from_numpy(part) for part in rows)
    likelihood, folds = learned(latents[:600], table[:600, :40])
    for one in (likelihood, *folds):
        assert one.correlation.numel() == one.inverse.numel() == 0


def test_of_many_choices_few_rows_are_enough(rows, monkeypatch):
    monkeypatch.setattr(learning, "CHOICES", 40 * 500)
    monkeypatch.setattr(learning, "FEWEST_ROWS", 200)
    latents, table = (torch.from_numpy(part) for part in rows)
    few, _ = learned(latents, table[:, :40])
    same, _ = learned(latents[:500], table[:500, :40])
    for name, value in same.state_dict().items():
        torch.testing.assert_close(few.state_dict()[name], value, rtol=0, atol=0)


def test_the_posterior_of_a_thousand_choices_is_the_exact_one(rows):
    latents, table = rows
    seen = Observations(table, {})
    exact = Exact.fit(seen, np.arange(PEOPLE), likelihood=True, latents=latents)
    listed = exact.with_choices(seen)
    assert listed is not None
    start = LaplaceStart(2, listed.width, listed.own, listed.last, apart=True)
    start.fit(torch.from_numpy(latents).float(), torch.from_numpy(listed(seen)), listed.own)
    assert start.inverts
    fresh_latents, fresh = votes(400, 3)
    undecided = np.abs(odds(fresh_latents)).max(axis=1) < 4
    asked = fresh[undecided][:5]
    mean, sd = (np.array(part) for part in zip(*map(exact_posterior, asked), strict=True))
    context = torch.from_numpy(listed(Observations(asked, {})))
    found = start.inverse(torch.zeros(len(mean), 2), context)[0].numpy()
    # Errors of log odds, learned of 1,500 rows, are averaged over 1,100 people.
    assert np.sqrt(np.square((found - mean) / sd).mean()) < 0.3
    draws = torch.randn(1_000, 2, generator=torch.Generator().manual_seed(4))
    for place in range(3):
        x = start.inverse(draws, context[[place]])[0].numpy()
        np.testing.assert_allclose(x.std(axis=0) / sd[place], 1, atol=0.12)
    # Nobody else reads them: the plain start says the same whatever they are.
    other = context.clone()
    other[:, list(listed.last)] = 1 - other[:, list(listed.last)]
    n = start.n_read
    n = start.n_read
    assert torch.equal(start.plain.predict(context[:, :n]), start.plain.predict(other[:, :n]))
