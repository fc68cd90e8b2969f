"""The pages that Sphinx made: links, words for pictures, one title each; and nothing is asked of anybody."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
LOADED = {("link", "href"), *((tag, "src") for tag in ("script", "img", "iframe", "source"))}
ADDRESS = re.compile(r"url\(\s*['\"]?(https?:)?//|@import\s+['\"](https?:)?//", re.IGNORECASE)


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """The book that `make book` has made, or else one without what its cells show."""
    made = ROOT / "build" / "book" / "html"
    if (made / "index.html").exists(): return made
    pytest.importorskip("sphinx_book_theme", reason="the `book` extra is not installed")
    folder = tmp_path_factory.mktemp("book")
    words = [sys.executable, str(ROOT / "book" / "build.py"), str(folder), "--no-run"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


class Page(HTMLParser):
    """What a page loads, where it leads, and which places it has."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids, self.links, self.loaded, self.silent, self.tags = set(), [], [], [], Counter()
        self.language = self.around = ""        # of the block that a tag stands in
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags[tag if "jb-print-docs-body" not in self.around else f"{tag} on paper"] += 1
        if tag in ("div", "article"): self.around = values.get("id") or ""
        self.ids |= {values[key] for key in ("id", "name") if values.get(key)}
        if tag == "a" and values.get("href"): self.links.append(values["href"])
        if tag == "html": self.language = values.get("lang", "")
        self.loaded += [values[key] for name, key in LOADED if name == tag and values.get(key)
                        and values.get("rel") not in ("search", "next", "prev", "index", "canonical")]
        if tag == "img" and not (values.get("alt") or "").strip(): self.silent.append(values.get("src"))
        if tag == "svg" and values.get("role") == "img" and not values.get("aria-label"):
            self.silent.append("svg")


@cache
def page(path: Path) -> Page: return Page(path)


def pages(book: Path) -> list[Path]:
    return [path for path in sorted(book.rglob("*.html")) if path.name not in ("search.html", "genindex.html")
            and "_static" not in path.parts]


def leads(path: Path, link: str) -> bool:
    """Whether a link of a page leads to a file that is there, and to a place in it that is there."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc: return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not parts.fragment or target.suffix != ".html": return target.exists()
    return target.exists() and unquote(parts.fragment) in page(target).ids


def test_links_lead_somewhere(book):
    lost = {(path.relative_to(book).as_posix(), link) for path in pages(book) for link in page(path).links
            if not leads(path, link)}
    assert sorted(lost)[:20] == []


def test_no_page_asks_anybody_for_anything(book):
    asked = {(path.name, link) for path in pages(book) for link in page(path).loaded
             if urlsplit(link).scheme not in ("", "data") or link.startswith("//")}
    assert asked == set()
    assert [path.name for path in book.rglob("*.css") if ADDRESS.search(path.read_text("utf-8"))] == []


def test_pages_speak_to_those_who_do_not_see_them(book):
    for path in pages(book):
        found = page(path)
        assert found.silent == [] and found.language == "en", path
        assert found.tags["h1"] >= 1 and found.tags["main"] == 1 and found.tags["nav"] >= 1, path


def test_formulas_are_mathml(book):
    text = (book / "lessons" / "03_activations" / "index.html").read_text("utf-8")
    assert "<math" in text and not re.search(r"<script[^>]*mathjax", text, re.IGNORECASE)


BROWSER = "not an origin"         # how Chromium logs what it asks for itself, and no page does
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def browse(book: Path, name: str, tmp_path: Path) -> tuple[str, set[str]]:
    """A page after its scripts have run, and the addresses that it asked for."""
    log = tmp_path / "net.json"
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--log-net-log={log}",
             f"--user-data-dir={tmp_path / 'profile'}", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--no-first-run"]
    words += ["--dump-dom", (book / name).as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    events = json.loads(log.read_text("utf-8"))["events"]
    said = [event["params"] for event in events if "url" in event.get("params", {})]
    asked = {one["url"] for one in said if one.get("initiator", BROWSER) != BROWSER}
    return done.stdout, asked


@pytest.mark.skipif(not CHROMIUM, reason="no chromium")
def test_a_browser_shows_a_chapter_from_a_folder_and_asks_for_nothing(book, tmp_path):
    shown, asked = browse(book, "lessons/05_dense/index.html", tmp_path)
    assert "A matrix of opinions" in shown and 'aria-current="page"' in shown
    assert {url for url in asked if re.match("(https?|wss?):", url)} == set()


@pytest.mark.skipif(not CHROMIUM, reason="no chromium")
def test_a_chapter_prints(book, tmp_path):
    paper = tmp_path / "chapter.pdf"
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--print-to-pdf={paper}"]
    words.append((book / "lessons" / "05_dense" / "index.html").as_uri())
    subprocess.run(words, capture_output=True, timeout=120)
    assert paper.read_bytes()[:5] == b"%PDF-" and len(paper.read_bytes()) > 50_000


READ = ("index", "lessons/09_autograd/index", "lessons/14_benchmarking/index", "api/tinytorch.amp",
        "docs/instructors", "search")
CONTRAST = Path(__file__).with_name("contrast.js").read_text("utf-8")


@pytest.mark.skipif(not CHROMIUM, reason="no chromium")
@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", READ)
def test_words_stand_out_from_what_is_behind_them(book, name, mode, tmp_path):
    path = book / f"{name}.html"
    copy = path.with_name(f"contrast-{mode}.html")          # beside it, or it would lose its style
    script = f"<script>{CONTRAST.replace('MODE', mode)}</script></body>"
    copy.write_text(path.read_text("utf-8").replace("</body>", script), "utf-8")
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    words += ["--window-size=1280,900", "--dump-dom", copy.as_uri()]
    try: done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    finally: copy.unlink()
    told = json.loads(unescape(re.search(r'<pre id="contrast"[^>]*>(.*?)</pre>', done.stdout, re.DOTALL)[1]))
    assert told["seen"] > 20 and told["hard"] == []
