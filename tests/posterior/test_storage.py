"""A posterior in a file, and back."""

import json
import warnings
import zipfile

import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, briefly, quick_fit

import sbi_inn as si
from sbi_inn import files
from sbi_inn.posterior.storage import load_posterior
from sbi_inn.simulation import registry

Y = [1.0, -0.5]


@pytest.fixture(scope="module")
def posterior():
    """One whose draws are half as wide as they should be."""
    fitted = briefly(quick_fit(LINE, n=1_000, epochs=3))
    regression = fitted.core.fitted.network.regression
    regression.colour.mul_(0.5)
    regression.whiten.mul_(2.0)
    return fitted


@pytest.fixture(scope="module")
def path(posterior, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "line.sbi"
    posterior.check()
    posterior.save(path)
    return path


def hush(*posteriors):
    """Draw once from each: a posterior whose last check has failed says so, and then no more."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the last check of this posterior said: Do not trust")
        for posterior in posteriors:
            posterior.sample(Y, 1)


def same(one, other):
    """Whether two posteriors say the same of everything that needs no simulator."""
    hush(one, other)
    draws = one.sample(Y, 200)
    assert other.sample(Y, 200).identical(draws)
    assert other.sample_each([Y, Y], 5).identical(one.sample_each([Y, Y], 5))
    assert np.array_equal(other.log_prob(draws, Y), one.log_prob(draws, Y))
    assert other.map_estimate(Y) == one.map_estimate(Y)
    assert other.summary(Y, 500).equals(one.summary(Y, 500))
    assert np.array_equal(other.core.scale, one.core.scale)
    return True


# -- with everything at hand -----------------------------------------------------------------------


def test_nothing_changes(posterior, path):
    loaded = load_posterior(path, simulator=LINE)
    assert same(posterior, loaded)
    assert loaded.seed == posterior.seed
    assert loaded.history == posterior.history
    assert loaded.settings == posterior.settings
    assert loaded.schema == posterior.schema
    assert loaded.prior == posterior.prior
    assert loaded.last_check == posterior.last_check != ""
    assert loaded.last_verdict == posterior.last_verdict == "do not trust"
    assert repr(loaded) == repr(posterior)
    assert loaded.resimulate(Y, 50).identical(posterior.resimulate(Y, 50))


def test_checks_find_the_same(posterior, path):
    loaded = briefly(load_posterior(path, simulator=LINE))
    for y in (None, Y):
        before, after = posterior.check(y), loaded.check(y)
        assert after.table.equals(before.table)
        assert after.sentence == before.sentence
        assert after.about == before.about


def test_a_loaded_posterior_can_be_saved_again(path, tmp_path):
    loaded = load_posterior(path)
    loaded.save(tmp_path / "again.sbi")
    assert same(loaded, load_posterior(tmp_path / "again.sbi"))


def test_held_out_simulations_are_inside(posterior, path):
    loaded = load_posterior(path)
    held_out = posterior.simulations.dataset.isel(simulation=posterior.core.test_rows)
    assert len(loaded.simulations) == 100
    for name in ("a", "b", "y"):
        assert loaded.simulations.dataset[name].identical(held_out[name])
    assert loaded.n_simulations == 1_000
    assert loaded.core.seen_rows.size == 0
    before, after = posterior._subject().tests.head(100), loaded._subject().tests.head(100)
    assert np.array_equal(before.truth, after.truth)
    assert np.array_equal(before.observations.vector, after.observations.vector)


# -- without the simulator -------------------------------------------------------------------------


def test_without_its_simulator_all_but_resimulation_works(posterior, path):
    loaded = load_posterior(path)
    assert loaded.problem is None
    assert same(posterior, loaded)
    assert loaded.rejection_abc(Y, quantile=0.1).sizes == {"draw": 10}
    with pytest.raises(si.SimulationError, match=r"load_posterior\(path, simulator=...\)"):
        loaded.resimulate(Y)


HERE = ["goodness of fit", "information at y", "conditional ranks at y"]
GENERAL = ["calibration", "conditional ranks", "dependence", "joint coverage", "recovery"]
SIMULATED = ["re-simulation at y", "posterior predictive", "calibration at y"]


def test_without_its_simulator_it_checks_itself_and_says_what_it_skipped(posterior, path):
    loaded = load_posterior(path)
    # Without a simulator only those held out are left: 100 of 1,000 simulations.
    here = briefly(exact_copy(posterior), 100)
    for y, records, skipped in (
        (None, GENERAL, ["re-simulation"]),
        (Y, [*GENERAL, *HERE], ["re-simulation", *SIMULATED]),
    ):
        before, after = here.check(y), loaded.check(y)
        assert list(after.records) == records
        assert list(after.skipped) == skipped
        assert all("give it to load_posterior" in why for why in after.skipped.values())
        assert all(f"skipped: {name} (no simulator" in repr(after) for name in skipped)
        assert after.table.equals(before.table.loc[records])
        assert after.verdict == before.verdict == "do not trust"
        for name in records:
            assert after.records[name].sentence == before.records[name].sentence
            known = after.records[name].table  # what could be attained takes the simulator
            assert known.equals(before.records[name].table[known.columns])


def exact_copy(posterior):
    """Give the same posterior, that has not been checked."""
    return si.Posterior(posterior.core)


def test_without_its_simulator_it_judges_a_catalogue(posterior, path):
    loaded, here = load_posterior(path), briefly(exact_copy(posterior), 100)
    ys = [Y, [40.0, -40.0]]
    found = loaded.goodness_of_fit_each(ys)
    assert found.flagged.to_list() == [False, True]
    assert found.equals(here.goodness_of_fit_each(ys))
    together = loaded.goodness_of_fit_together([Y] * 20)
    assert together.table.equals(here.goodness_of_fit_together([Y] * 20).table)
    with pytest.raises(si.SimulationError, match="use the posterior that fit_posterior returned"):
        loaded.learning_curve()


# -- the last check --------------------------------------------------------------------------------


def test_a_failed_check_is_remembered_in_the_file(path):
    loaded = load_posterior(path)
    assert loaded.last_verdict == "do not trust"
    with pytest.warns(UserWarning, match="^the last check of this posterior said: ") as said:
        loaded.sample(Y, 5)
    assert str(said[0].message).endswith(loaded.last_check)
    loaded.sample(Y, 5)  # once is enough: any more would be an error here
    loaded.sample_each([Y], 5)


def test_files_without_a_verdict(path, tmp_path):
    """Files of 0.1 have the sentence of the last check, and no verdict."""
    old = changed(path, tmp_path / "old.sbi", lambda config, arrays: config.pop("last_verdict"))
    loaded = load_posterior(old)
    assert loaded.last_check.startswith("Do not trust this posterior: ")
    assert loaded.last_verdict == ""
    loaded.sample(Y, 5)
    assert loaded.check().verdict == loaded.last_verdict == "do not trust"


def test_the_raw_simulator_given_again(posterior, path):
    for simulator in (LINE.simulator, LINE):
        loaded = load_posterior(path, simulator=simulator)
        assert loaded.resimulate(Y, 50).y.equals(posterior.resimulate(Y, 50).y)


def test_a_simulator_of_another_study_is_refused(path):
    with pytest.raises(si.SimulationError, match="'c' is not a parameter"):
        load_posterior(path, simulator=lambda a, b, c: a)
    other = si.Problem(lambda p: p, si.Prior(p=st.norm()), given={"k": 1})
    with pytest.raises(si.LoadError, match="expected a problem of a, b, .* got one of p, k"):
        load_posterior(path, simulator=other)
    with pytest.raises(si.SimulationError, match="can be called; got 3"):
        load_posterior(path, simulator=3)


def test_a_registered_problem_is_found_by_its_name(path, monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "_registered", {})
    si.register("a line", LINE)
    named = quick_fit("a line")
    named.save(tmp_path / "named.sbi")
    assert load_posterior(tmp_path / "named.sbi").problem == si.get("a line")
    assert load_posterior(path, simulator="a line").problem == si.get("a line")
    monkeypatch.setattr(registry, "_registered", {})
    assert load_posterior(tmp_path / "named.sbi").problem is None
    with pytest.raises(KeyError, match="no problem is registered as a line"):
        load_posterior(tmp_path / "named.sbi", simulator="a line")


def test_simulations_alone_make_a_posterior_that_can_be_saved(tmp_path):
    table = si.simulate(LINE, n=300, seed=1, n_jobs=1, progress=False)
    posterior = quick_fit(table)
    posterior.save(tmp_path / "table.sbi")
    assert same(posterior, load_posterior(tmp_path / "table.sbi"))


# -- sets, givens and priors that are code ---------------------------------------------------------


def test_sets_and_a_registered_prior_that_is_code(tmp_path):
    path, y = tmp_path / "sample.sbi", {"y": [0.5, 1.0, -0.2]}
    posterior = quick_fit("normal_sample")
    posterior.save(path)
    loaded = load_posterior(path)
    assert loaded.problem == si.get("normal_sample")
    draws = posterior.sample(y, 50)
    assert loaded.sample(y, 50).identical(draws)
    assert np.array_equal(loaded.log_prob(draws, y), posterior.log_prob(draws, y))
    assert loaded.resimulate(y, 20).identical(posterior.resimulate(y, 20))


def by_hand(x):
    return np.interp(x, [0, 1], [0, 1])


@pytest.fixture(scope="module")
def dependent(tmp_path_factory):
    prior = si.Prior(beta=st.uniform(0, 1), gamma=lambda beta: st.uniform(0, by_hand(beta)))

    def rates(beta, gamma, k, rng):
        return k * beta - gamma + rng.normal(0, 0.1)

    problem = si.Problem(rates, prior, given={"k": st.uniform(1, 1)})
    path = tmp_path_factory.mktemp("saved") / "rates.sbi"
    posterior = quick_fit(problem)
    posterior.save(path)
    return posterior, path


def test_a_prior_that_is_code_is_given_again(dependent):
    posterior, path = dependent
    with pytest.raises(si.LoadError, match="the prior of 'gamma' is code.*prior="):
        load_posterior(path)
    y = {"y": 0.5, "k": 1.5}
    for again in ({"prior": posterior.prior}, {"simulator": posterior.problem}):
        loaded = load_posterior(path, **again)
        draws = loaded.sample(y, 50)
        assert draws.identical(posterior.sample(y, 50))
        assert (draws.gamma <= draws.beta).all()
    with pytest.raises(si.LoadError, match="not that of the file: .* parameters x; got 'beta'"):
        load_posterior(path, prior=si.Prior(x=st.norm()))
    same = si.Prior(beta=st.uniform(0, 1), gamma=lambda beta: st.uniform(0, beta))
    assert load_posterior(path, prior=same).sample(y, 50).identical(draws)
    other = si.Prior(beta=st.uniform(0, 1), gamma=lambda beta: st.uniform(0, beta**2))
    with pytest.raises(si.LoadError, match="not the one .*gamma is .*, and .* in the file"):
        load_posterior(path, prior=other)


def test_a_function_that_is_arithmetic_is_in_the_file(tmp_path):
    prior = si.Prior(beta=st.uniform(0.1, 1), gamma=lambda beta: st.norm(beta / 2, 0.1 * beta))
    posterior = quick_fit(lambda beta, gamma, rng: beta - gamma + rng.normal(0, 0.1), prior)
    posterior.save(tmp_path / "arithmetic.sbi")
    loaded = load_posterior(tmp_path / "arithmetic.sbi")
    assert loaded.prior == prior
    draws = posterior.sample({"y": 0.3}, 50)
    assert loaded.sample({"y": 0.3}, 50).identical(draws)
    assert np.array_equal(loaded.log_prob(draws, {"y": 0.3}), posterior.log_prob(draws, {"y": 0.3}))


def test_givens_that_vary_come_with_a_problem(dependent):
    posterior, path = dependent
    with pytest.raises(si.LoadError, match=r"givens vary in this study \(k\).*si.Problem"):
        load_posterior(path, simulator=lambda beta, k: beta, prior=posterior.prior)
    loaded = load_posterior(path, simulator=posterior.problem)
    y = {"y": 0.5, "k": 1.5}
    assert loaded.resimulate(y, 20).identical(posterior.resimulate(y, 20))
    with pytest.warns(UserWarning, match="k = 7 is outside the trained range"):
        loaded.sample({"y": 0.5, "k": 7.0}, 5)


def test_failed_rows_are_not_held_out(tmp_path):
    def fragile(a, b, rng):
        return np.nan if a > 1 else a + b

    posterior = quick_fit(fragile, LINE.prior)
    posterior.save(tmp_path / "fragile.sbi")
    loaded = load_posterior(tmp_path / "fragile.sbi")
    assert len(loaded.simulations.ok) == len(loaded.simulations) == 50
    assert loaded.sample(0.5, 20).identical(posterior.sample(0.5, 20))


# -- what cannot be loaded -------------------------------------------------------------------------


def test_nothing_is_pickled(path):
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        assert names == {
            "config.json",
            "SHA256SUMS",
            *(f"{g}.safetensors" for g in ("weights", "scaling", "held_out", "reference")),
        }
        config = json.loads(archive.read("config.json"))
    assert config["kind"] == "posterior"
    assert "lambda" not in json.dumps(config)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 0.999])
def test_a_truncated_file(path, tmp_path, share):
    content = path.read_bytes()
    short = tmp_path / "short.sbi"
    short.write_bytes(content[: int(share * len(content))])
    with pytest.raises(si.LoadError, match="short.sbi"):
        load_posterior(short)


def test_a_newer_format(path, tmp_path, monkeypatch):
    config, arrays = files.read(path)
    monkeypatch.setattr(files, "FORMAT", files.FORMAT + 1)
    files.write(tmp_path / "newer.sbi", config, arrays)
    monkeypatch.undo()
    with pytest.raises(si.LoadError, match="format 4.*Upgrade sbi_inn"):
        load_posterior(tmp_path / "newer.sbi")


def test_a_zip_of_someone_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(si.LoadError, match="other.zip"):
        load_posterior(tmp_path / "other.zip")


def test_one_of_our_files_that_is_no_posterior(tmp_path):
    files.write(tmp_path / "other.sbi", {"kind": "comparison"}, {})
    with pytest.raises(si.LoadError, match="expected a posterior; the file holds 'comparison'"):
        load_posterior(tmp_path / "other.sbi")


def changed(path, to, change):
    config, arrays = files.read(path)
    change(config, arrays)
    files.write(to, config, arrays)
    return to


DAMAGE = {
    "no schema": lambda config, arrays: config.pop("schema"),
    "no name": lambda config, arrays: config.pop("prior"),
    "no nuisances": lambda config, arrays: config.pop("nuisances"),
    "no weights": lambda config, arrays: arrays.pop("weights"),
    "fewer weights": lambda config, arrays: arrays["weights"].popitem(),
    "other method": lambda config, arrays: config["method"].update(name="magic"),
    "other width": lambda config, arrays: config["method"]["shape"].update(dim=3),
    "no held-out rows": lambda config, arrays: arrays["held_out"].pop("y"),
    "rows that differ": lambda config, arrays: arrays["held_out"].update(a=np.zeros(3)),
    "no scale": lambda config, arrays: arrays.pop("reference"),
    "other dims": lambda config, arrays: config["variables"]["a"].update(dims=["x", "z"]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_files_whose_parts_do_not_fit(path, tmp_path, damage):
    broken = changed(path, tmp_path / "broken.sbi", DAMAGE[damage])
    with pytest.raises(si.LoadError):
        load_posterior(broken)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(si.LoadError, match="no such file"):
        load_posterior(tmp_path / "none.sbi")


# -- the bidirectional network ---------------------------------------------------------------------


@pytest.fixture(scope="module", params=["unpadded", "padded"])
def bidirectional(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "inn.sbi"
    prior = LINE.prior if request.param == "padded" else SPARE
    with pytest.warns(UserWarning, match="misses y"):
        posterior = quick_fit(LINE.simulator, prior, method=si.INN(blocks=2, hidden=16), epochs=2)
    assert posterior.core.fitted.network.sides.padded == (request.param == "padded")
    posterior.save(path)
    return posterior, path


SPARE = si.Prior(a=st.norm(0, 1), b=st.norm(0, 2), c=st.norm(), d=st.norm())


def test_a_forward_network_changes_nothing_either(bidirectional):
    posterior, path = bidirectional
    loaded = load_posterior(path)
    draws = posterior.sample(Y, 200)
    assert loaded.sample(Y, 200).identical(draws)
    assert loaded.map_estimate(Y) == posterior.map_estimate(Y)
    assert loaded.emulate(draws).identical(posterior.emulate(draws))
    assert loaded.emulation.errors.equals(posterior.emulation.errors)
    exactly = [p.at_tolerance(0.0).sample(Y, 20) for p in (loaded, posterior)]
    assert exactly[0].identical(exactly[1])
    assert loaded.settings == posterior.settings
    assert loaded.core.remark == posterior.core.remark
    assert repr(loaded) == repr(posterior)
    again = loaded.resimulate(Y, 20, emulator=True)
    assert again.identical(posterior.resimulate(Y, 20, emulator=True))
    if not posterior.core.fitted.network.sides.padded:
        assert np.array_equal(loaded.log_prob(draws, Y), posterior.log_prob(draws, Y))


def test_a_tolerance_is_kept(bidirectional, tmp_path):
    posterior, _ = bidirectional
    posterior.at_tolerance(0.25).save(tmp_path / "wide.sbi")
    loaded = load_posterior(tmp_path / "wide.sbi")
    assert loaded.settings.tolerance == 0.25
    assert loaded.sample(Y, 20).identical(posterior.at_tolerance(0.25).sample(Y, 20))
    assert loaded.at_tolerance(None).sample(Y, 20).identical(posterior.sample(Y, 20))


INN_DAMAGE = {
    "no layout": lambda config, arrays: config["method"].pop("layout"),
    "other width": lambda config, arrays: config["method"]["layout"].update(width=40),
    "no latent": lambda config, arrays: config["method"]["layout"].update(latent=0),
    "unknown loss": lambda config, arrays: config["method"]["settings"].update(loss="magic"),
    "fewer weights": lambda config, arrays: arrays["weights"].popitem(),
    "no errors": lambda config, arrays: arrays.pop("errors"),
}


@pytest.mark.parametrize("damage", INN_DAMAGE)
def test_forward_networks_whose_parts_do_not_fit(bidirectional, tmp_path, damage):
    broken = changed(bidirectional[1], tmp_path / "broken.sbi", INN_DAMAGE[damage])
    with pytest.raises(si.LoadError, match="do not fit the settings"):
        load_posterior(broken)
