"""Learning curves: laws that are known, and fits of a study whose information is known."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from studies import LINE, SMALL, ExactLine, exact

import sbi_inn as si
from sbi_inn.errors import NoDensityError
from sbi_inn.methods import TrainingData
from sbi_inn.planning import learning_curve
from sbi_inn.planning.learning import curve, information
from sbi_inn.planning.power_law import fit_power_laws

COUNTS = np.array([1_250, 2_500, 5_000, 10_000])
ROWS = 500
# What y tells of the parameters of LINE: half the log determinant of prior over posterior variance.
INFORMATION = 0.5 * math.log(4.0 / np.linalg.det(exact(np.zeros(2))[1]))


def measured(law, *, noise=0.0, seed=0, counts=COUNTS):
    """Make scores of held-out rows that follow a law, with rows that differ and trainings too."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 1.0, (ROWS, 1)) + rng.normal(0, 0.02, (ROWS, len(counts)))
    rows -= rows.mean()  # the rows say how far they are the same, not how high they lie
    return law(counts) + rng.normal(0, noise, len(counts)) + rows


# -- the law ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("power", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("noise", [0.003, 0.02])
def test_the_interval_of_a_prediction_covers_what_comes(power, noise):
    """Of 100 curves, 95 intervals should hold the next training's score: 88 is 3 sd below."""

    def law(n):
        return 3 - 0.5 * (np.asarray(n) / COUNTS[0]) ** -power

    held = 0
    for seed in range(100):
        _, _, low, high = curve(COUNTS, measured(law, noise=noise, seed=seed), seed=seed).predicted
        fresh = law([20_000, 40_000]) + np.random.default_rng([seed, 1]).normal(0, noise, 2)
        held += np.mean((low <= fresh) & (fresh <= high))
    assert held >= 88


def test_an_interval_is_no_wider_than_it_has_to_be():
    """What doubling may bring lies between nothing and what the last doubling brought."""
    found = curve(COUNTS, measured(lambda n: 3 - 10 * n**-0.5), seed=1)
    gain, error = found.gain
    true = 10 * (10_000**-0.5 - 20_000**-0.5)
    assert abs(gain - true) < 2 * error
    assert error < true / 2


def test_nothing_is_ever_lost_by_more_simulations():
    """Where noise makes the curve fall, no law follows it down."""
    found = curve(COUNTS, measured(lambda n: 3 + 0.01 * np.log(COUNTS[0] / n)), seed=1)
    assert np.all(np.diff(found.laws.at([10_000, 20_000, 40_000]), axis=1) >= 0)
    assert found.gain[0] < 0.02


def test_rows_that_are_shared_do_not_blur_a_difference():
    """A hard test set lowers all scores alike: the gain is known far better than the score."""
    scores = measured(lambda n: 3 - 10 * n**-0.5)
    found = curve(COUNTS, scores, seed=1)
    assert found.error == pytest.approx(scores.std(axis=0, ddof=1) / np.sqrt(ROWS))
    assert found.gain[1] < found.error.min() / 2


@pytest.mark.parametrize(
    ("size", "said"),
    [(0.02, "little is left to learn"), (20.0, "it is worth simulating more")],
)
def test_the_sentence_says_what_to_do(size, said):
    found = curve(COUNTS, measured(lambda n: 3 - size * n**-0.5), seed=1)
    assert found.sentence.startswith("doubling the simulations to 20,000 is expected to gain")
    assert f"{found.gain[0]:.2g} +- {found.gain[1]:.1g} nats" in found.sentence
    assert found.sentence.endswith(said)


def test_a_curve_that_could_go_either_way():
    """Twice the simulations gain .05 nats, which is where it begins to be worth it."""
    found = curve(COUNTS, measured(lambda n: 3 - 17 * n**-0.5), seed=1)
    assert found.sentence.endswith("it may be worth simulating more")


@pytest.mark.parametrize(
    ("n", "score", "covariance"),
    [
        ([1, 2], [0, 0], np.eye(2)),
        ([1, 2, 2], [0, 0, 0], np.eye(3)),
        ([1, 2, 3], [0, 0], np.eye(3)),
        ([1, 2, 3], [0, 0, 0], np.eye(2)),
    ],
)
def test_shapes_that_make_no_law(n, score, covariance):
    with pytest.raises(si.ShapeError, match="three increasing numbers"):
        fit_power_laws(n, score, covariance, np.random.default_rng(1))


