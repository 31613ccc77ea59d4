"""Fields in a prior: draws, exact densities, exact maps to white noise, files, and wrong input."""

import json

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.prior.covariance import between, wave_numbers


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def smooth(k):
    return (1 + (k / 3) ** 2) ** -1.75


def exponential(r):
    return 2.0 * np.exp(-r / 2) + 0.01 * (r == 0)


FIELDS = {
    "map": si.GaussianField((8, 6), power=smooth),
    "profile": si.GaussianField(16, power=smooth, mean=3.0, sd=2.0),
    "edges": si.GaussianField((6, 8), power=smooth, periodic=False),
    "covariance": si.GaussianField((4, 6), cov=exponential),
    "torus": si.GaussianField((8, 8), cov=exponential, periodic=True, mean=np.ones((8, 8))),
    "bent": si.GaussianField((8, 8), power=smooth, marginal=st.lognorm(0.5)),
    "bounded": si.GaussianField(12, cov=exponential, marginal=st.beta(2, 3)),
}


def blob(rng):
    y, x = np.mgrid[:8, :8] - rng.uniform(2, 6, (2, 1, 1))
    return np.exp(-(x**2 + y**2) / 8) + 0.01 * rng.random((8, 8))


def one(field):
    return si.Prior(sky=field)


def dense_covariance(prior):
    """The covariance of the field, from the images of unit vectors under the linear map."""
    unit = (
        prior.from_latent(np.eye(prior.latent_dim))["sky"]
        - prior.from_latent(np.zeros((1, prior.latent_dim)))["sky"]
    )
    root = unit.reshape(prior.latent_dim, -1)
    return root, root.T @ root


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_the_map_to_white_noise_is_exact_in_both_directions(field, rng):
    prior = one(field)
    white = rng.standard_normal((50, prior.latent_dim))
    values = prior.from_latent(white)
    assert values["sky"].shape == (50, *field.shape)
    assert np.allclose(prior.to_latent(values), white, atol=1e-8)


@pytest.mark.parametrize("name", ["map", "profile", "edges", "covariance", "torus"])
def test_the_density_is_that_of_scipy_and_the_root_is_symmetric(name, rng):
    prior = one(FIELDS[name])
    root, cov = dense_covariance(prior)
    assert np.allclose(root, root.T, atol=1e-10)
    values = prior.sample(20, rng)
    mean = np.broadcast_to(FIELDS[name].mean, FIELDS[name].shape).ravel()
    expected = st.multivariate_normal(mean, cov).logpdf(values["sky"].reshape(20, -1))
    assert np.allclose(prior.log_prob(values), expected)


def test_the_density_of_a_bent_field_is_that_of_a_copula(rng):
    prior, plain = one(FIELDS["bent"]), one(si.GaussianField((8, 8), power=smooth))
    values = prior.sample(20, rng)["sky"]
    marginal = st.lognorm(0.5)
    scores = st.norm.ppf(marginal.cdf(values))
    slope = (marginal.logpdf(values) - st.norm.logpdf(scores)).sum((1, 2))
    expected = plain.log_prob({"sky": scores}) + slope
    assert np.allclose(prior.log_prob({"sky": values}), expected)
    assert prior.log_prob({"sky": -values[0]}) == -np.inf


def test_pixels_have_the_sd_that_is_asked_for(rng):
    for field, sd in ((FIELDS["map"], 1.0), (FIELDS["profile"], 2.0), (FIELDS["edges"], 1.0)):
        draws = one(field).sample(4_000, rng)["sky"]
        assert abs(draws.std() - sd) < 0.05 * sd
    _, cov = dense_covariance(one(FIELDS["covariance"]))
    assert np.allclose(cov, between("", exponential, (4, 6)))


