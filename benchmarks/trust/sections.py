"""The sections of the benchmark: each returns a table."""

import time

import cases
import further
import numpy as np
import pandas as pd
import scipy.stats as st
from cases import posterior_of as case_of
from joblib import Parallel, delayed
from planted import Planted, Study, posterior_of

import sbi_inn as si
from sbi_inn.checks import Familiar
from sbi_inn.checks.posterior_sbc import check_calibration_at
from sbi_inn.checks.subject import Here

TESTS = 1_000  # test simulations of each planted posterior
JOBS = 2

# Planted: correlation of the truth, and what the posterior makes of it.
POWER = {
    "exact": (0.5, {"correlation": 0.5}),
    "shift of .3 sd": (0.5, {"correlation": 0.5, "shift": 0.3}),
    "width x .8": (0.5, {"correlation": 0.5, "width": 0.8}),
    "width x 1.25": (0.5, {"correlation": 0.5, "width": 1.25}),
    "correlation .5, claims 0": (0.5, {"correlation": 0.0}),
    "correlation 0, claims .5": (0.0, {"correlation": 0.5}),
}


def power(repetitions):
    """How often check() falls below trust, by what was planted."""
    return pd.DataFrame(
        [
            {"planted": name, "parameters": dim, **_counted(_objections, repetitions, dim, *how)}
            for dim in (2, 10)
            for name, how in POWER.items()
        ]
    ).fillna(0)


def _objections(seed, dim, truth, wrong):
    posterior = posterior_of(Planted(Study(dim, truth), **wrong), seed=seed, tests=TESTS)
    check = posterior.check(progress=False)
    names = [name for name, record in check.records.items() if not record.passed]
    return ["flagged"] * (check.verdict != "trust") + names


LOCAL = {
    "exact": {},
    "1 sd off within |y| < 1": {"shift": 1.0, "near": 1.0},
    "half as wide within |y| < 1": {"width": 0.5, "near": 1.0},
    "twice as wide within |y| < 1": {"width": 2.0, "near": 1.0},
}
AT_Y = ("conditional ranks at y", "re-simulation at y")


def local(repetitions):
    """How often posterior SBC and two other checks at y object, at y = 0 and away from it."""
    return pd.DataFrame(
        [
            {"planted": name, "y": y, **_counted(_local_objections, repetitions, wrong, y)}
            for name, wrong in LOCAL.items()
            for y in (0.0, 2.0)
        ]
    ).fillna(0)


def _local_objections(seed, wrong, y):
    posterior = posterior_of(Planted(Study(2, 0.5), 0.5, **wrong), seed=seed, tests=TESTS)
    check = posterior.check([y, 0.0], progress=False)
    records = check.records
    found = ["check(y)"] if check.verdict != "trust" else []
    found += [f"at y: {name}" for name in AT_Y if name in records and not records[name].passed]
    if "calibration at y" in check.skipped:
        return ["skipped", *found]
    return found if records["calibration at y"].passed else ["flagged", *found]


# Ten and twenty parameters, and what is wrong at every observation.
MANY = (Study(10, 0.5), Study(20, 0.3))
EVERYWHERE = {
    "exact": {},
    "shift of .3 sd": {"shift": 0.3},
    "shift of .5 sd": {"shift": 0.5},
    "width x .8": {"width": 0.8},
    "width x 1.3": {"width": 1.3},
}


def many(repetitions):
    """How often posterior SBC objects where there are many parameters, by itself."""
    return pd.DataFrame(
        [
            {
                "planted": name,
                "parameters": study.dim,
                **_counted(_alone_at, repetitions, study, how),
            }
            for study in MANY
            for name, how in EVERYWHERE.items()
        ]
    ).fillna(0)


def _alone_at(seed, study, wrong):
    planted = Planted(study, study.correlation, **wrong)
    posterior = posterior_of(planted, seed=seed, tests=100)
    y = np.random.default_rng(seed).normal(size=study.dim)
    found = check_calibration_at(Here(posterior._subject(), posterior.schema.read({"y": y})))
    if isinstance(found, str):
        return ["skipped"]
    return [] if found.passed else ["flagged"]


