"""The benchmark of real problems: likelihoods, references, walks of ensembles, and the command."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from real import ensemble, references, report, run
from real.problems import NAMES, load
from real.scores import compare, told_apart
from records import RESULTS
from scipy.special import logsumexp

import sbi_inn as si

STEP = 1e-3  # of a numerical derivative, in posterior standard deviations


def slopes(density, points, scale):
    """Differentiate a density at points (n, k): shape (n, k)."""
    steps = STEP * np.diag(scale)
    moved = np.stack([points + step for step in (*steps, *-steps)])
    values = density(moved.reshape(-1, points.shape[1])).reshape(len(moved), -1)
    up, down = np.split(values, 2)
    return ((up - down) / (2 * STEP * scale[:, None])).T


def far_from(values, expected):
    """Say by how many standard errors the means of columns are off."""
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return np.abs(values.mean(axis=0) - expected) / error


def points(real, flat):
    """Map flat parameters to where the walkers are."""
    return references.Space(real).to(flat)


# -- simulators and likelihoods --------------------------------------------------------------------


def scores(real, shift, n=150):
    """Give the slopes of the log-likelihood at a truth, for data of `shift` sds beside it."""
    truth = points(real, references.flat_truth(real, 0))
    scale = points(real, real.reference(0)).std(axis=0)
    flat = references.Space(real).back(np.repeat(truth + shift * scale, n, axis=0))
    made = real.prior.unflatten(flat)
    given = getattr(real.module, "GIVENS", [{}])[0]
    known = made | {name: np.full(n, v) for name, v in (real.problem.constants | given).items()}
    rows = {name: known[name] for name in real.problem.binding.named}
    found = real.problem.simulator(**rows, rng=np.random.default_rng(1))
    each = [{name: value[i] for name, value in found.items()} for i in range(n)]
    return np.concatenate([slopes(references.densities(real, y)[0], truth, scale) for y in each])


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n == "predator_prey" else ()) for n in NAMES]
)
def test_the_simulator_is_that_of_the_likelihood(name):
    """The mean slope of the log-likelihood is zero at the parameters that have made the data."""
    assert far_from(scores(load(name), 0.0), 0.0).max() < 4.5


@pytest.mark.parametrize("name", ["cubic", "logistic"])
def test_another_simulator_would_be_found(name):
    assert far_from(scores(load(name), 1.5), 0.0).max() > 6


@pytest.mark.parametrize("name", NAMES)
def test_a_study_of_the_problem_can_be_simulated(name):
    real = load(name)
    table = si.simulate(real.problem, n=200, seed=1, n_jobs=1, progress=False)
    assert len(table) >= 190  # tails of a vague prior may overflow
    assert len(table.schema.read_many(real.observations)) == len(real.truths) == 3


def test_epidemics_and_pelts_are_solved_well_enough():
    """Half the step gives the same curves, to a hundredth of their noise."""
    pelts = load("predator_prey")
    draws = pelts.prior.unflatten(pelts.reference(2)[:50])
    rates = [draws[name] for name in (*pelts.module.RATES, *pelts.module.START)]
    fine, quick = pelts.module.solve(*rates), pelts.module.solve(*rates, steps=12)
    assert np.abs(fine - quick).max() < 2e-3
    epidemic = load("epidemic")
    draws = epidemic.prior.unflatten(epidemic.reference(0)[:50])
    states = [draws[name] for name in epidemic.module.STATES]
    usual = epidemic.module.infections(*states)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epidemic.module, "STEPS", 8)
        assert np.allclose(usual, epidemic.module.infections(*states), rtol=2e-3)


# -- references ------------------------------------------------------------------------------------


@pytest.mark.parametrize("observation", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_reference_draws_are_of_the_posterior(name, observation):
    """Stein's identities hold: the mean of a slope is 0, that of a slope times its place, -1."""
    real = load(name)
    draws, y = real.reference(observation), real.observations[observation]
    assert draws.shape == (references.DRAWS, real.prior.dim)
    z = points(real, draws[:400])
    scale, middle = z.std(axis=0), z.mean(axis=0)
    likelihood, prior = references.densities(real, y)
    slope = slopes(lambda at: likelihood(at) + prior(at), z, scale)
    assert far_from(slope, 0.0).max() < 4.5
    assert far_from(slope * (z - middle), -1.0).max() < 4.5


def test_draws_that_are_too_wide_would_be_found():
    real = load("radial_velocity")
    z = points(real, real.reference(0)[:400])
    z = z.mean(axis=0) + 1.3 * (z - z.mean(axis=0))
    likelihood, prior = references.densities(real, real.observations[0])
    slope = slopes(lambda at: likelihood(at) + prior(at), z, z.std(axis=0))
    assert far_from(slope * (z - z.mean(axis=0)), -1.0).max() > 6


@pytest.mark.parametrize("name", NAMES)
def test_walks_have_mixed(name):
    rows = pd.read_csv(RESULTS / "real-references.csv")
    rows = rows[rows.problem == name]
    assert len(rows) == 3 * load(name).prior.dim
    assert (rows.rhat < 1.01).all()
    assert rows.ess.min() > (900 if name == "epidemic" else 2_500)
    if hasattr(load(name).module, "exact"):
        assert (rows["walk - exact [sd]"].abs() < 0.05).all()
        assert (rows["walk / exact"] - 1).abs().max() < 0.05


