"""How Sphinx makes the book out of the pages that build.py has laid out."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

project = "TinyTorch"
author = "the authors of TinyTorch"
copyright = "the authors of TinyTorch, MIT licence"
extensions = ["myst_parser", "maths"]
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist", "attrs_block"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]         # a lesson may go from a title to a third-level heading
html_math_renderer = "mathml"
highlight_language = "none"
pygments_style = "default"
nitpicky = False
add_function_parentheses = False
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 80
exclude_patterns = []

html_theme = "sphinx_book_theme"
html_title = "TinyTorch"
html_static_path = [str(HERE / "_static")]
html_css_files = ["book.css"]
html_show_sourcelink = False
html_copy_source = False
html_last_updated_fmt = None
html_context = {"default_mode": "auto"}             # light or dark, as the reader's system has it
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "use_sidenotes": False,
    "show_navbar_depth": 1,
    "collapse_navigation": True,        # other chapters' pages are not on every page
    "show_toc_level": 2,
    "navbar_persistent": [],
    "pygments_light_style": "a11y-light",
    "pygments_dark_style": "a11y-dark",
    "home_page_in_toc": False,
    "show_prev_next": True,
}
