"""How many simulations of each model are made where no number is asked for."""

import pytest

from sbi_inn.comparison import gathering
from sbi_inn.simulation.stated import DEFAULT

MODELS = {"line": "trend_line", "parabola": "trend_parabola"}
NUMBERS = 16.5  # in a row of the second: parameters, observables and what is noted of it


@pytest.mark.parametrize(
    ("seconds", "rows", "made"),
    [
        (20.0, 10**9, 12_000),  # all are cheap: as many as there may be
        (20.0, 11_500, 11_000),  # what fits into memory
        (20.0, 10_500, DEFAULT),
        (0.0, 10**9, DEFAULT),
    ],
)
def test_more_are_made_where_that_takes_no_time(monkeypatch, seconds, rows, made):
    monkeypatch.setattr(gathering, "MORE", (12_000, 11_000))
    monkeypatch.setattr(gathering, "SECONDS", seconds)
    monkeypatch.setattr(gathering, "NUMBERS", rows * NUMBERS)
    tables, _ = gathering.gather(MODELS, n=None, n_jobs=1, seed=1, progress=False)
    assert len(tables["parabola"]) == made


def test_what_is_asked_for_is_made():
    tables, _ = gathering.gather(MODELS, n=300, n_jobs=1, seed=1, progress=False)
    assert {len(table) for table in tables.values()} == {300}
