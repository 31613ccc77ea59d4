"""A map, an epidemic and decisions: against their equations, their limits and closed forms."""

import numpy as np
import pytest
import scipy.stats as st
from sbi_inn.simulators import levy_flight, ricker, sir_stochastic
from scipy.integrate import solve_ivp

from sbi_inn.simulation.registry import get
from sbi_inn.simulation.run import simulate


def simulated(name, n, **settings):
    return simulate(name, n=n, seed=1, n_jobs=1, progress=False, **settings)


def rng(seed=1):
    return np.random.default_rng(seed)


class TestRicker:
    """Sec. 5 of the methods: N' = r N exp(-N + e), counts Poisson(rho N)."""

    def test_without_noise_it_is_ricker_s_map(self):
        for r in (2.0, 7.4, 12.0, 60.0):
            path = np.exp(ricker.log_populations(np.array([r]), np.zeros(1), 30, rng())[:, 0])
            n = 10.0
            for found in path:
                # From what was found before: in a chaotic map rounding errors grow.
                assert found == pytest.approx(r * n * np.exp(-n), rel=1e-9)
                n = found

    def test_the_noise_is_in_the_logarithm_of_the_growth(self):
        n = 50_000
        path = ricker.log_populations(np.full(n, 20.0), np.full(n, 0.3), 3, rng())
        noise = path[1:] - path[:-1] - np.log(20) + np.exp(path[:-1])
        assert st.kstest(noise.ravel() / 0.3, "norm").pvalue > 1e-3
        assert abs(np.corrcoef(noise)[0, 1]) < 4 / np.sqrt(n)

    def test_counts_are_poisson_given_the_population(self):
        n, r, sigma, rho = 20_000, 8.0, 0.4, 5.0
        each = [np.full(n, x) for x in (r, sigma, rho)]
        counts = ricker.ricker(*each, generations=np.full(n, 4), rng=rng())["count"]
        population = np.exp(ricker.log_populations(each[0], each[1], 4, rng(2)))
        for seen, hidden in zip(counts.T, population, strict=True):
            error = np.sqrt(seen.var() / n + rho**2 * hidden.var() / n)
            assert abs(seen.mean() - rho * hidden.mean()) < 4 * error
            # The variance of a mixture of Poisson laws: that of the mean, and the mean.
            expected = rho**2 * hidden.var() + rho * hidden.mean()
            assert seen.var() == pytest.approx(expected, rel=0.15)

    def test_it_stays_finite_in_every_corner_of_the_prior(self):
        corners = np.array(np.meshgrid([1.0, 90.0], [0.05, 0.7], [0.0, 15.0])).reshape(3, -1)
        seen = ricker.ricker(*corners, generations=np.full(8, 500), rng=rng())["count"]
        assert np.isfinite(seen).all()
        assert (seen >= 0).all()
        assert not seen[corners[2] == 0].any()

    def test_prior_and_lengths(self):
        table = simulated("ricker", 2_000)
        values = table.parameters()
        for name, (low, high) in {"r": (1, 90), "sigma": (0.05, 0.7), "rho": (0, 15)}.items():
            scaled = (values[name] - low) / (high - low)
            assert st.kstest(scaled, "uniform").pvalue > 1e-3
        sizes = table.observations().sets["generations"].sizes
        assert (sizes.min(), sizes.max()) == (100, 500)