# -- calibrated, and wrong -------------------------------------------------------------------------

MANY_TESTS = (5_000, 1_000)
FEW_TESTS = (50, 100, 300, 5_000)


def wrong():
    return cases.wrong() | further.wrong()


def exact():
    return cases.exact() | further.exact()


def ignorant(repetitions):
    """How often check() falls below trust where posteriors are calibrated, or nearly so, and wrong.

    A fifth as many repetitions: a hundred of all take hours.
    """
    return _by_case(wrong(), MANY_TESTS, max(1, repetitions // 5), _verdicts)


def alarms(repetitions):
    """What check() and check(y) say of exact posteriors, by the number of test simulations."""
    return _by_case(exact(), FEW_TESTS, max(1, repetitions // 5), _verdicts_at)


def _by_case(known, tests, repetitions, task):
    rows = [
        {"planted": name, "tests": n, **_counted(task, repetitions, name, n)}
        for name in known
        for n in tests
    ]
    return pd.DataFrame(rows).fillna(0)


def _objections_of(check, before=""):
    objecting = ("caution", "do not trust")
    names = [name for name, r in check.records.items() if r.verdict in objecting]
    flagged = [f"{before}flagged"] * (check.verdict in objecting)
    blind = [f"{before}cannot tell"] * (check.verdict == "cannot tell")
    return [*flagged, *blind, *(f"{before}{name}" for name in names)]


def _verdicts(seed, name, n):
    posterior = case_of(wrong()[name], seed=seed, tests=n)
    return _objections_of(posterior.check(progress=False))


def _verdicts_at(seed, name, n):
    case = exact()[name]
    posterior = case_of(case, seed=seed, tests=n)
    one = si.simulate(case[0], n=1, seed=10_000 + seed, n_jobs=1, progress=False)
    y = posterior.schema.unstack(one.observations(), 0)
    general, at = (posterior.check(what, progress=False) for what in (None, y))
    return _objections_of(general) + _objections_of(at, "at y: ")


def _counted(task, repetitions, *arguments):
    """Count in how many of the repetitions each objection is made."""
    with_seed = (delayed(_alone)(task, seed, *arguments) for seed in range(1, repetitions + 1))
    found = Parallel(JOBS)(with_seed)
    names = dict.fromkeys(name for one in found for name in one)
    return {"of": repetitions, "flagged": 0} | {n: sum(n in one for one in found) for n in names}


def _alone(task, *arguments):
    """Run a task on one thread, as there is one process a core."""
    import torch

    torch.set_num_threads(1)
    return task(*arguments)


# -- observations that the simulator does not make -------------------------------------------------

WATCHED = ("goodness of fit", "posterior predictive")


def strange(repetitions):
    """How often check(y) objects, with fresh test simulations or a fresh y each time."""
    rows = []
    arm = si.fit_posterior("inverse_kinematics", n_simulations=10_000, seed=1, progress=False)
    for y in ({"across": 4.0, "up": 0.0}, {"across": 0.0, "up": 2.3}, {"across": 1.6, "up": 0.1}):
        name = f"arm at ({y['across']:g}, {y['up']:g})"
        check = arm.check(y, progress=False)  # of the same observation it says the same
        rows.append(_asked(name, arm, repetitions, lambda rng, y=y: y, check))
    rows.append(_uniform("arm", arm))
    moons = si.fit_posterior("two_moons", n_simulations=10_000, seed=1, progress=False)
    rows.append(_asked("two_moons 5 sd away", moons, repetitions, _far(moons)))
    rows.append(_uniform("two_moons", moons))
    sets = si.fit_posterior("normal_sample", n_simulations=10_000, seed=1, progress=False)
    for share in (0.2, 0.0):
        name = f"normal_sample of 200, {share:.0%} outliers at 6 sd"
        rows.append(_asked(name, sets, repetitions, _outliers(sets, share)))
    rows.append(_uniform("normal_sample", sets))
    return pd.DataFrame(rows)


def _asked(name, posterior, repetitions, make, check=None):
    """Ask for goodness of fit and the posterior predictive check of `repetitions` observations."""
    found = []
    for seed in range(1, repetitions + 1):
        y = make(np.random.default_rng(seed))
        records = dict((check or posterior.check(y, progress=False)).records)
        seen = posterior.schema.read(y)
        (records["goodness of fit"],) = _familiar(posterior, seed).compare(posterior.core, seen)
        passed = {name: name in records and records[name].passed for name in WATCHED}
        passed["either"] = all(passed.values())
        passed["check(y)"] = all(record.passed for record in records.values())
        found.append({name: not well for name, well in passed.items()})
    return {"observation": name, "of": repetitions, **pd.DataFrame(found).sum().to_dict()}


def _familiar(posterior, seed, n=TESTS):
    """Learn from other simulations than the posterior's own what is usual."""
    fresh = si.simulate(posterior.problem, n=n, seed=seed, n_jobs=1, progress=False)
    return Familiar.of(posterior.core, fresh.observations())


def _far(posterior):
    """Make an observation five standard deviations from the mean, in a random direction."""
    seen = posterior.simulations.observations().vector
    mean, sd = seen.mean(axis=0), seen.std(axis=0)

    def make(rng):
        angle = rng.uniform(0, 2 * np.pi)
        return mean + 5 * sd * [np.cos(angle), np.sin(angle)]

    return make


def _outliers(posterior, share):
    """Make a set of 200 of which a share is shifted up by six standard deviations."""

    def make(rng):
        drawn = posterior.prior.sample(1, rng)
        mu, sigma = float(drawn["mu"][0]), float(drawn["sigma"][0])
        values = rng.normal(mu, sigma, 200)
        values[: round(share * 200)] += 6 * sigma
        return {"y": values}

    return make


def _uniform(name, posterior):
    """Test whether p-values of other held-out simulations are uniform.

    The p-values are ranks among a finite reference, whose own noise a test against the uniform
    distribution would take for a fault: the scores that are ranked are compared instead.
    """
    others = si.simulate(posterior.problem, n=TESTS, seed=2, n_jobs=1, progress=False)
    found = _familiar(posterior, 1, n=5_000).compare(posterior.core, others.observations())
    p_values = {
        part: st.ks_2samp([one.here[part] for one in found], usual).pvalue
        for part, usual in found[0].usual.items()
    }
    strange = sum(one.p_value < 0.01 for one in found)
    row = {"observation": f"{name}, held out", "of": len(found), "goodness of fit": strange}
    return row | {"smallest KS p": min(p_values.values())}


# -- defaults --------------------------------------------------------------------------------------


BAD = si.Training(epochs=300, early_stopping=False)
FITS = {
    "inverse_kinematics, 100,000": ("inverse_kinematics", 100_000, None),
    "gaussian_linear, 20,000": ("gaussian_linear", 20_000, None),
    "two_moons, 300, no early stopping": ("two_moons", 300, BAD),
}


def fits(seed):
    """What is said of fits with default settings, and of one that is bad on purpose."""
    rows = []
    for label, (name, n, training) in FITS.items():
        posterior = si.fit_posterior(
            name, n_simulations=n, training=training, seed=seed, progress=False
        )
        rows.append({"fit": label} | _judged(posterior))
    return pd.DataFrame(rows)


def _judged(posterior):
    y = posterior.schema.unstack(posterior._subject().tests.head(1).observations, 0)
    started = time.perf_counter()
    check = posterior.check(y, progress=False)
    seconds = time.perf_counter() - started
    general = posterior.check(progress=False)
    return {
        "check()": general.verdict,
        "check(y)": check.verdict,
        "check(y) [s]": seconds,
        "sentence": general.sentence,
    }
