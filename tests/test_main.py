"""The command line, called in-process as a user would type it."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import ExactLine, briefly, exact_posterior, quick_fit

import sbi_inn as si
from sbi_inn import __main__ as command_line
from sbi_inn.api import fit_posterior
from sbi_inn.methods import CINN, INN
from sbi_inn.posterior.storage import load_posterior
from sbi_inn.report import page
from sbi_inn.simulation.registry import get
from sbi_inn.training.loop import Training

SMALL = {"cinn": CINN(blocks=2, hidden=16), "inn": INN(blocks=2, hidden=16)}

STUDY = '''
import numpy as np
import scipy.stats as st
import sbi_inn as si

LENGTHS = np.array([1.0, 2.0])

@si.simulator(batched=True)
def fall(height, rng):
    """Time two falls."""
    times = np.sqrt(height[:, None] * LENGTHS / 9.81)
    return {"seconds": times + rng.normal(0, 0.01, times.shape)}

study = si.Problem(fall, si.Prior(height=st.uniform(1, 9)), units={"height": "m", "seconds": "s"})
'''


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the network, the training, the checks and the figure small."""

    def fit_small(problem, *, n_simulations, method, seed):
        posterior = fit_posterior(
            problem,
            n_simulations=n_simulations,
            method=SMALL[method],
            training=Training(epochs=2),
            ensemble=1,
            n_jobs=1,
            seed=seed,
        )
        return briefly(posterior)

    def load_brief(path, *, simulator):
        return briefly(load_posterior(path, simulator=simulator))

    monkeypatch.setattr(command_line, "fit_posterior", fit_small)
    monkeypatch.setattr(command_line, "load_posterior", load_brief)
    monkeypatch.setattr(command_line, "DRAWS", 500)
    monkeypatch.setattr(command_line, "SHOWN", 2_000)
    monkeypatch.setattr(page, "DPI", 50)


def rows_of(table: str, *methods: str) -> dict[str, list[float]]:
    """Read the numbers behind the methods' names."""
    lines = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.strip()}
    return {method: [float(number) for number in lines[method]] for method in methods}


@pytest.mark.filterwarnings("ignore:the forward network misses")
def test_fit_by_another_method(capsys) -> None:
    arguments = ["fit", "inverse_kinematics", "--simulations", "300", "--seed", "1"]
    assert command_line.main([*arguments, "--method", "inn"]) == 0
    said = capsys.readouterr().out
    assert "INN by likelihood of 2 affine coupling blocks" in said
    assert "the forward network misses across by" in said
    assert set(rows_of(said, "INN", "ABC")) == {"INN", "ABC"}
    with pytest.raises(SystemExit):
        command_line.main([*arguments, "--method", "gan"])
    assert "choose from" in capsys.readouterr().err


@pytest.mark.slow
def test_fit_prints_the_comparison_and_writes_the_figures(tmp_path: Path, capsys) -> None:
    out = tmp_path / "made" / "here"
    arguments = ["fit", "two_moons", "--simulations", "300", "--out", str(out), "--seed", "1"]
    assert command_line.main(arguments) == 0

    said = capsys.readouterr().out
    (header,) = [line for line in said.splitlines() if "calibration error [%]" in line]
    columns = re.split(r"\s{2,}", header.strip())
    assert columns == [
        "calibration error [%]",
        "re-simulation error, mean",
        "median",
        "training [s]",
        "1,000 draws [ms]",
    ]
    rows = rows_of(said, "cINN", "ABC")
    for numbers in rows.values():
        calibration, mean, median, _, milliseconds = numbers
        assert 0 < calibration <= 50
        assert 0 < median < mean < 5
        assert milliseconds > 0
    assert rows["cINN"][3] > 0
    assert rows["ABC"][3] == 0
    how = r"weights(, after a Gaussian in closed form)?, trained in \d+ s \(finished\)\n"
    assert re.search(r"coupling blocks, [\d,]+ " + how, said)
    assert "learned from 300 simulations, measured at 500 others" in said
    assert "Do not trust this posterior: " in said  # two epochs on 300 simulations
    assert said.endswith("seed 1\n")

    starts = {
        "corner.png": b"\x89PNG\r\n\x1a\n",
        "corner.pdf": b"%PDF-",
        "calibration.png": b"\x89PNG\r\n\x1a\n",
        "posterior.sbi": b"PK",
        "report.html": b"<!DOCTYPE html>",
    }
    assert {file.name for file in out.iterdir()} == set(starts)
    for name, start in starts.items():
        content = (out / name).read_bytes()
        assert content.startswith(start), name
        assert len(content) > 5_000, name
    saved = load_posterior(out / "posterior.sbi")
    assert saved.n_simulations == 300
    assert saved.last_verdict == "do not trust"
    assert f"\n{saved.last_check}\n" in said

    report = (out / "report.html").read_text(encoding="utf-8")
    assert "Do not trust this posterior" in report
    assert "re-simulation" in report
    assert "The posterior at one test observation, beside rejection ABC" in report
    # Whatever it shows is inside: nothing is fetched, no script is run.
    assert re.findall(r"""(?:src|srcset|href)=["'](?!data:image/png;|data:,|#)""", report) == []
    assert re.search(r"https?://|<script|@import|url\(", report) is None