def test_a_million_bent_pixels_stay_inside_the_support():
    prior = one(si.GaussianField((32, 32), power=smooth, marginal=st.uniform(2, 3)))
    rng = np.random.default_rng(1)
    values = prior.from_latent(3 * rng.standard_normal((1_000, 1_024)))["sky"]
    assert ((values > 2) & (values < 5)).all()
    extreme = prior.from_latent(np.array([[np.inf] * 1_024, [-np.inf] * 1_024]))
    assert np.isfinite(prior.log_prob(extreme)).all()


def test_the_spectrum_may_depend_on_earlier_parameters(rng):
    prior = si.Prior(
        length=st.uniform(2, 6),
        level=st.norm(0, 1),
        sky=si.GaussianField(
            (8, 8),
            power=lambda k, length: (1 + (k * length / 5) ** 2) ** -1.75,
            mean=lambda level: level,
            sd=lambda level: np.exp(level),
        ),
    )
    values = prior.sample(5, rng)
    fixed = si.Prior(
        sky=si.GaussianField(
            (8, 8),
            power=lambda k: (1 + (k * values["length"][2] / 5) ** 2) ** -1.75,
            mean=values["level"][2],
            sd=np.exp(values["level"][2]),
        )
    )
    alone = fixed.log_prob({"sky": values["sky"][2]})
    hyper = st.uniform(2, 6).logpdf(values["length"][2]) + st.norm.logpdf(values["level"][2])
    assert np.allclose(prior.log_prob(values)[2], alone + hyper)
    latents = prior.to_latent(values)
    assert np.allclose(prior.from_latent(latents)["sky"], values["sky"])
    (place,) = prior.fields
    assert place.latents == slice(2, 66)
    assert place.parents.tolist() == [0, 1]
    assert np.allclose(place.gaussian(latents), values["sky"])
    assert not prior.storable


def test_columns_and_flat_parameters_of_a_map(rng):
    prior = si.Prior(a=st.norm(), sky=FIELDS["map"])
    assert prior.columns[:3] == ("a", "sky[0,0]", "sky[0,1]")
    values = prior.sample(3, rng)
    again = prior.unflatten(prior.flatten(values))
    assert np.array_equal(again["sky"], values["sky"])
    assert prior.marginal(["sky"]).names == ("sky",)


@pytest.mark.parametrize("name", ["map", "profile", "covariance", "torus", "bent", "bounded"])
def test_a_file_holds_the_spectrum_as_numbers(name, rng):
    prior = one(FIELDS[name])
    assert prior.storable
    again = si.Prior.from_config(json.loads(json.dumps(prior.to_config())))
    values = prior.sample(5, rng)
    assert np.allclose(again.log_prob(values), prior.log_prob(values))


def test_a_damaged_field_is_a_load_error():
    config = one(FIELDS["map"]).to_config()
    (entry,) = config["parameters"]
    for wrong in ({"shape": [7, 6]}, {"power": [[1.0]]}, {"shape": None}):
        damaged = {**entry, "kwds": {**entry["kwds"], **wrong}}
        with pytest.raises(si.LoadError):
            si.Prior.from_config({"parameters": [damaged]})


# -- fields that are only drawn --------------------------------------------------------------------


@pytest.mark.parametrize("rows", [False, True])
def test_a_drawn_field_has_draws_and_a_normalised_map_but_no_stated_density(rows, rng):
    source = np.array([blob(rng) for _ in range(400)]) if rows else blob
    prior = one(si.Drawn(source, bounds=(0, np.inf)))
    assert (prior.stated, prior.drawable) == (False, True)
    values = prior.sample(200, rng)
    white = prior.to_latent(values)
    assert abs(white.mean()) < 0.05
    assert abs(white.std() - 1) < 0.05
    assert np.allclose(prior.from_latent(white)["sky"], values["sky"])
    assert np.isfinite(prior.log_prob(values)).all()
    assert prior.log_prob({"sky": -values["sky"][0]}) == -np.inf
    (place,) = prior.fields
    assert not place.white
    assert np.allclose(place.gaussian(white).reshape(200, -1), white)


