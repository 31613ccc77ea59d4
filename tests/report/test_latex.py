"""Tables for papers: numbers rounded by their errors, text that LaTeX takes."""

import numpy as np
import pytest
import scipy.stats as st
import xarray as xr

from sbi_inn.draws import make_draws
from sbi_inn.errors import ShapeError
from sbi_inn.report.latex import escape, latex_table, with_errors


@pytest.mark.parametrize(
    ("value", "down", "up", "text"),
    [
        (1.2345, 0.0496, 0.0412, r"1.234^{+0.041}_{-0.050}"),
        (12.0, 0.0996, 0.0996, r"12.00 \pm 0.10"),
        (12.0, 0.0994, 0.0994, r"12.000 \pm 0.099"),
        (5123.0, 312.0, 287.0, r"5120^{+290}_{-310}"),
        (999.96, 0.3, 0.3, r"999.96 \pm 0.30"),
        (9999.7, 0.3, 0.3, r"9999.70 \pm 0.30"),
        (12345.0, 120.0, 250.0, r"(1.234^{+0.025}_{-0.012})\times10^{4}"),
        (0.0012, 0.0002, 0.0002, r"0.00120 \pm 0.00020"),
        (0.00012, 0.00002, 0.00003, r"(1.20^{+0.30}_{-0.20})\times10^{-4}"),
        (-1e-12, 1e-14, 1e-14, r"(-1.000 \pm 0.010)\times10^{-12}"),
        (1234567.0, 12.0, 12.0, r"(1.234567 \pm 0.000012)\times10^{6}"),
        (-0.001, 0.5, 0.5, r"0.00 \pm 0.50"),
        (0.0, 2e5, 1e5, r"(0.0^{+1.0}_{-2.0})\times10^{5}"),
        (3.0, 0.0, 0.25, r"3.00^{+0.25}_{-0.00}"),
        (3.0, 1e-9, 0.5, r"3.0000^{+0.5000}_{-0.0000}"),
        (1.5, 0.0, 0.0, "1.5"),
        (1.5, 2e-16, 2e-16, "1.5"),
        (0.0, 0.0, 0.0, "0"),
        (300.0, 0.0, 0.0, "300"),
        (1234567.0, 0.0, 0.0, r"1.23457\times10^{6}"),
    ],
)
def test_numbers_are_rounded_by_their_errors(value, down, up, text):
    assert with_errors(value, value - down, value + up) == text


@pytest.mark.parametrize("numbers", [(np.nan, 0, 1), (0, -np.inf, 1), (0, -1, np.inf)])
def test_infinite_numbers_are_refused(numbers):
    with pytest.raises(ValueError, match="expected finite numbers; got"):
        with_errors(*numbers)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (r"$\beta_0$", r"$\beta_0$"),
        ("a_b & 5 % #1 {x}", r"a\_b \& 5 \% \#1 \{x\}"),
        (r"\x^2", r"\textbackslash{}x\textasciicircum{}2"),
        ("~ <y>", r"\textasciitilde{} \textless{}y\textgreater{}"),
        (r"n_1 of $n_2$ in km s$^{-1}$", r"n\_1 of $n_2$ in km s$^{-1}$"),
        ("5 $", r"5 \$"),
    ],
)
def test_text_is_escaped_and_mathematics_kept(text, written):
    assert escape(text) == written


def normal_draws(sd=0.5, n=4_001):
    """Give the quantiles of a normal as draws, so that the table's numbers are known."""
    quantiles = st.norm.ppf((np.arange(n) + 0.5) / n)
    return make_draws(
        {"slope": 2 + sd * quantiles, "theta": np.stack([quantiles, 1e6 + 100 * quantiles], 1)},
        labels={"slope": "[Fe/H]_x", "theta": r"$\theta$"},
        units={"slope": "km s$^{-1}$"},
    )


def rows(table):
    """Return the cells of each row, the titles first."""
    lines = [line.strip() for line in table.splitlines() if line.endswith(r"\\")]
    return [[cell.strip() for cell in line.removesuffix(r"\\").split("&")] for line in lines]


def test_one_set_of_draws_has_median_and_95_percent_interval():
    assert rows(latex_table(normal_draws())) == [
        ["parameter", "median", r"95\,\% interval"],
        [r"{[}Fe/H]\_x [km s$^{-1}$]", r"$2.00 \pm 0.50$", "$[1.02, 2.98]$"],
        [r"$\theta$[0]", r"$0.00 \pm 0.99$", r"$[-2.0, 2.0]$"],
        [
            r"$\theta$[1]",
            r"$(1.000000 \pm 0.000099)\times10^{6}$",
            r"$[0.99980, 1.00020]\times10^{6}$",
        ],
    ]


def test_several_sets_have_a_column_each():
    other = make_draws({"slope": np.ones(101), "extra": np.linspace(0, 1, 101)})
    table = rows(latex_table({"cINN": normal_draws(), "A_BC": other}))
    assert table[0] == ["parameter", "cINN", r"A\_BC"]
    assert table[1][1:] == [r"$2.00 \pm 0.50$", "$1$"]
    assert table[2][2] == table[3][2] == "--"
    assert table[4] == ["extra", "--", r"$0.50 \pm 0.34$"]


def test_the_errors_span_the_interval_that_is_asked_for():
    table = latex_table(normal_draws(), interval=0.9)
    assert rows(table)[1][1] == r"$2.00 \pm 0.82$"
    assert r"\caption{Medians with central 90\,\% intervals.}" in table
    assert r"\label" not in table


def test_caption_and_label_are_latex():
    table = latex_table(normal_draws(), caption=r"Arm, $n = 5$ \cite{a}.", label="tab:arm")
    assert r"\caption{Arm, $n = 5$ \cite{a}.}" in table
    assert r"\label{tab:arm}" in table


def test_environments_are_closed_and_columns_counted():
    table = latex_table({"a": normal_draws(), "b": normal_draws(), "c": normal_draws()})
    assert r"\begin{tabular}{lccc}" in table
    for name in ("table", "tabular"):
        assert table.count(rf"\begin{{{name}}}") == table.count(rf"\end{{{name}}}") == 1
    assert {len(row) for row in rows(table)} == {4}


@pytest.mark.parametrize(
    ("draws", "kind", "message"),
    [
        (make_draws({"a": [1.0, np.nan, np.inf]}), ValueError, "draws of a; got 2 of 3"),
        (make_draws({"a": []}), ShapeError, "at least one draw.*0 draws"),
        (xr.Dataset({"a": (("observation", "draw"), [[1.0]])}), ShapeError, "isel"),
    ],
)
def test_what_cannot_be_a_table(draws, kind, message):
    with pytest.raises(kind, match=message):
        latex_table(draws)


@pytest.mark.parametrize("interval", [0.0, 1.0, 68])
def test_the_interval_is_a_probability(interval):
    with pytest.raises(ValueError, match=f"between 0 and 1; got {interval}"):
        latex_table(normal_draws(), interval=interval)