def test_the_period_has_no_other_mode():
    """Over all periods, no other circular orbit comes near the best one."""
    real = load("radial_velocity")
    for i, y in enumerate(real.observations):
        rates = np.arange(1 / 100, 1.0, 5e-4)
        best = [orbit_fit(real.module, y, 1 / rate) for rate in rates]
        inside = np.abs(rates - 1 / np.median(real.reference(i)[:, 0])) < 1 / np.ptp(
            real.module.EPOCHS
        )
        assert max(np.array(best)[inside]) - max(np.array(best)[~inside]) > 9


def orbit_fit(module, y, period):
    """Give the largest log-likelihood of an orbit of this period, over jitters up to 20 m/s."""
    angle = 2 * np.pi * module.EPOCHS / period
    columns = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=1)
    found = []
    for jitter in (0.1, 1.0, 2.0, 4.0, 7.0, 12.0, 20.0):
        sd = np.hypot(module.ERRORS, jitter)
        design, seen = columns / sd[:, None], y["velocity"] / sd
        left = seen - design @ np.linalg.lstsq(design, seen, rcond=None)[0]
        found.append(-0.5 * left @ left - np.log(sd).sum())
    return max(found)


@pytest.mark.slow
def test_references_are_made_and_kept(tmp_path):
    records = references.replace(references.RECORDS, folder=tmp_path)
    references.make("line", records, tmp_path, steps=500, burn_in=200, particles=300)
    made, kept = load("line", tmp_path), load("line")
    for new, old in zip(made.observations, kept.observations, strict=True):
        assert np.array_equal(new["temperature"], old["temperature"])
    worst = max(abs(row["shift"]) for row in compare(kept.reference(0), made.reference(0), "abc"))
    assert worst < 0.1
    said = references.table(records.read())
    assert said.count("| line |") == 1
    assert references.table(records.read()[:0]) == ""


# -- walks of ensembles ----------------------------------------------------------------------------

MEAN, COVARIANCE = np.array([1.0, -2.0, 3.0]), np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 4.0]])


def gaussian(points):
    gap = points - MEAN
    return -0.5 * (gap * np.linalg.solve(COVARIANCE, gap.T).T).sum(axis=1)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_walkers_find_a_gaussian(share, monkeypatch):
    monkeypatch.setattr(ensemble, "STRETCH", share)
    rng = np.random.default_rng(1)
    start = rng.normal(size=(2, 40, 3))
    found = ensemble.walk(gaussian, start, 2_200, rng, keep=10)
    drawn = found.points[20:].reshape(-1, 3)
    assert len(found.points) == 220
    assert 0.2 < found.accepted < 0.9
    assert np.abs(drawn.mean(axis=0) - MEAN).max() < 0.15
    assert np.abs(np.cov(drawn.T) - COVARIANCE).max() < 0.3


def two_modes(points):
    """A mixture of two narrow modes, of shares 1 and 3, beside a wide prior."""
    gaps = [((points - middle) ** 2).sum(axis=1) / 2 / 0.05**2 for middle in (-1.0, 1.0)]
    return logsumexp([-gaps[0], np.log(3) - gaps[1]], axis=0)


def test_the_tempered_start_finds_both_modes():
    rng = np.random.default_rng(1)
    flat = ensemble.tempered(
        two_modes, lambda z: -0.5 * (z**2).sum(axis=1), rng.normal(size=(2_000, 2)), rng
    )
    right = flat[:, 0] > 0
    assert right.mean() == pytest.approx(0.75, abs=0.08)
    assert np.abs(flat[right] - 1).mean() == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.1)


def test_a_posterior_that_is_not_reached_is_an_error():
    rng = np.random.default_rng(1)
    start = rng.normal(size=(100, 2))
    with pytest.raises(RuntimeError, match="expected a power of 1 after 2 rises; got"):
        ensemble.tempered(two_modes, lambda z: -0.5 * (z**2).sum(axis=1), start, rng, most=2)


# -- scores and the command ------------------------------------------------------------------------


def test_draws_are_compared_with_the_reference():
    rng = np.random.default_rng(1)
    reference = rng.normal([0, 5], [1, 2], (5_000, 2))
    rows = compare(reference, reference * [2, 1] + [0, 1], ["a", "b"])
    assert [row["parameter"] for row in rows] == ["a", "b"]
    assert rows[0]["width"] == pytest.approx(2)
    assert rows[0]["iqr"] == pytest.approx(2)
    assert rows[1]["shift"] == pytest.approx(1 / reference[:, 1].std())
    assert rows[1]["median shift"] == pytest.approx(0.5, abs=0.03)
    assert told_apart(reference, reference + 9, 200, 1) > 0.99
    assert told_apart(reference, reference * [1, 1e60], 200, 1) > 0.99
    assert told_apart(reference, np.full((500, 2), np.nan), 500, 1) == 1


