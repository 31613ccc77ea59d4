"""Some hundred of the damaged and edited files of `benchmarks/fuzz_files.py`, always the same."""

import subprocess
import sys
from pathlib import Path

import fuzz_files
import numpy as np
import pytest

import sbi_inn as si
from sbi_inn import files

pytestmark = pytest.mark.filterwarnings("ignore:the last check of this posterior said")
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def originals():
    return [fuzz_files.Original.of(path) for path in sorted(DATA.glob("*.sbi"))]


def made(originals, n, seed, kinds=None):
    pairs = fuzz_files.mutants([original.content for original in originals], n, seed)
    return [pair for pair in pairs if kinds is None or pair[1].kind.startswith(kinds)]


def test_a_damaged_or_edited_file_is_refused_or_changes_nothing(originals, tmp_path):
    rows = fuzz_files.run(originals, made(originals, 150, seed=20), tmp_path)
    assert not len(rows[rows["outcome"] == "WRONG"])
    counts = fuzz_files.summed(rows).set_index("kind")
    assert len(counts) >= 8
    assert counts["refused"].sum() > 75
    assert counts.loc["truncated", "refused"] == counts.loc["truncated", "files"]


def test_bombs_are_refused(originals, tmp_path):
    members = fuzz_files.unpack(originals[0].content)
    found = list(fuzz_files.bombs(members, size=2**28))
    rows = fuzz_files.run(originals, ((0, one) for one in found), tmp_path)
    assert len(found) == 4
    assert set(rows["outcome"]) == {"refused"}
    assert rows["gigabytes"].max() < 0.1


def test_a_reader_that_believes_everything_would_be_found(originals, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_check_sums", lambda *_: None)
    rows = fuzz_files.run(
        originals,
        made(originals, 400, seed=20, kinds="settings, without"),
        tmp_path,
        lambda _: None,
    )
    assert (rows["outcome"] == "WRONG").sum() > 1


def test_mutants_are_the_same_again(originals):
    once, again = ([mutant.content for _, mutant in made(originals, 40, seed)] for seed in (3, 3))
    assert once == again
    assert len(set(once)) > 30


HOSTILE = {
    "a dim of 1e9": (("method", "members", 0, "shape", "dim"), 10**9),
    "blocks of 1e9": (("method", "members", 0, "settings", "blocks"), 10**9),
    "a depth of 1e9": (("method", "members", 0, "settings", "depth"), 10**9),
    "bins of 1e9": (("method", "members", 0, "settings", "bins"), 10**9),
    "features of 1e9": (("method", "members", 0, "settings", "features"), 10**9),
    "hidden of 1e9": (("method", "members", 0, "settings", "hidden"), 10**9),
    "an observable of 1e9": (("schema", "observables", "x"), [10**9]),
    "a given of 1e9": (("schema", "given_shapes"), {"sd": [10**9]}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_sizes_are_held_against_the_arrays(name, tmp_path):
    path, value = HOSTILE[name]
    config, arrays = files.read(DATA / "cinn-format-2.sbi")
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    files.write(tmp_path / "hostile.sbi", config, arrays)
    before = fuzz_files.peak_reset()
    with pytest.raises(si.LoadError):
        si.load_posterior(tmp_path / "hostile.sbi")
    assert fuzz_files.memory("VmHWM") - before < 0.2


@pytest.mark.parametrize("weights", [[0.0, 1.0], [np.nan, 1.0], [-0.5, 1.5], [0.9, 0.9], [1.0]])
def test_members_without_a_weight(tmp_path, weights):
    config, arrays = files.read(DATA / "cinn-format-2.sbi")
    arrays["mixture"]["weights"] = np.array(weights)
    files.write(tmp_path / "weights.sbi", config, arrays)
    with pytest.raises(si.LoadError, match="weights"):
        si.load_posterior(tmp_path / "weights.sbi")


def test_a_network_of_nan(tmp_path):
    config, arrays = files.read(DATA / "inn-format-2.sbi")
    next(iter(arrays["weights"].values()))[...] = np.nan
    files.write(tmp_path / "nan.sbi", config, arrays)
    with pytest.raises(si.LoadError, match="weights holds NaN"):
        si.load_posterior(tmp_path / "nan.sbi")


def test_a_prior_that_lacks_a_parameter(tmp_path):
    config, arrays = files.read(DATA / "cinn-format-2.sbi")
    gone = config["prior"]["parameters"].pop()["name"]
    probes = config["probes"]
    del probes["parameters"][gone]
    probes["latents"] = np.array(probes["latents"])[:, :-1].tolist()
    prior = si.Prior.from_config(config["prior"])
    probes["log_prob"] = prior.log_prob(prior.from_latent(np.array(probes["latents"]))).tolist()
    files.write(tmp_path / "fewer.sbi", config, arrays)
    with pytest.raises(si.LoadError, match=r"expected draws of shape \(1, 2, 1\)"):
        si.load_posterior(tmp_path / "fewer.sbi")


PICKLED = """
import sys
import sbi_inn as si
import sbi_inn.posterior.storage
for path in sys.argv[1:]:
    si.load_posterior(path)  # libraries may unpickle what is theirs when they are imported
found = []
sys.addaudithook(lambda event, args: found.append(args) if event == "pickle.find_class" else None)
for path in sys.argv[1:]:
    si.load_posterior(path)
assert not found, found
"""


@pytest.mark.slow
def test_nothing_is_unpickled(tmp_path):
    paths = list(map(str, sorted(DATA.glob("*.sbi"))))
    done = subprocess.run([sys.executable, "-c", PICKLED, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
