"""Settings of the site. `make docs` builds it into docs/_build/html; a warning is an error."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for building.py

import sbi_inn

project = "sbi_inn"
author = "the sbi_inn authors"
copyright = "2026, the sbi_inn authors"
version = release = sbi_inn.__version__

extensions = [
    "building",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
]
highlight_language = "none"  # blocks that are Python say so; the others are shells and printouts
default_role = "literal"  # single quotes in docstrings are names
exclude_patterns = ["_build", "README.md", "**.ipynb_checkpoints"]
templates_path = ["_templates"]

# Notebooks are stored as they ran; the tests run them.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_merge_streams = True  # one box for what one cell printed
# What is in docs/results/ stands as it was printed, headings included.
suppress_warnings = ["myst.header"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings say them
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "sbi_inn"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}
html_show_search_summary = False  # which a page opened as a file could not fetch
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_start": ["navbar-logo", "version"],
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_sidebars = dict.fromkeys(["index", "gallery"], [])