def test_a_file_holds_the_curve_of_a_drawn_field(rng):
    prior = one(si.Drawn(blob, bounds=(0, np.inf)))
    again = si.Prior.from_config(json.loads(json.dumps(prior.to_config())))
    values = prior.sample(5, rng)
    assert np.allclose(again.to_latent(values), prior.to_latent(values))
    assert not again.drawable


def test_a_drawn_field_may_depend_on_earlier_parameters(rng):
    def sized(size, rng):
        return size * blob(rng)

    prior = si.Prior(size=st.uniform(1, 9), sky=si.Drawn(sized))
    values = prior.sample(300, rng)
    peak = values["sky"].max((1, 2))
    assert np.corrcoef(peak, values["size"])[0, 1] > 0.9


# -- wrong input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 8), (2, 8), 3, (8, 8, 8), "32", 8.5, (8, -8)])
def test_fields_that_are_too_small_or_have_odd_sides(shape):
    with pytest.raises(si.PriorError, match="even sides of at least 4"):
        si.GaussianField(shape, power=smooth)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"power": lambda k: k}, "positive and finite"),
        ({"power": lambda k: -smooth(k)}, "positive and finite"),
        ({"power": lambda k: 1 / k}, "positive and finite"),
        ({"power": lambda k: np.ones(3)}, "one number for each wave number"),
        ({"power": lambda k, length: k}, "earlier parameters"),
        ({"power": lambda k: undefined_name}, "failed when called"),  # noqa: F821
        ({"power": smooth, "sd": -1.0}, "sd must be positive"),
        ({"power": smooth, "mean": np.ones(3)}, "mean must be finite"),
        ({"cov": np.ones((64, 64))}, "positive definite"),
        ({"cov": np.eye(3)}, "function of the distance"),
        ({"cov": lambda r: np.exp(-r / 50), "periodic": True}, "shorter correlation length"),
        ({"power": wave_numbers((8, 8)) + np.arange(8) + 1}, "k and -k"),
    ],
)
def test_spectra_and_covariances_that_cannot_be(settings, message):
    with pytest.raises(si.PriorError, match=message), np.errstate(divide="ignore"):
        one(si.GaussianField((8, 8), **settings)).sample(1, np.random.default_rng(1))


def test_settings_that_do_not_go_together():
    for wrong in ({}, {"power": smooth, "cov": exponential}):
        with pytest.raises(si.PriorError, match="either power=, .* or cov="):
            si.GaussianField((8, 8), **wrong)
    with pytest.raises(si.PriorError, match="leave out mean= and sd="):
        si.GaussianField((8, 8), power=smooth, sd=2.0, marginal=st.expon())
    with pytest.raises(si.PriorError, match="frozen continuous distribution"):
        si.GaussianField((8, 8), power=smooth, marginal=3.0)
    with pytest.raises(si.PriorError, match="4,096 pixels"):
        one(si.GaussianField((66, 64), cov=exponential))
    with pytest.raises(si.PriorError, match="needs periodic=True"):
        si.Prior(
            length=st.uniform(1, 2),
            sky=si.GaussianField(8, power=lambda k, length: 1 / (1 + k * length), periodic=False),
        )


def test_drawn_fields_that_cannot_be():
    turns = iter(range(10_000))

    def growing(rng):
        return rng.random((8, 8 + 2 * (next(turns) > 5)))

    for function, message in (
        (growing, r"shape \(8, 8\); drew \(8, 10\)"),
        (lambda rng: np.full((8, 8), np.nan), "not finite"),
        (lambda: np.ones((8, 8)), "are the same"),
        (lambda rng: rng.random(), "rows of profiles or maps"),
        (lambda rng: rng.random((7, 7)), "even sides"),
        (lambda where: where, "got where"),
        (lambda rng: 1 / 0, "its function failed"),
        (lambda rng: rng.normal(size=(8, 8)), "outside its bounds"),
        (np.ones(5), "rows of profiles or maps"),
    ):
        with pytest.raises(si.PriorError, match=message):
            one(si.Drawn(function, bounds=(0, 2)))
