"""What conf.py needs beside settings: notebooks and thumbnails in place, links, formulas, weight.

The notebooks live beside docs/, and pages link to them as files, so that both can be read without
the site. Sphinx reads nothing outside its folder: copies go to docs/tutorials/, and links follow.
"""

import ast
import base64
import io
import json
import re
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from PIL import Image
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

DOCS = Path(__file__).parent
ROOT = DOCS.parent
NOTEBOOKS = ROOT / "notebooks"
# The page of the site for each file outside docs/ that pages link to.
OUTSIDE = {"README": "index", "CONTRIBUTING": "contributing", "CHANGELOG": "changelog"}
THUMBNAIL = re.compile(r"_gallery/(?P<notebook>[\w-]+)-(?P<number>\d+)\.png")
WIDTH = 420  # px of a thumbnail
WIDEST = 1200  # px of any other picture, nearly twice what a page shows
# What the theme loads on every page: only the page of the search needs it, or none whose icons are
# characters of a font.
SEARCH = {"searchtools", "language_data", "searchindex"}
DRAWN_ICONS = {"fontawesome"}
ICON = re.compile(r"(?:\.fa-[\w-]+,?)+\{--fa:[^}]*\}")  # one of two thousand in the theme's CSS


def copy_notebooks(app: Sphinx) -> None:
    """Put the notebooks where Sphinx finds them; one that has not changed is left alone."""
    folder = DOCS / "tutorials"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.ipynb"):
        if not (NOTEBOOKS / old.name).exists():
            old.unlink()
    for source in NOTEBOOKS.glob("*.ipynb"):
        copy = folder / source.name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            copy.write_bytes(source.read_bytes())


def pictures(notebook: Path) -> list[bytes]:
    """Give the figures that a notebook shows, in order, as PNG."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    found = [output.get("data", {}).get("image/png") for output in outputs]
    return [base64.b64decode("".join(png)) for png in found if png]


def make_thumbnails(app: Sphinx) -> None:
    """Cut the thumbnails that pages name, _gallery/NOTEBOOK-NUMBER.png, out of the notebooks."""
    folder = DOCS / "_gallery"
    folder.mkdir(exist_ok=True)
    for page in DOCS.glob("*.md"):
        for match in THUMBNAIL.finditer(page.read_text(encoding="utf-8")):
            png = pictures(NOTEBOOKS / f"{match['notebook']}.ipynb")[int(match["number"])]
            image = Image.open(io.BytesIO(png)).convert("RGB")
            image.thumbnail((WIDTH, WIDTH))
            image.save(DOCS / match[0], optimize=True)


def to_the_site(docname: str, text: str) -> str:
    """Turn links to files of the repository into links to pages of the site."""
    up = "../" * docname.count("/")
    # From a page: (../notebooks/01-quickstart.ipynb), (../../notebooks/...).
    text = re.sub(r"\((?:\.\./)+notebooks/([\w-]+\.ipynb)", rf"({up}tutorials/\1", text)
    # From a notebook: (../docs/checks.md), and whole folders.
    text = re.sub(r"\(\.\./docs/results\)", rf"({up}benchmarks.md)", text)
    text = re.sub(r"\(\.\./docs/", f"({up}", text)
    text = re.sub(r"\(docs/results/\)", f"({up}benchmarks.md)", text)
    text = re.sub(r"\(docs/", f"({up}", text)
    for name, page in OUTSIDE.items():
        text = re.sub(rf"\((?:\.\./)*{name}\.md", f"({up}{page}.md", text)
    return text


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Rewrite a page as Sphinx reads it."""
    source[0] = to_the_site(docname, source[0])


def read_included(app: Sphinx, path: Path, docname: str, source: list[str]) -> None:
    """Rewrite a file that a page includes."""
    source[0] = to_the_site(docname, source[0])


def what_it_shows(code: str) -> str:
    """Say what a cell draws: by the labels of its axes or, if it writes none, by its last call."""
    labels = re.findall(r"\b(?:set_)?[xy]?(?:label|title)s?(?:=|\()\"([^\"{]+)\"", code)
    last = ast.parse(code).body[-1]
    call = ast.get_source_segment(code, last) if isinstance(last, ast.Expr) else None
    if labels or call is None or "plt.show" in call:
        return ": " + ", ".join(dict.fromkeys(labels)) if labels else ""
    return ", made by " + " ".join(call.split())


