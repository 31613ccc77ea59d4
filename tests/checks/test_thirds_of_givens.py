"""Thirds of each given."""

import numpy as np

from sbi_inn.checks.thirds_of_givens import thirds


def test_thirds_hold_every_simulation_once():
    values = np.random.default_rng(1).random(900)
    groups = thirds({"sigma": values})
    assert len(groups) == 3
    assert np.array_equal(sum(mask.astype(int) for mask in groups.values()), np.ones(900))
    assert [mask.sum() for mask in groups.values()] == [300, 300, 300]
    ends = [values[mask].max() for mask in groups.values()]
    assert ends == sorted(ends)


def test_a_few_values_are_groups_of_their_own():
    values = np.repeat([80, 900], [300, 200])
    groups = thirds({"n": values})
    assert list(groups) == ["n is 80", "n is 900"]
    assert [mask.sum() for mask in groups.values()] == [300, 200]


def test_what_does_not_vary_or_is_too_small_is_left_out():
    assert thirds({"n": np.full(900, 7)}) == {}
    assert thirds({"n": np.arange(150)}) == {}
    assert list(thirds({"n": np.repeat([1, 2], [99, 300])})) == ["n is 2"]
    assert thirds({}) == {}


def test_names_say_the_range():
    groups = thirds({"n": np.arange(300), "k": np.repeat([1.5, 2.5], 150)})
    assert list(groups) == [
        "n is 0 to 99",
        "n is 100 to 199",
        "n is 200 to 299",
        "k is 1.5",
        "k is 2.5",
    ]