def test_the_table_and_the_verdict_say_the_same(capsys) -> None:
    assert command_line.main(["fit", "two_moons", "--simulations", "300", "--seed", "1"]) == 0
    said = capsys.readouterr().out
    in_table = rows_of(said, "cINN")["cINN"][0]
    in_check = re.search(r"^calibration +pooled calibration error +([\d.]+)", said, re.MULTILINE)
    assert in_check is not None
    assert in_table == pytest.approx(100 * float(in_check[1]), rel=0.01)


def test_a_problem_in_a_file(tmp_path: Path, capsys) -> None:
    file = tmp_path / "falls.py"
    file.write_text(STUDY)
    assert command_line.main(["fit", f"{file}:study", "--simulations", "200", "--seed", "1"]) == 0
    said = capsys.readouterr().out
    assert "re-simulation error [s], mean" in said
    assert "written to" not in said


@pytest.mark.slow
def test_a_table_of_simulations(tmp_path: Path, capsys) -> None:
    rng = np.random.default_rng(1)
    height = rng.uniform(1, 10, size=400)
    columns = {"height": height, "seconds": np.sqrt(height / 9.81), "wind": rng.normal(size=400)}
    table = tmp_path / "falls.csv"
    pd.DataFrame(columns).assign(name="a").to_csv(table, index=False)
    arguments = ["fit", str(table), "--seed", "1", "--out", str(tmp_path / "out")]
    observed = ["--observables", "seconds"]
    assert command_line.main([*arguments, "--parameters", "height", *observed]) == 0
    said = capsys.readouterr().out
    assert "falls.csv: 400 rows\nheight -> seconds\nignored: wind, name" in said
    assert set(rows_of(said, "cINN", "ABC")) == {"cINN", "ABC"}
    assert not load_posterior(tmp_path / "out" / "posterior.sbi").prior.stated
    given = ["--given", "wind"]
    assert command_line.main([*arguments, "--parameters", "height", *observed, *given]) == 0
    assert "no ABC: wind varies" in capsys.readouterr().out
    assert command_line.main(arguments) == 1
    assert "are parameters? add --parameters A,B" in capsys.readouterr().err
    assert command_line.main([*arguments, "--parameters", "hight"]) == 1
    assert "did you mean 'height'?" in capsys.readouterr().err


@pytest.mark.slow
def test_where_givens_vary_abc_is_left_out_and_that_is_said(tmp_path: Path, capsys) -> None:
    file = tmp_path / "falls.py"
    file.write_text(
        STUDY.replace("def fall(height", "def fall(height, n")
        .replace("times.shape)", "times.shape) * n[:, None]")
        .replace("units=", 'given={"n": st.uniform(1, 2)}, units=')
    )
    arguments = ["fit", f"{file}:study", "--simulations", "200", "--out", str(tmp_path / "out")]
    assert command_line.main([*arguments, "--seed", "1"]) == 0
    said = capsys.readouterr().out
    assert "no ABC: n varies" in said
    assert not re.search(r"^ABC ", said, re.MULTILINE)
    assert (tmp_path / "out" / "corner.png").exists()


# -- check -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """Save a posterior of the falls whose location is wrong, and its problem beside it."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "falls.py").write_text(STUDY)
    study = command_line._problem(f"{folder / 'falls.py'}:study")
    posterior = quick_fit(study, n=3_000)
    posterior.core.fitted.network.regression.offset.data += 1.0
    posterior.save(folder / "falls.sbi")
    return folder


def test_check_prints_the_verdict_of_a_file(saved: Path, capsys) -> None:
    assert command_line.main(["check", str(saved / "falls.sbi")]) == 1
    said = capsys.readouterr().out
    assert said.startswith("Do not trust this posterior: ")
    assert "skipped: re-simulation (no simulator; give it to load_posterior" in said
    assert "written to" not in said


def test_check_simulates_where_it_is_told_the_problem(saved: Path, capsys) -> None:
    arguments = ["check", str(saved / "falls.sbi"), "--problem", f"{saved / 'falls.py'}:study"]
    assert command_line.main(arguments) == 1
    said = capsys.readouterr().out
    assert re.search(r"^re-simulation +mean score of the distance", said, re.MULTILINE)
    assert "skipped: re-simulation" not in said


