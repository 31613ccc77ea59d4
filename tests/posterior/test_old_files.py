"""Files that earlier versions wrote: each is read, and says what it said then.

`tests/data` holds one small file a method and a format, and beside them what was found in them by
the version that wrote them.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import sbi_inn as si
from sbi_inn.files import FORMAT, OLDEST

DATA = Path(__file__).parents[1] / "data"
EXPECTED = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))


# The networks are small, and were trained for seconds.
pytestmark = pytest.mark.filterwarnings("ignore:the last check of this posterior said")
FILES = sorted(DATA.glob("*.sbi"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def saved(request):
    return si.load_posterior(request.param), EXPECTED[request.param.name.split("-")[0]]


def test_there_is_a_file_of_each_method_and_format():
    known = {f"{name}-format-{number}" for name in EXPECTED for number in range(OLDEST, FORMAT + 1)}
    assert {path.stem for path in FILES} == known


@pytest.mark.parametrize("name", EXPECTED)
def test_since_format_3_the_numbers_of_the_check_can_be_verified(name):
    found = si.load_posterior(DATA / f"{name}-format-3.sbi").verify()
    assert found.agrees
    # These measure something else now than when the files were written.
    assert found.changed == ("calibration", "conditional ranks", "dependence", "joint coverage")
    assert "changed since: calibration" in found.sentence
    with pytest.raises(si.LoadError, match="or the file is of an older format"):
        si.load_posterior(DATA / f"{name}-format-2.sbi").verify()


def test_the_density_and_the_draws_are_the_same(saved):
    posterior, expected = saved
    found = posterior.log_prob(expected["at"], expected["y"])
    assert np.allclose(found, expected["log_prob"], rtol=0, atol=2e-4)
    draws = posterior.to_numpy(expected["y"], 4_000)
    error = np.array(expected["sd"]) / np.sqrt(2_000)  # of the difference of two means
    assert (np.abs(draws.mean(axis=0) - expected["mean"]) < 4 * error).all()
    assert np.allclose(draws.std(axis=0), expected["sd"], rtol=0.1)


def test_what_is_known_of_the_study_is_the_same(saved):
    posterior, expected = saved
    assert posterior.seed == expected["seed"]
    assert posterior.n_simulations == expected["n_simulations"]
    assert len(posterior.simulations) == expected["held_out"]
    assert expected["describe"] in repr(posterior)
    assert np.allclose(posterior.core.scale, expected["scale"], rtol=1e-5)
    trained = {name: [low, high] for name, (low, high) in posterior.schema.trained.items()}
    assert trained == {n: pytest.approx(v, rel=1e-5) for n, v in expected["trained"].items()}


def test_what_was_learned_is_the_same(saved):
    posterior, expected = saved
    if "features" in expected:
        features = posterior.core.features(posterior.schema.read(expected["y"]))[0]
        assert np.allclose(features, expected["features"], atol=1e-3)
        assert posterior.simulations.dataset["a"].attrs["units"] == "mm"
    else:
        assert np.allclose(posterior.emulation.errors["rmse"], expected["rmse"], rtol=1e-3)
        emulated = posterior.emulate(expected["at"])
        assert np.allclose(emulated["y"], expected["emulated"], atol=1e-4)


def test_it_can_be_saved_again(saved, tmp_path):
    posterior, expected = saved
    posterior.save(tmp_path / "again.sbi")
    again = si.load_posterior(tmp_path / "again.sbi")
    found = again.log_prob(expected["at"], expected["y"])
    assert found.equals(posterior.log_prob(expected["at"], expected["y"]))