class Known:
    """Draws from the reference, and remembers what it was asked."""

    def __init__(self, real, asked):
        self.real, self.asked, self.history = real, asked, references.argparse.Namespace(seconds=1)

    def sample(self, y, n, *, seed):
        (at,) = [i for i, one in enumerate(self.real.observations) if y.keys() == one.keys()
                 and all(np.array_equal(y[name], one[name]) for name in y)]  # fmt: skip
        draws = np.random.default_rng(seed).permutation(self.real.reference(at))[:n]
        values = self.real.prior.unflatten(draws)
        return xr.Dataset({name: (("draw", *"xy"[: v.ndim - 1]), v) for name, v in values.items()})

    def refine(self, y, *, n_simulations, seed, n_jobs, progress):
        self.asked.append(("refine", n_simulations))
        return self

    def check(self, y, *, progress):
        return references.argparse.Namespace(verdict="trust")


@pytest.fixture
def asked(monkeypatch):
    """Fit nothing: the posterior is the reference. Gives what was asked for."""
    found = []

    def fit_posterior(problem, *, n_simulations, seed, **_):
        (name,) = [name for name in NAMES if load(name).problem is problem]
        found.append((name, n_simulations, seed))
        return Known(load(name), found)

    monkeypatch.setattr(si, "fit_posterior", fit_posterior)
    monkeypatch.setattr(run, "told_apart", lambda reference, draws, n, seed: 0.5)
    return found


def test_the_command_measures_what_is_missing(asked, tmp_path, capsys):
    usual = ["line", "--c2st", "40", "--out", str(tmp_path)]
    run.main([*usual, "--observations", "1", "--check"])
    assert asked == [("line", 20_000, 1)]
    said = capsys.readouterr().out
    assert "### now: 20,000 simulations" in said
    assert "trust: 1" in said
    run.main([*usual, "--seeds", "1", "2"])
    assert asked == [("line", 20_000, 1), ("line", 20_000, 1), ("line", 20_000, 2)]
    rows = pd.read_csv(tmp_path / "real.csv")
    assert len(rows) == 2 * 3 * 3
    assert rows["shift"].abs().max() < 1e-3
    assert rows["width"].sub(1).abs().max() < 1e-3
    assert (rows["c2st"] == 0.5).all()
    run.main([*usual, "--seeds", "1", "2", "--table"])
    assert len(asked) == 3


def test_simulations_near_the_observation_are_some_of_all(asked, tmp_path, capsys):
    run.main(
        ["line", "mixture", "--refine", "5000", "--c2st", "40", "--out", str(tmp_path)]
        + ["--observations", "2", "--label", "near"]
    )
    assert asked == [("line", 15_000, 1), ("refine", 5_000), ("mixture", 15_000, 1),
                     ("refine", 5_000)]  # fmt: skip
    said = capsys.readouterr().out
    assert "### near: 20,000 simulations, 5,000 of them near each observation" in said


def test_a_problem_that_is_unknown_is_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run.main(["lines", "--out", str(tmp_path)])
    assert "expected problems of cubic, line," in capsys.readouterr().err


def test_another_checkout_is_measured_by_its_own_commit(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(run.sys, "path", run.sys.path.copy())
    root = run.Path(run.__file__).parents[2]
    run.main(
        ["line", "--checkout", str(root), "--label", "before", "--c2st", "40"]
        + ["--observations", "1", "--out", str(tmp_path)]
    )
    rows = pd.read_csv(tmp_path / "real.csv", dtype={"commit": str})
    assert run.sys.path[0] == str(root)
    assert set(rows.commit) == {run.records.commit().rstrip("+")}
    assert set(rows.label) == {"before"}


def test_a_problem_reaches_the_aim_with_all_its_numbers_or_not_at_all():
    within = {"C2ST": 0.6, "mean shift": 0.1, "worst shift": 0.4, "narrowest": 0.85, "widest": 1.2}
    assert report.reached(within)
    for worse in ({"C2ST": 0.66}, {"worst shift": 0.41}, {"narrowest": 0.84}, {"widest": 1.21}):
        assert not report.reached(within | worse)


def test_the_newest_rows_stand_first():
    rows = pd.read_csv(RESULTS / "real.csv", dtype={"commit": str})
    said = report.table(rows, ["line", "cubic"], 20_000)
    assert said.index("### now") < said.index("### refined") < said.index("### before")
    assert "`2f5c164`" in said.split("### before")[1]


def test_no_rows_make_no_table():
    assert report.table(run.RECORDS.read()[:0], NAMES, 20_000) == ""


@pytest.mark.slow
def test_a_network_is_trained_by_default_settings(monkeypatch):
    monkeypatch.setattr(run, "told_apart", lambda reference, draws, n, seed: 0.5)
    real = load("line")
    posterior = run.fit(real, run.Asked(simulations=120), 1)
    rows = run.judged(real, posterior, 1, run.Asked(draws=50, c2st=50), 1)
    assert posterior.n_simulations == 120
    assert [row["parameter"] for row in rows] == ["intercept", "slope", "sigma"]
    assert all(np.isfinite([row["shift"], row["width"]]).all() for row in rows)
