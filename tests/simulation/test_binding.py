"""How a simulator's arguments are filled."""

import functools

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.binding import bind
from sbi_inn.simulation.run import simulate
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.simulation.simulator import simulator

PRIOR = Prior(a=st.norm(0, 1), b=st.norm(5, 1), v=st.multivariate_normal([0, 9], np.eye(2)))
PARAMETERS, GIVENS = ("a", "b", "v"), ("n",)


def observed(function, **settings):
    """The table of a short run, as arrays by name."""
    table = simulate(function, PRIOR, n=5, seed=1, n_jobs=1, progress=False, **settings).dataset
    return {name: table[name].values for name in table.data_vars}


def test_arguments_are_filled_by_name_whatever_their_order():
    table = observed(lambda b, a, n: {"difference": b - a, "copy": n}, given={"n": 7})
    assert np.array_equal(table["difference"], table["b"] - table["a"])
    assert (table["copy"] == 7).all()


def test_a_vector_parameter_arrives_as_array():
    table = observed(lambda v: {"total": v.sum(), "length": v.shape[0]})
    assert np.array_equal(table["total"], table["v"].sum(axis=1))
    assert (table["length"] == 2).all()


def test_keyword_arguments_receive_everything():
    table = observed(lambda **known: {"total": known["a"] + known["b"], "size": len(known)})
    assert np.array_equal(table["total"], table["a"] + table["b"])
    assert (table["size"] == 3).all()


@pytest.mark.parametrize("function", [lambda theta: theta, lambda theta, /: theta])
def test_a_single_other_argument_receives_all_parameters_in_prior_order(function):
    table = observed(function)
    assert np.array_equal(table["y"], np.column_stack([table["a"], table["b"], table["v"]]))


def test_the_vector_comes_beside_givens_and_randomness():
    binding = bind(lambda theta, n, rng: ..., PARAMETERS, GIVENS)
    assert (binding.vector, binding.named, binding.rng, binding.seed) == (
        "theta",
        ("n",),
        True,
        False,
    )


def test_positional_only_arguments():
    def difference(b, a, /):
        return b - a

    table = observed(difference)
    assert np.array_equal(table["y"], table["b"] - table["a"])


def test_a_default_is_kept_unless_it_names_a_parameter():
    table = observed(lambda a, scale=3.0, b=100.0: {"scaled": scale * a, "other": b + 0.0})
    assert np.array_equal(table["scaled"], 3 * table["a"])
    assert np.array_equal(table["other"], table["b"])


def test_partial_functions_and_callable_objects():
    class Scaled:
        def __call__(self, a, scale):
            return scale * a

    table = observed(functools.partial(Scaled(), scale=2.0))
    assert np.array_equal(table["y"], 2 * table["a"])


def test_a_batched_vector_has_a_leading_axis():
    table = observed(simulator(lambda theta: theta[:, ::-1], batched=True))
    assert np.array_equal(table["y"][:, 3], table["a"])


def test_seed_is_a_short_integer_and_rng_a_generator():
    table = observed(lambda a, seed, rng: {"seed_": seed, "noise": rng.normal()})
    assert len(set(table["seed_"])) == len(set(table["noise"])) == 5
    assert (table["seed_"] < 2**31).all()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a, bee: a, "argument 'bee' is not a parameter or given"),
        (
            lambda first, second: first,
            "'first', 'second' is not a parameter.*parameters: a, b, v; givens: n",
        ),
        (lambda *, theta: theta, "'theta' is not a parameter"),
        (lambda rng: rng.normal(), "takes none of the parameters"),
        (lambda *values: values, r"takes none of the parameters .*\*values"),
        (lambda n, scale=1.0: n, "takes none of the parameters"),
    ],
)
def test_what_cannot_be_filled(function, message):
    with pytest.raises(SimulationError, match=message):
        bind(function, PARAMETERS, GIVENS)


def test_a_close_name_is_offered():
    with pytest.raises(SimulationError, match="did you mean 'elbow'"):
        bind(lambda height, elbo: height, ["height", "elbow"], [])


def test_writing_to_arguments_leaves_the_table_alone():
    def rude(theta):
        theta[:] = 0.0
        return theta

    def rude_batch(a):
        a[:] = 0.0
        return a

    assert (observed(rude)["a"] != 0).all()
    assert (observed(simulator(rude_batch, batched=True))["a"] != 0).all()
