"""The report page: complete, self-contained, and safe whatever the names hold."""

import base64
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import SimpleNamespace

import pandas as pd
import pytest

import sbi_inn
from sbi_inn.checks.calibration import CALIBRATION
from sbi_inn.checks.goodness import GOODNESS_OF_FIT
from sbi_inn.plots.style import new_figure
from sbi_inn.report.check import MEANING, Check
from sbi_inn.report.page import MARKS, page

NASTY = "<script>alert('&')</script>\" $title"


@dataclass(frozen=True)
class Found:
    """What a check found, with a figure that remembers its width."""

    verdict: str = "trust"
    sentence: str = "intervals hold the truth as often as they say"
    advice: str = ""
    hint: str = ""
    first: str = ""
    elsewhere: bool = False
    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"gap": [0.123456]}, ["a"]))

    more: tuple[str, ...] = ()

    def plot(self, width_mm=180.0):
        return new_figure(width_mm, 10.0)

    def more_figures(self, width_mm=180.0):
        return {caption: new_figure(width_mm, 20.0) for caption in self.more}


def found(verdict="trust", reasons="all is well", advice="", **parts):
    """Make what the page reads of a Check."""
    return SimpleNamespace(
        verdict=verdict,
        of="posterior",
        meaning=MEANING[verdict].format("posterior"),
        reasons=reasons,
        advice=advice,
        records=parts.get("records", {}),
        notes=parts.get("notes", ()),
        skipped=parts.get("skipped", {}),
        about=parts.get("about", {}),
    )


FULL = found(
    "do not trust",
    "the intervals of elbow are too narrow",
    "Simulate more.",
    records={
        "calibration": Found("do not trust", "elbow is too narrow", "Train longer."),
        "goodness of fit": Found(sentence="y is usual"),
        "of my own": Found("caution", "nobody knows"),
    },
    notes=("k = 9 is outside the trained range",),
    skipped={"re-simulation": "no simulator"},
    about={"method": "cINN", "simulations": "20,000"},
)


class Reader(HTMLParser):
    """Collects tags, attributes and text; refuses what is not closed in order."""

    EMPTY = ("meta", "link", "img", "source", "br")

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def words(reader):
    return " ".join(" ".join(reader.text).split())


@pytest.mark.parametrize("verdict", MARKS)
def test_the_verdict_is_said_in_words_beside_its_colour(verdict):
    reader = read(page(found(verdict, "because")))
    assert f"{MARKS[verdict]} {MEANING[verdict].format('posterior')}: because." in words(reader)
    banner = [about["class"] for tag, about in reader.attributes if tag == "div"]
    assert banner == [f"banner {verdict.replace(' ', '-')}"]


def test_everything_that_was_found_is_on_the_page():
    shown = words(read(page(FULL)))
    for text in (
        "the intervals of elbow are too narrow", "Simulate more.", "method", "cINN", "20,000",
        "calibration ✗ do not trust", "elbow is too narrow", "Train longer.", "0.1235",
        "goodness of fit ✓ trust", "y is usual", "of my own ! caution", "nobody knows",
        *(text for kind in (CALIBRATION, GOODNESS_OF_FIT)
          for text in (kind.question, kind.explanation)),
        "k = 9 is outside the trained range", "re-simulation: no simulator",
        f"sbi_inn {sbi_inn.__version__}",
    ):  # fmt: skip
        assert text in shown


def test_what_is_not_there_has_no_heading():
    shown = words(read(page(found())))
    for heading in ("The posterior", "The checks", "Notes", "Skipped"):
        assert heading in words(read(page(FULL)))
        assert heading not in shown


def test_links_lead_to_the_sections():
    attributes = read(page(FULL)).attributes
    targets = {about["id"] for _, about in attributes if "id" in about}
    links = {about["href"] for tag, about in attributes if tag == "a"}
    assert links == {f"#{target}" for target in targets}
    assert len(links) == 3


def sources(reader):
    """Return the address of every picture, the description of every image."""
    addresses = [about.get("src") or about["srcset"] for tag, about in reader.attributes
                 if tag in ("img", "source")]  # fmt: skip
    return addresses, [about["alt"] for tag, about in reader.attributes if tag == "img"]


def png_width(address):
    png = base64.b64decode(address.removeprefix("data:image/png;base64,"), validate=True)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(png[16:20], "big")


