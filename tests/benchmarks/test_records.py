"""Rows of results: where they come from, which of them are replaced, and tables of them."""

import json
import sys

import pandas as pd
import pytest
import records
from parts import Benchmark, main
from records import Records, caption, flat, markdown, spread


@pytest.fixture
def rows(tmp_path):
    return Records("known", ("method", "size"), tmp_path)


def test_a_row_says_where_it_comes_from(rows):
    rows.add([{"method": "a", "size": 1, "error": 0.1 + 0.2}], seed=4, threads=2)
    (row,) = rows.read().to_dict("records")
    assert (row["seed"], row["threads"], row["date"]) == (4, 2, records.today())
    assert row["commit"] == records.commit()
    assert row["error"] == 0.1 + 0.2  # to the last bit


def test_a_row_takes_the_place_of_one_about_the_same(rows):
    for size, seed, error in ((1, 1, 0.1), (2, 1, 0.2), (1, 2, 0.3), (1, 1, 0.4)):
        rows.add([{"method": "a", "size": size, "error": error}], seed=seed, threads=1)
    found = rows.read()
    assert found[["size", "seed", "error"]].values.tolist() == [
        [2, 1, 0.2],
        [1, 2, 0.3],
        [1, 1, 0.4],
    ]


def test_gaps_leave_whole_numbers_and_keys_as_they_are(rows):
    for _ in range(2):
        rows.add([{"method": "a", "size": None, "steps": 7}], seed=1, threads=1)
        rows.add([{"method": "b", "size": 2}], seed=1, threads=1, commit="1234567")
    assert len(rows.read()) == 2
    assert "7.0" not in rows.file.read_text()
    assert rows.read()["commit"].tolist() == [records.commit(), "1234567"]
    assert rows.has(method="a", seed=1)
    assert not rows.has(method="b", seed=1)  # of another commit
    assert not rows.has(method="a", seed=2)
    assert not rows.has(colour="red")


def test_nested_results_become_one_row():
    assert flat({"a": {"b": 1, "c": [2, {"d": 3}]}}) == {"a.b": 1, "a.c.1": 2, "a.c.2.d": 3}


def test_the_caption_names_all_sources():
    table = pd.DataFrame(
        {
            "commit": ["abc", "def"],
            "date": ["2026-11-26", "2026-11-25"],
            "cores": 2,
            "threads": 1,
            "seed": [2, 1],
        }
    )
    assert caption(table) == (
        "Commits `abc`, `def`, 2026-11-25 to 2026-11-26, 2 cores, 1 thread, seeds 1, 2."
    )


def test_a_table_is_markdown():
    assert markdown(pd.DataFrame({"a": ["1"], "b": ["2"]})) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert markdown(pd.DataFrame({"a": ["|y|"]})).endswith("| \\|y\\| |")
    assert spread([3.0, 1.0, 2.0], "{:.0f}") == "2 (1 to 3)"
    assert spread([3.0], "{:.0f}") == "3"
    assert spread([], "{:.0f}") == "-"


# -- parts -----------------------------------------------------------------------------------------

SCRIPT = """
import os, sys
sys.path.insert(0, {folder!r})
from parts import Benchmark, main
from records import Records

def measure(options):
    with open({log!r}, "a") as log:
        print(options.part, options.seed, options.size, os.environ["OMP_NUM_THREADS"], file=log)
    return [{{"value": options.seed * options.size}}]

main(
    Benchmark(
        Records("known", ("method", "size")), ["a", "b", "c"], measure,
        lambda rows: ",".join(map(str, rows["value"])), {{"size": 10}}, once=["c"],
    ),
    "what it is",
)
"""


def test_parts_run_once_for_each_seed_in_a_process_of_their_own(tmp_path, monkeypatch, capsys):
    log, script = tmp_path / "log", tmp_path / "known.py"
    script.write_text(SCRIPT.format(folder=str(records.BENCHMARKS), log=str(log)))
    known = Benchmark(
        Records("known", ("method", "size")),
        ["a", "b", "c"],
        json.dumps,
        lambda rows: ",".join(map(str, rows["value"])),
        {"size": 10},
        once=["c"],
    )
    arguments = [str(script), "--out", str(tmp_path), "--seeds", "1", "2", "--threads", "3"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--size", "7", "--only", "a", "c"])
    main(known, "what it is")
    assert capsys.readouterr().out == "7,7,14\n"
    assert log.read_text().splitlines() == ["a 1 7 3", "c 1 7 3", "a 2 7 3"]
    main(known, "what it is")  # all is there
    for more in (["--size", "7"], ["--only", "c"], []):  # the size is 10 by default
        monkeypatch.setattr(sys, "argv", [*arguments, "--table", *more])
        main(known, "what it is")
    assert len(log.read_text().splitlines()) == 3
    assert capsys.readouterr().out == "7,7,14\n" * 2 + "\n\n"
