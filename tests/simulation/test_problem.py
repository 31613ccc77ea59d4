"""The record of a study, and the registry of problems by name."""

import inspect

import pytest
import scipy.stats as st

from sbi_inn.errors import PriorError
from sbi_inn.prior import Prior
from sbi_inn.simulation import registry
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.registry import as_problem, get, problems, register
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.simulation.simulator import Simulator, as_simulator, simulator

PRIOR = Prior(a=st.norm(0, 1))


def double(a, n=1):
    """Twice the parameter.

    More about it.
    """
    return 2 * a * n


def test_the_decorator_works_bare_and_with_settings():
    bare = simulator(double)
    full = simulator(batched=True, sets={"n": "y"})(double)
    assert bare == Simulator(double, batched=False, sets={})
    assert (full.batched, full.sets) == (True, {"n": ("y",)})
    assert bare(2) == 4
    assert inspect.signature(bare) == inspect.signature(double)
    assert bare.description == "Twice the parameter."
    assert as_simulator(bare) is bare
    assert as_simulator(double) == bare


def test_what_is_no_simulator():
    with pytest.raises(SimulationError, match="can be called; got 3"):
        as_simulator(3)
    with pytest.raises(
        SimulationError, match="only once in sets=, series= and images=; got 'y' twice"
    ):
        simulator(double, sets={"n": ["y"], "m": ["y"]})
    with pytest.raises(SimulationError, match="each of its sets once"):
        simulator(double, sets={"n": []})
    for given in (["y"], "y"):
        with pytest.raises(
            SimulationError,
            match=r"expected series= to map the name of a length .* as in series=.*; got \[?'y'",
        ):
            simulator(double, series=given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": 1.0}, "'a' given twice"),
        ({"rng": 1.0}, "'rng' is reserved"),
        ({"n": "many"}, "a number; a frozen scipy distribution.*'many'"),
        ({"n": float("nan")}, "must be finite"),
        ({"n": st.randint}, "no arguments yet; call it"),
        ({"n": st.multivariate_normal([0, 0])}, "a number; a frozen"),
    ],
)
def test_givens_that_cannot_be_used(given, message):
    with pytest.raises(PriorError, match=message):
        Problem(double, PRIOR, given=given)


def test_problems_that_cannot_be_used():
    with pytest.raises(PriorError, match="expected a prior.*got list"):
        Problem(double, [st.norm()])
    with pytest.raises(SimulationError, match="'b' is not a parameter"):
        Problem(lambda a, b: a, PRIOR)
    with pytest.raises(SimulationError, match="length 'n', which is not a given"):
        Problem(simulator(double, sets={"n": ["y"]}), PRIOR)


def test_as_problem():
    problem = as_problem(double, PRIOR, {"n": 3})
    assert problem.constants == {"n": 3.0}
    assert as_problem(problem) is problem
    changed = as_problem(problem, Prior(a=st.norm(7, 1)), {"n": st.randint(1, 9)})
    assert (changed.constants, changed.prior.names) == ({}, ("a",))
    assert changed.prior is not problem.prior
    with pytest.raises(PriorError, match="needs a prior"):
        as_problem(double)


@pytest.fixture
def names(monkeypatch):
    """An empty registry for one test."""
    monkeypatch.setattr(registry, "_registered", {})


@pytest.mark.usefixtures("names")
def test_register_and_get():
    register("doubled", Problem(double, PRIOR, source="arithmetic"))
    assert get("doubled").name == "doubled"
    assert as_problem("doubled") == get("doubled")
    listed = problems().loc["doubled"]
    assert listed.to_list() == ["Twice the parameter.", "a", "arithmetic"]
    with pytest.raises(TypeError, match="expected a Problem"):
        register("doubled", double)
    with pytest.raises(KeyError, match="did you mean doubled"):
        get("double")


class Broken:
    """An entry point of a package that cannot be imported, or holds something else."""

    value = "elsewhere:problem"

    def __init__(self, name, holds):
        self.name, self.holds = name, holds

    def load(self):
        if isinstance(self.holds, Exception):
            raise self.holds
        return self.holds


@pytest.mark.usefixtures("names")
def test_broken_entry_points_are_listed_with_the_reason(monkeypatch):
    points = [Broken("gone", ImportError("no module")), Broken("other", 3)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    listed = problems()["description"]
    assert listed["gone"] == "cannot be loaded: no module"
    assert "is a int, not a Problem" in listed["other"]
    with pytest.raises(TypeError, match="not a Problem"):
        get("other")
    with pytest.raises(KeyError, match="known: gone, other"):
        get("xyz")


def test_shipped_problems_are_found():
    shipped = {"inverse_kinematics", "two_moons", "gaussian_linear", "normal_sample"}
    assert shipped <= set(problems().index)
    assert get("two_moons").name == "two_moons"