def tidy_outputs(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give figures of notebooks an alternative text, else a file's name; drop empty outputs."""
    for cell in doctree.findall(nodes.container):
        if "cell" not in cell["classes"]:
            continue
        for block in [*cell.findall(nodes.literal_block)]:
            if not block.astext().strip():
                block.parent.remove(block)
        for picture in cell.findall(nodes.image):
            section = cell.parent.next_node(nodes.title)
            heading = section.astext() if section else docname
            (code, *_) = cell.findall(nodes.literal_block)
            picture["alt"] = f"Figure below \u201c{heading}\u201d{what_it_shows(code.astext())}"


def keep_percents_together(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let no line end between a number and its per cent sign."""
    for words in [*doctree.findall(nodes.Text)]:
        if isinstance(words.parent, nodes.literal | nodes.literal_block | nodes.raw):
            continue
        kept = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", words)
        if kept != words:
            words.parent.replace(words, nodes.Text(kept))


def lighter(picture: Image.Image) -> bytes:
    """Write a picture as PNG of few colours: a third of the size, and the same to the eye."""
    opaque = Image.new("RGB", picture.size, "white")
    opaque.paste(picture, mask=picture if picture.mode == "RGBA" else None)
    opaque.thumbnail((WIDEST, 10 * WIDEST))
    small = io.BytesIO()
    # Not the default method, which merges colours that cover little: the patches of a legend.
    few = opaque.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(small, "PNG", optimize=True)
    return small.getvalue()


def without_scripts(html: str, names: set[str]) -> str:
    """Leave scripts of these names out of a page."""
    script = re.compile(r'<script\b[^>]*src="[^"]*?([\w-]+)\.js[^>]*></script>')
    return script.sub(lambda m: "" if m[1] in names else m[0], html)


def lighten(app: Sphinx, exception: Exception | None) -> None:
    """Leave out what pages load and never use: with it, each would weigh over a megabyte."""
    if exception or app.builder.name != "html":
        return
    out = Path(app.outdir)
    styles = out / "_static" / "styles" / "pydata-sphinx-theme.css"
    css = styles.read_text(encoding="utf-8")
    icons = DRAWN_ICONS if "--fa:" in css else set()
    used: set[str] = set()
    for page in out.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        used.update(re.findall(r"\bfa-[\w-]+", html))
        less = without_scripts(html, icons if page.name == "search.html" else icons | SEARCH)
        if less != html:
            page.write_text(less, encoding="utf-8")
    script = (out / "_static" / "scripts" / "pydata-sphinx-theme.js").read_text(encoding="utf-8")
    used.update(re.findall(r"\bfa-[\w-]+", script))
    kept = ICON.sub(lambda m: m[0] if used & set(re.findall(r"fa-[\w-]+", m[0])) else "", css)
    styles.write_text(kept, encoding="utf-8")
    for path in (out / "_images").glob("*.png"):
        small = lighter(Image.open(path))
        if len(small) < path.stat().st_size:
            path.write_bytes(small)


NAMED = r"<mi>\w{2,}</mi>\s*<mo>&ApplyFunction;</mo>"  # exp, log, tanh


def mathml(tex: str, *, as_block: bool) -> str:
    """Write LaTeX as MathML, with the space around log and its like that LaTeX leaves."""
    code = tex2mathml(tex, as_block=as_block)
    code = re.sub(rf"(</m(?:i|sub|sup|n)>\s*)(?={NAMED})", r'\1<mspace width=".17em"/>', code)
    return re.sub(
        r"(&ApplyFunction;</mo>)(?=\s*<m(?:i|sub|frac)\b)", r'\1<mspace width=".17em"/>', code
    )


def inline_formula(writer: HTML5Translator, node: nodes.math) -> None:
    """Write a formula as MathML, which every browser shows without a script."""
    writer.body.append(mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def formula(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    code = mathml(node.astext(), as_block=True)
    writer.body.append(f'<div class="formula">{code}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it."""
    app.add_html_math_renderer("mathml", (inline_formula, None), (formula, None))
    app.connect("builder-inited", copy_notebooks)
    app.connect("builder-inited", make_thumbnails)
    app.connect("source-read", read)
    app.connect("include-read", read_included)
    app.connect("doctree-resolved", tidy_outputs)
    app.connect("doctree-resolved", keep_percents_together)
    app.connect("build-finished", lighten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