# -- the score -------------------------------------------------------------------------------------


def fresh(n):
    simulations = si.simulate(LINE, n=n, seed=9, n_jobs=1, progress=False)
    return LINE.prior.to_latent(simulations.parameters()), simulations.observations()


@pytest.fixture(scope="module")
def tests():
    return fresh(2_000)


def test_the_information_of_an_exact_posterior(tests):
    gained = information(LINE.prior, ExactLine(), *tests)
    assert gained.mean() == pytest.approx(INFORMATION, abs=4 * gained.std() / np.sqrt(len(gained)))


def test_a_prior_gains_nothing(tests):
    @dataclass(frozen=True)
    class Nothing:
        def log_prob(self, latent, observations):
            return -0.5 * (latent**2).sum(axis=1) - math.log(2 * math.pi)

    assert information(LINE.prior, Nothing(), *tests) == pytest.approx(np.zeros(2_000), abs=1e-9)


@pytest.mark.parametrize("wild", [-np.inf, np.nan, -1e30])
def test_a_wild_row_does_not_rule(tests, wild):
    @dataclass(frozen=True)
    class Wild(ExactLine):
        def log_prob(self, latent, observations):
            log_prob = super().log_prob(latent, observations)
            log_prob[0] = wild
            return log_prob

    gained = information(LINE.prior, Wild(), *tests)
    assert gained[0] == pytest.approx(math.log(1e-3))
    assert gained[1:] == pytest.approx(information(LINE.prior, ExactLine(), *tests)[1:])


# -- training --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Watched:
    """A method that keeps what it was asked to train on, and gives posteriors too narrow."""

    calls: list

    def fit(self, data, training, *, seed, progress=True):
        self.calls.append((data.latents, data.train, data.validation, data.observations))
        return ExactLine(width=1 - 15 / len(data.train) ** 0.5 / 10)


@pytest.fixture(scope="module")
def simulations():
    return si.simulate(LINE, n=1_000, seed=3, n_jobs=1, progress=False)


def traced(simulations, tests, method, finished=None, **options):
    settings = {
        "seen_rows": np.arange(100, 1_000),
        "test": tests,
        "finished": finished or ExactLine(),
        "seed": 1,
        "progress": False,
    }
    return learning_curve(simulations, method, si.Training(epochs=5), **settings | options)


def test_parts_are_nested_and_the_test_rows_are_not_among_them(simulations, tests):
    calls = []
    found = traced(simulations, tests, Watched(calls))
    assert found.n.tolist() == [125, 250, 500, 1_000]
    assert [len(train) for _, train, _, _ in calls] == [100, 200, 400]
    assert [len(validation) for _, _, validation, _ in calls] == [12, 25, 50]
    seen = {tuple(row) for row in LINE.prior.to_latent(simulations.parameters())[100:]}
    before = [set(), set()]
    for latent, train, validation, observations in calls:
        now = [{tuple(row) for row in latent[rows]} for rows in (train, validation)]
        assert not now[0] & now[1]
        assert now[0] | now[1] <= seen
        assert all(old <= new for old, new in zip(before, now, strict=True))
        assert len(observations) == len(latent)
        before = now


def test_the_last_point_is_the_finished_fit(simulations, tests):
    found = traced(simulations, tests, Watched([]))
    assert found.score[-1] == pytest.approx(information(LINE.prior, ExactLine(), *tests).mean())
    assert np.all(np.diff(found.score) > 0)
    assert found.predicted[0].tolist() == [2_000, 4_000]