def test_figures_are_inside_the_page_in_two_widths():
    addresses, descriptions = sources(read(page(found(records={"calibration": Found()}))))
    narrow, wide = map(png_width, addresses)
    assert (narrow, wide) == (round(85 / 25.4 * 200), round(180 / 25.4 * 200))
    assert descriptions == ["calibration: intervals hold the truth as often as they say"]


def test_more_figures_of_a_check_have_captions_and_two_widths():
    reader = read(page(found(records={"recovery": Found(more=("z-scores", "of a, by b"))})))
    addresses, descriptions = sources(reader)
    assert [png_width(address) for address in addresses] == [669, 1417] * 3
    assert descriptions[1:] == ["recovery: z-scores", "recovery: of a, by b"]
    assert [tag for tag in reader.tags if tag == "figcaption"] == ["figcaption"] * 2
    assert "z-scores" in words(reader)


def test_columns_of_tables_are_words():
    columns = ["p_value", "held95", "correlation_too_low_by", "gap", 3]
    shown = words(
        read(page(found(records={"a": Found(table=pd.DataFrame([[0.5] * 5], columns=columns))})))
    )
    for word in ("p-value", "truth within 95 %", "correlation too low by", "gap", "3"):
        assert word in shown
    assert "_" not in shown.replace(f"sbi_inn {sbi_inn.__version__}", "")


def test_more_figures_come_with_their_captions():
    text = page(found(), figures={"Posterior of the arm": new_figure(100.0, 10.0)})
    reader = read(text)
    addresses, descriptions = sources(reader)
    assert descriptions == ["Posterior of the arm"]
    assert png_width(addresses[0]) == round(100 / 25.4 * 200)
    assert words(reader).count("Posterior of the arm") == 1


def test_the_page_needs_nothing_from_elsewhere():
    text = page(FULL, figures={"corner": new_figure(50.0, 10.0)})
    reader = read(text)
    assert not {"script", "iframe", "object"} & set(reader.tags)
    loaded = [about[name] for tag, about in reader.attributes
              for name in ("src", "srcset", "href") if name in about and tag != "a"]  # fmt: skip
    assert all(address.startswith("data:") for address in loaded)
    assert "url(" not in text
    assert "@import" not in text


def test_names_and_sentences_are_text_and_never_html():
    table = pd.DataFrame({NASTY: [NASTY]}, [NASTY])
    check = found(
        reasons=NASTY,
        advice=NASTY,
        records={NASTY: Found(sentence=NASTY, advice=NASTY, table=table)},
        notes=(NASTY,),
        skipped={NASTY: NASTY},
        about={NASTY: NASTY},
    )
    reader = read(page(check, title=NASTY, figures={NASTY: new_figure(20.0, 10.0)}))
    assert "script" not in reader.tags
    assert "script" in read(f"<p>{NASTY}</p>").tags  # it would have been found
    # title, heading, banner; advice; facts twice; link; heading, sentence and advice of the check;
    # its table's column, row and cell; caption; note; what was skipped, twice
    assert words(reader).count(NASTY) == 17
    assert all(set(about) <= {"lang", "charset", "name", "content", "rel", "href", "class", "id",
                              "role", "tabindex", "aria-label", "src", "srcset", "media", "alt",
                              "style", "border"}
               for _, about in reader.attributes)  # fmt: skip


def test_tables_scroll_in_their_own_box_and_empty_ones_are_left_out():
    text = page(found(records={"a": Found(), "b": Found(table=pd.DataFrame())}))
    assert text.count("<table") == len(re.findall(r'<div class="scroll"[^>]*><table', text)) == 1


def test_the_name_of_the_rows_stands_in_the_corner_of_a_table():
    table = pd.DataFrame({"gap": [1.0]}, index=pd.Index(["elbow"], name="parameter"))
    text = page(found(records={"a": Found(table=table)}))
    assert "parameter gap elbow 1" in words(read(text))
    assert text.count("<tr") == 2


def test_the_title_has_a_default_and_can_be_set():
    assert "<h1>Can this posterior be trusted?</h1>" in page(found())
    assert "<title>The arm</title>" in page(found(), title="The arm")


def test_the_same_check_gives_the_same_page_in_a_file(tmp_path):
    check = Check({"a": Found()}, notes=("k = 9",), about={"method": "cINN"})
    check.to_html(tmp_path / "a.html", title="Arm", figures={"a": new_figure(20.0, 10.0)})
    written = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert written == page(check, title="Arm", figures={"a": new_figure(20.0, 10.0)})
    assert written.startswith("<!DOCTYPE html>")
