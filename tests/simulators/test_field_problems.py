"""Problems with fields: their exact posteriors hold at simulations."""

import numpy as np
import pytest
from sbi_inn.simulators import abel, gaussian_field, tomography, two_fields

import sbi_inn as si


@pytest.mark.parametrize("module", [abel, gaussian_field, tomography])
def test_truths_are_draws_of_the_exact_posterior(module):
    gain, cov, *mask = module.exact()
    table = si.simulate(module.problem, n=60, seed=1, n_jobs=1, progress=False).as_observed()
    (field,) = module.problem.prior.names
    (name,) = set(map(str, table.data_vars)) - {field, "status"}
    seen = table[name].values.reshape(60, -1)
    seen = seen[:, mask[0]] if mask else seen
    left = table[field].values.reshape(60, -1) - seen @ gain.T
    white = np.linalg.solve(np.linalg.cholesky(cov), left.T)
    noise = 1 / np.sqrt(white.size)
    assert abs(white.mean()) < 4 * noise
    assert abs(white.std() - 1) < 4 * noise


def test_the_exact_probability_of_a_texture_is_calibrated():
    table = si.simulate(two_fields.problem, n=600, seed=1, n_jobs=1, progress=False).as_observed()
    exact = two_fields.exact_across(table["seen"].values)
    across = two_fields.log_ratio(table["field"].values) > 0
    assert np.abs(exact - 0.5).mean() > 0.3
    sure = exact > 0.8
    assert abs(across[sure].mean() - exact[sure].mean()) < 0.06
    assert abs((across - exact).mean()) < 0.04


def test_what_is_varied_is_in_the_observations():
    table = si.simulate("gaussian_field_varied", n=20, seed=1, n_jobs=1, progress=False)
    seen = table.as_observed()["seen"].values
    assert (np.isnan(seen).sum((1, 2)) == 144).all()
    assert len({tuple(np.argwhere(np.isnan(one))[0]) for one in seen}) > 10
    assert table.schema.givens == ("error",)