@pytest.mark.slow
def test_a_curve_of_short_fits(simulations):
    """At 1,000 simulations the network has more of what there is to know than at 125.

    Of a linear study the regression that it starts from finds nearly all with so few: it takes
    many tests to see the rest.
    """
    tests = fresh(10_000)
    seen = np.arange(100, 1_000)
    training = si.Training(epochs=20)
    rows = simulations.observations(seen)
    latent = LINE.prior.to_latent(simulations.parameters(seen))
    data = TrainingData(latent, rows, np.arange(800), np.arange(800, 900))
    finished = SMALL.fit(data, training, seed=1, progress=False)
    found = learning_curve(
        simulations,
        finished.settings,
        training,
        seen_rows=seen,
        test=tests,
        finished=finished,
        seed=1,
        progress=False,
    )
    assert found.score[0] < found.score[-1] - 5 * found.error[0]
    assert found.score[-1] == pytest.approx(INFORMATION, abs=0.25)
    _, _, low, high = found.predicted
    assert np.all(low < INFORMATION)
    assert np.all(high > found.score[-1])


def test_the_seed_decides(simulations, tests):
    calls = [[], [], []]
    for seen, seed in zip(calls, (1, 1, 2), strict=True):
        traced(simulations, tests, Watched(seen), seed=seed)
    one, same, other = (seen[0][0] for seen in calls)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("evaluations", "rows"), [(1, 2_000), (16, 200)])
def test_fewer_rows_are_scored_where_each_takes_an_integral(simulations, tests, evaluations, rows):
    asked = []

    @dataclass(frozen=True)
    class Weighing(ExactLine):
        evaluations: int = 1

        def log_prob(self, latent, observations):
            asked.append((latent, observations.vector))
            return super().log_prob(latent, observations)

        def log_weight(self, latent, observations):
            raise AssertionError("scores need the density itself")

    traced(simulations, tests, Watched([]), finished=Weighing(evaluations=evaluations))
    ((latent, seen),) = asked
    assert np.array_equal(latent, tests[0][:rows])
    assert np.array_equal(seen, tests[1].vector[:rows])


def test_a_method_without_a_density_is_not_trained_in_vain(simulations, tests):
    @dataclass(frozen=True)
    class Drawn(ExactLine):
        def log_prob(self, latent, observations):
            raise NoDensityError("the network is padded")

    calls = []
    with pytest.raises(NoDensityError, match="log densities of held-out.*the network is padded"):
        traced(simulations, tests, Watched(calls), finished=Drawn())
    assert not calls


def test_ctrl_c_in_one_fit_ends_them_all(simulations, tests):
    @dataclass(frozen=True)
    class Interrupted(Watched):
        def fit(self, *args, **options):
            fitted = super().fit(*args, **options)
            return replace(fitted, history=replace(fitted.history, stopped="interrupted"))

    calls = []
    with pytest.raises(KeyboardInterrupt):
        traced(simulations, tests, Interrupted(calls))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"seen_rows": np.arange(399)}, si.SimulationError, "needs 50 there; got 49 of 399"),
        ({"seen_rows": np.arange(0)}, si.SimulationError, "got 0 of 0: choose larger fractions"),
        ({"fractions": (0.5,)}, ValueError, "two or more fractions"),
        ({"fractions": (0.5, 0.5)}, ValueError, "two or more fractions"),
        ({"fractions": (0.5, 1.0)}, ValueError, "between 0 and 1"),
        ({"fractions": (0.0, 0.5)}, ValueError, "between 0 and 1"),
    ],
)
def test_what_makes_no_curve(simulations, tests, options, error, message):
    with pytest.raises(error, match=message):
        traced(simulations, tests, Watched([]), **options)


# -- what is shown ---------------------------------------------------------------------------------


def test_the_table():
    found = curve(COUNTS, measured(lambda n: 3 - 10 * n**-0.5), seed=1)
    table = found.table
    assert table.index.to_list() == [1_250, 2_500, 5_000, 10_000, 20_000, 40_000]
    assert table["measured"].to_list() == [True] * 4 + [False] * 2
    assert np.all((table["low95"] < table["score"]) & (table["score"] < table["high95"]))
    assert found.sentence in repr(found)
    assert "<table" in found._repr_html_()


@pytest.mark.parametrize("width_mm", [85.0, 180.0])
def test_the_figure(width_mm):
    found = curve(COUNTS, measured(lambda n: 3 - 10 * n**-0.5), seed=1)
    figure = found.plot(width_mm)
    assert figure.get_figwidth() * 25.4 == pytest.approx(width_mm)
    assert "simulations" in figure.axes[0].get_xlabel()
    assert figure.axes[0].get_ylabel() == "information gained\n[nats per observation]"