class TestEpidemic:
    """Binomial infections and recoveries among a thousand people."""

    @pytest.fixture
    def paths(self):
        n, steps = 400, 500
        each = np.full(n, 0.6), np.full(n, 0.2), np.full(n, steps)
        return sir_stochastic.sir_stochastic(*each, rng=rng())

    def test_nobody_is_lost_and_nobody_falls_ill_twice(self, paths):
        s, i, r = (paths[name] for name in ("susceptible", "infected", "recovered"))
        assert (s + i + r == 1000).all()
        assert min(s.min(), i.min(), r.min()) >= 0
        assert (np.diff(s) <= 0).all()
        assert (np.diff(r) >= 0).all()

    def test_a_step_has_binomial_means_and_variances(self, paths):
        beta, gamma, dt = 0.6, 0.2, 0.1
        s, i, r = (paths[name] for name in ("susceptible", "infected", "recovered"))
        well, ill = np.diff(r), -np.diff(s)
        p = 1 - np.exp(-gamma * dt)
        q = 1 - np.exp(-beta * (i[:, :-1] + 0.5) / 1000 * dt)
        for seen, people, chance in ((well, i[:, :-1], p), (ill, s[:, :-1], q)):
            gap = seen - people * chance
            variance = people * chance * (1 - chance)
            total = variance.sum()
            assert abs(gap.sum()) < 4 * np.sqrt(total)
            kurtosis = (gap**4).sum()  # of the sum of squares; the steps are uncorrelated
            assert abs((gap**2).sum() - total) < 4 * np.sqrt(kurtosis)

    def test_a_large_outbreak_follows_its_differential_equation(self, monkeypatch):
        """With many people, all of them in few steps, noise and the steps' length vanish."""
        people, first, dt = 10**7, 10**5, 0.01
        for name, value in {"PEOPLE": people, "INFECTED": first, "STEP": dt}.items():
            monkeypatch.setattr(sir_stochastic, name, value)
        beta, gamma, steps = 0.8, 0.3, 3_000
        each = np.array([beta]), np.array([gamma]), np.array([steps])
        seen = sir_stochastic.sir_stochastic(*each, rng=rng())

        def flow(_, y):
            infections = beta * y[0] * y[1]
            return [-infections, infections - gamma * y[1]]

        share = first / people
        times = dt * np.arange(1, steps + 1)
        exact = solve_ivp(flow, (0, times[-1]), [1 - share, share], t_eval=times, rtol=1e-8).y
        for name, path in zip(("susceptible", "infected"), exact, strict=True):
            assert np.abs(seen[name][0] / people - path).max() < 5e-3

    def test_the_likelihood_is_a_product_of_binomials(self):
        beta, gamma = np.array([0.3, 0.5, 0.9]), np.array([0.05, 0.2, 0.4])
        steps = np.full(3, 300)
        paths = sir_stochastic.sir_stochastic(beta, gamma, steps, rng=rng(3))
        at = np.array([0.2, 0.4, 0.8])
        for row in range(3):
            s, i, r = (x[row] for x in paths.values())
            of_beta, of_gamma = sir_stochastic.log_likelihoods(s, i, r)
            before_s, before_i = np.append(999, s[:-1]), np.append(1, i[:-1])
            ill, well = before_s - s, np.diff(np.append(0, r))
            q = -np.expm1(-at[:, None] * (before_i + 0.5) / 1000 * 0.1)
            p = -np.expm1(-at[:, None] * 0.1)
            for found, law in (
                (of_beta(at), st.binom.logpmf(ill, before_s, q).sum(axis=1)),
                (of_gamma(at), st.binom.logpmf(well, before_i, p).sum(axis=1)),
            ):
                np.testing.assert_allclose(np.diff(found), np.diff(law), atol=1e-3)

    def test_the_exact_posterior_is_calibrated(self):
        table = simulated("sir_stochastic", 2_000)
        series, values = table.observations().sets["steps"], table.parameters()
        ranks = {"beta": [], "gamma": []}
        for row in range(len(table)):
            marginals = sir_stochastic.posterior(*series.values[row, : series.sizes[row]].T)
            for name, (grid, density) in marginals.items():
                width = grid[1] - grid[0]
                assert density.sum() * width == pytest.approx(1)
                edges = np.append(grid - width / 2, grid[-1] + width / 2)
                cdf = np.append(0, np.cumsum(density) * width)
                ranks[name].append(np.interp(values[name][row], edges, cdf))
        for found in ranks.values():
            assert st.kstest(found, "uniform").pvalue > 1e-3

    def test_prior_and_lengths(self):
        table = simulated("sir_stochastic", 2_000)
        beta, gamma = (table.parameters()[name] for name in ("beta", "gamma"))
        assert st.kstest((beta - 0.01) / 0.99, "uniform").pvalue > 1e-3
        assert st.kstest(gamma / beta, "uniform").pvalue > 1e-3
        sizes = table.observations().sets["steps"].sizes
        assert (sizes.min(), sizes.max()) == (200, 500)


