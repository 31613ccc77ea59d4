"""What a file says of how it was made, and whether the numbers of its check come out again."""

import platform
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, briefly, quick_fit

import sbi_inn as si
from sbi_inn import __main__ as command_line
from sbi_inn import files
from sbi_inn.posterior import verification
from sbi_inn.posterior.provenance import Provenance
from sbi_inn.simulation.identity import identity


@pytest.fixture(scope="module")
def posterior():
    fitted = briefly(quick_fit(LINE, n=1_000, epochs=3))
    fitted.check()
    return fitted


@pytest.fixture(scope="module")
def path(posterior, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "line.sbi"
    posterior.save(path)
    return path


def test_a_file_says_with_what_it_was_made(posterior, path):
    loaded = si.load_posterior(path)
    made = loaded.core.provenance
    assert made.versions["python"] == platform.python_version()
    assert made.versions["scipy"] == version("scipy")
    assert made.simulator == "studies.line"
    assert made.source == identity(LINE.simulator.function)["source"] != identity(briefly)["source"]
    assert loaded.core.training == posterior.core.training == si.Training(epochs=3)
    assert made == Provenance.of(LINE)


def test_what_a_file_says_is_kept_when_it_is_saved_again(path, tmp_path):
    si.load_posterior(path).save(tmp_path / "again.sbi")
    once, again = (files.read(file)[0] for file in (path, tmp_path / "again.sbi"))
    assert once == {**again, "nuisances": once["nuisances"]}
    assert once["last_numbers"] != {}


def test_numbers_come_out_again_without_the_simulator(path):
    found = si.load_posterior(path).verify()
    assert found.agrees
    assert found.skipped == ("re-simulation",)
    assert np.array_equal(found.table["saved"], found.table["now"])
    assert set(found.table["check"]) >= {"calibration", "joint coverage", "recovery"}
    assert "not computed again without a simulator: re-simulation" in found.sentence


def test_numbers_come_out_again_with_the_simulator(path):
    loaded = briefly(si.load_posterior(path, simulator=LINE))
    found = loaded.verify(progress=False)
    assert found.agrees
    assert not found.skipped
    assert "re-simulation" in set(found.table["check"])


def edited(path, to, change):
    config, arrays = files.read(path)
    change(config, arrays)
    files.write(to, config, arrays)
    return si.load_posterior(to)


def test_better_numbers_than_there_are_do_not_come_out(path, tmp_path):
    def boast(config, arrays):
        for finding in config["last_numbers"]["held out"]["calibration"]["findings"]:
            finding[1] /= 2

    found = edited(path, tmp_path / "boast.sbi", boast).verify()
    assert not found.agrees
    assert found.sentence.startswith("Not verified: ")
    assert set(found.table[~found.table["agrees"]]["check"]) == {"calibration"}
    assert "calibration" in repr(found)


def test_numbers_of_checks_that_have_changed_since_are_not_compared(path, tmp_path):
    def older(names):
        def change(config, arrays):
            for name, record in config["last_numbers"]["held out"].items():
                if name in names or not names:
                    record["revision"] = 0

        return change

    found = edited(path, tmp_path / "older.sbi", older(["calibration"])).verify()
    assert found.agrees
    assert found.changed == ("calibration",)
    assert "calibration" not in set(found.table["check"])
    none = edited(path, tmp_path / "oldest.sbi", older([])).verify()
    assert not none.agrees
    assert none.sentence.startswith("Not verified: 0 of 0 numbers agree")


def test_another_network_does_not_come_out(path, tmp_path):
    def swap(config, arrays):
        for name, weight in arrays["weights"].items():
            if name.endswith("bias"):
                weight += 0.05
        arrays["reference"]["summaries"] = sums(config, arrays, tmp_path)

    assert not edited(path, tmp_path / "other.sbi", swap).verify().agrees


def sums(config, arrays, folder):
    """Find the reference summaries that a changed network has, as whoever changed it would."""
    from sbi_inn.posterior.saving import reference_summaries
    from sbi_inn.posterior.storage import _core, _prior

    return reference_summaries(_core(config, arrays, _prior(config, None, None), None, None))


def test_what_was_never_checked_cannot_be_verified(tmp_path):
    quick_fit(LINE, n=300, epochs=1).save(tmp_path / "unchecked.sbi")
    with pytest.raises(si.LoadError, match="not checked before it was saved"):
        si.load_posterior(tmp_path / "unchecked.sbi").verify()


# -- the command line ------------------------------------------------------------------------------


def test_the_command_line_says_so(path, tmp_path, capsys):
    assert command_line.main(["verify", str(path)]) == 0
    said = capsys.readouterr().out
    assert "simulator studies.line (source " in said
    assert "Verified: " in said

    def boast(config, arrays):
        config["last_numbers"]["held out"]["recovery"]["verdict"] = "do not trust"

    edited(path, tmp_path / "boast.sbi", boast)
    assert command_line.main(["verify", str(tmp_path / "boast.sbi")]) == 1
    assert "Not verified: " in capsys.readouterr().out


def test_the_command_line_refuses_a_damaged_file(path, tmp_path, capsys):
    (tmp_path / "damaged.sbi").write_bytes(path.read_bytes()[:-100])
    assert command_line.main(["verify", str(tmp_path / "damaged.sbi")]) == 1
    assert "damaged.sbi" in capsys.readouterr().err


def test_a_simulator_without_a_source_has_no_hash():
    callable_object = type("Dynamic", (), {"__call__": lambda self, a, b: a})()
    for function in (eval("lambda a, b: a"), callable_object):
        assert Provenance.of(si.Problem(function, LINE.prior)).source == ""


def test_checks_that_make_fewer_draws_of_many_parameters_have_changed_there_alone(posterior):
    many = dict.fromkeys("abcdefghij", st.norm())
    wide = SimpleNamespace(prior=si.Prior(**many))
    few = verification.numbers(posterior.check(), posterior.core)
    more = verification.numbers(posterior.check(), wide)
    raised = {name for name in few if more[name]["revision"] == few[name]["revision"] + 1}
    assert raised == {"calibration", "conditional ranks", "dependence", "recovery"}
    assert all(more[name]["revision"] == few[name]["revision"] for name in few.keys() - raised)