def test_check_writes_the_report(saved: Path, tmp_path: Path, capsys) -> None:
    report = tmp_path / "falls.html"
    assert command_line.main(["check", str(saved / "falls.sbi"), "--out", str(report)]) == 1
    assert capsys.readouterr().out.endswith(f"\nwritten to {report}\n")
    assert "Do not trust this posterior" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("shift", "verdict", "code"),
    [(0.0, "trust", 0), (0.25, "caution", 0), (1.0, "do not trust", 1)],
)
def test_only_distrust_is_an_exit_code(
    shift: float, verdict: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    posterior = briefly(exact_posterior(fitted=ExactLine(shift)))
    monkeypatch.setattr(command_line, "load_posterior", lambda path, simulator: posterior)
    assert command_line.main(["check", "line.sbi"]) == code
    assert posterior.last_verdict == verdict


def test_check_finds_a_registered_problem_by_itself(tmp_path: Path, capsys) -> None:
    quick_fit(get("two_moons")).save(tmp_path / "moons.sbi")
    command_line.main(["check", str(tmp_path / "moons.sbi")])
    assert re.search(r"^re-simulation +mean score", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.sbi"], "nowhere.sbi: there is no such file"),
        (["{folder}/falls.py"], "falls.py"),
        (["{folder}/falls.sbi", "--problem", "two_mons"], "did you mean two_moons?"),
        (["{folder}/falls.sbi", "--problem", "two_moons"], "expected a problem of height"),
    ],
)
def test_what_cannot_be_checked_is_said_in_a_line(
    arguments: list[str], message: str, saved: Path, capsys
) -> None:
    arguments = [argument.format(folder=saved) for argument in arguments]
    assert command_line.main(["check", *arguments]) == 1
    said = capsys.readouterr().err.split("\r")[-1].strip().splitlines()[-1]
    assert said.startswith("sbi_inn: ")
    assert message in said


# -- list, and what cannot work --------------------------------------------------------------------


def test_list_has_what_ships(capsys) -> None:
    assert command_line.main(["list"]) == 0
    said = capsys.readouterr().out
    for name in ("gaussian_linear", "inverse_kinematics", "normal_sample", "two_moons"):
        assert re.search(rf"^{name}: [A-Z].*\.$", said, re.MULTILINE)
    assert "    infers height, shoulder, elbow, wrist\n" in said
    assert max(map(len, said.splitlines())) < 140


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["two_mons"], "no problem is registered as two_mons; did you mean two_moons?"),
        (["{folder}/nowhere.py:study"], "nowhere.py"),
        (["{folder}/falls.py:stduy"], "expected a Problem named 'stduy' in {folder}/falls.py"),
        (["{folder}/falls.py:fall"], "expected a Problem named 'fall' in {folder}/falls.py"),
        (["{folder}/falls.py"], "write {folder}/falls.py:NAME"),
        (["two_moons", "--simulations", "0"], "at least 1; got 0"),
        (["two_moons", "--simulations", "60"], "at least 100 successful simulations"),
    ],
)
def test_what_cannot_work_is_said_in_a_line(
    arguments: list[str], message: str, tmp_path: Path, capsys
) -> None:
    (tmp_path / "falls.py").write_text(STUDY)
    arguments = [argument.format(folder=tmp_path) for argument in arguments]
    assert command_line.main(["fit", *arguments]) == 1
    said = capsys.readouterr().err.split("\r")[-1].strip().splitlines()[-1]
    assert said.startswith("sbi_inn: ")
    assert message.format(folder=tmp_path) in said


def test_an_error_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(command_line, "fit_posterior", broken)
    with pytest.raises(KeyError, match="a bug"):
        command_line.main(["fit", "two_moons"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "two_moons", "--epochs", "3"], "unrecognized arguments: --epochs 3"),
        (["fit", "two_moons", "--simulations", "many"], "invalid int value: 'many'"),
        (["fit"], "required: NAME"),
        (["check"], "required: FILE"),
        ([], "required: COMMAND"),
    ],
)
def test_a_bad_option_shows_the_usage(arguments: list[str], message: str, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        command_line.main(arguments)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: python -m sbi_inn")
    assert message in said


PROBLEM = """
import scipy.stats as st
import sbi_inn as si


def drop(height, rng):
    return {"time": (2 * height / 9.81) ** 0.5 + rng.normal(0, 0.1)}


problem = si.Problem(drop, si.Prior(height=st.uniform(1, 9)))
"""


def test_parts_of_a_store(tmp_path, capsys):
    script, store = tmp_path / "drop.py", tmp_path / "drop.zarr"
    script.write_text(PROBLEM)
    common = ["simulate", f"{script}:problem", "-n", "200", "--store", str(store)]
    assert command_line.main([*common, "--part", "2/2", "--jobs", "1"]) == 0
    assert "missing: 100 rows of part 1/2" in capsys.readouterr().out
    assert command_line.main([*common, "--part", "1/2", "--timeout", "10", "--retries", "1"]) == 0
    assert "nothing is missing" in capsys.readouterr().out
    assert len(si.read_simulations(store, progress=False).ok) == 200
    assert command_line.main([*common, "--part", "3/2"]) == 1
    assert "part i of k, with 1 <= i <= k; got (3, 2)" in capsys.readouterr().err
    assert command_line.main([*common, "--seed", "7"]) == 1
    assert "seed: 7 here and" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command_line.main([*common, "--part", "half"])