class TestLevyFlight:
    """Where alpha is 2 it is Brownian motion between two bounds."""

    @pytest.mark.parametrize("alpha", [1.0, 1.3, 1.7, 2.0])
    def test_steps_are_stable(self, alpha):
        n = 200_000
        drawn = levy_flight.stable(np.full((n, 1), alpha, np.float32), (n, 1), rng())[:, 0]
        assert np.isfinite(drawn).all()
        # The characteristic function of a symmetric stable law of scale 1 is exp(-|t|^alpha).
        for t in (0.1, 0.5, 1.0, 2.0):
            cosines = np.cos(t * drawn.astype(float))
            assert abs(cosines.mean() - np.exp(-(t**alpha))) < 4 * cosines.std() / np.sqrt(n)
        p = 0.9
        exact = st.cauchy.ppf(p) if alpha == 1 else st.norm.ppf(p, scale=2**0.5)
        if alpha in (1, 2):
            below = (drawn < exact).mean()
            assert abs(below - p) < 4 * np.sqrt(p * (1 - p) / n)

    def test_brownian_decisions_have_closed_forms(self, monkeypatch):
        """Choice and mean time of the diffusion model; a walk in steps of dt sees bounds wider.

        The mean overshoot of a normal step beyond a bound is .5826 sqrt(dt) (Siegmund 1979).
        """
        monkeypatch.setattr(levy_flight, "MOST_STEPS", 10**6)
        n = 40_000
        for v, a, z in ((1.0, 1.2, 0.5), (-2.0, 1.0, 0.6), (0.7, 2.0, 0.35)):
            each = {"drift": v, "alpha": 2.0, "start": z * a, "bound": a}
            arrays = {name: np.full(n, value) for name, value in each.items()}
            times, upper = levy_flight.decisions(**arrays, rng=rng())
            wider = 0.5826 * np.sqrt(levy_flight.STEP)
            x, b = z * a + wider, a + 2 * wider
            chance = -np.expm1(-2 * v * x) / -np.expm1(-2 * v * b)
            assert abs(upper.mean() - chance) < 4 * np.sqrt(chance * (1 - chance) / n)
            mean = (b * chance - x) / v
            assert abs(times.mean() - mean) < 4 * times.std() / np.sqrt(n) + levy_flight.STEP

    def test_a_slow_readable_version_agrees(self):
        v, a, z, alpha, n = 1.5, 1.0, 0.4, 1.4, 1_500
        slow = np.array([decision(v, alpha, z * a, a, rng(i)) for i in range(n)])
        each = {"drift": v, "alpha": alpha, "start": z * a, "bound": a}
        arrays = {name: np.full(20_000, value) for name, value in each.items()}
        times, upper = levy_flight.decisions(**arrays, rng=rng())
        assert st.ks_2samp(np.abs(slow), times).pvalue > 1e-3
        error = np.sqrt(upper.mean() * (1 - upper.mean()) * (1 / n + 1 / len(times)))
        assert abs((slow > 0).mean() - upper.mean()) < 4 * error

    def test_trials_that_do_not_end_go_to_the_nearer_bound(self, monkeypatch):
        monkeypatch.setattr(levy_flight, "MOST_STEPS", 20)
        n = 4_000
        each = {"drift": 0.0, "alpha": 2.0, "start": 7.0, "bound": 10.0}
        arrays = {name: np.full(n, value) for name, value in each.items()}
        times, upper = levy_flight.decisions(**arrays, rng=rng())
        assert (times == 20 * levy_flight.STEP).all()
        assert upper.all()

    def test_mirrored_evidence_gives_mirrored_reactions(self):
        n, one = 500, np.ones(1)
        given = {"n1": np.array([n]), "n2": np.array([n])}
        values = {"zr": 0.5 * one, "a": 2 * one, "t0": 0.4 * one, "alpha": 1.5 * one}
        rows = 40
        many = {name: np.repeat(x, rows) for name, x in (values | given).items()}
        drift = np.full(rows, 1.2)
        seen = levy_flight.levy_flight(v1=drift, v2=-drift, **many, rng=rng())
        assert st.ks_2samp(seen["rt1"].ravel(), -seen["rt2"].ravel()).pvalue > 1e-3
        assert (np.abs(seen["rt1"]) > 0.4).all()

    @pytest.mark.slow
    def test_sizes_vary_by_condition_and_nearly_all_trials_end(self):
        table = simulated("levy_flight", 100)
        values, sets = table.parameters(), table.observations().sets
        assert (values["v1"] >= 0).all()
        assert (values["v2"] <= 0).all()
        for length in ("n1", "n2"):
            found = sets[length]
            assert 50 <= found.sizes.min() < found.sizes.max() <= 500
            seconds = np.abs(found.values[:, :, 0]) - values["t0"][:, None]
            stopped = seconds[found.mask] > 4.9995
            assert stopped.mean() < 0.01
        assert not np.array_equal(sets["n1"].sizes, sets["n2"].sizes)


def decision(v, alpha, x, a, rng):
    """One trial as it is written down: the signed time of the decision."""
    jumps = st.levy_stable.rvs(alpha, 0, scale=2**-0.5, size=5_000, random_state=rng)
    for step, jump in enumerate(jumps, start=1):
        x += v * 1e-3 + 1e-3 ** (1 / alpha) * jump
        if not 0 < x < a:
            return step * 1e-3 * (1 if x > a / 2 else -1)
    return step * 1e-3 * (1 if x > a / 2 else -1)


@pytest.mark.parametrize("name", ["ricker", "sir_stochastic", "levy_flight"])
def test_every_parameter_and_observable_has_a_label(name, monkeypatch):
    monkeypatch.setattr(levy_flight, "MOST_STEPS", 20)  # the last of many walks takes long
    problem = get(name)
    table = simulated(name, 20)
    assert {*problem.prior.names, *table.dataset.data_vars} - {"status"} <= {*problem.labels}
