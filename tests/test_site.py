"""The documentation becomes a site without a warning, every link on it leads somewhere, and no backend is imported."""

import importlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
FACES = ["convlens", *(f"convlens.{path.parent.name}" for path in sorted(ROOT.glob("*/__init__.pyi")))]
# Constants, and what stands on the page of the package that defines it.
NOT_DOCUMENTED = {"convlens.__version__", "convlens.FeatureExtractor", "convlens.Run", "convlens.visualization.FIGURES"}
BUILD = """
import sys
from sphinx.cmd.build import main

code = main(sys.argv[1:])
files = {name: str(getattr(sys.modules.get(name), "__file__", "")) for name in ("tensorflow", "keras", "jax", "torch")}
print([name for name, file in files.items() if file.endswith(".py")])  # a stand-in has no file
sys.exit(code)
"""


class Page(HTMLParser):
    """The links of a page, to whatever it needs too, and the names that links may lead to in it."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value)
            elif name in ("id", "name"):
                self.anchors.add(value)


def dead_link(link: str, page: Path, pages: dict[Path, Page]) -> str:
    """Why a link of a page leads nowhere; '' where it leads somewhere.

    Nothing is asked of the web: a link that leads there must only look like a URL.
    """
    url = urlsplit(link)
    if url.scheme or url.netloc:
        whole = url.scheme in ("http", "https") and re.fullmatch(r"[\w-]+(\.[\w-]+)+", url.netloc) and " " not in link
        return "" if whole or url.scheme == "data" else "no URL of the web"
    target = (page.parent / unquote(url.path)).resolve() if url.path else page
    if not target.is_file():
        return "no file"
    if url.fragment and target in pages and unquote(url.fragment) not in pages[target].anchors:
        return "no such place in it"
    return ""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site, and what was printed."""
    folder = tmp_path_factory.mktemp("site")
    words = ["--fail-on-warning", "--keep-going", "--quiet", "-c", "docs", ".", str(folder)]
    environment = os.environ | {"NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", BUILD, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def pages(site):
    """The pages of the site by their paths."""
    return {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in site[0].rglob("*.html")}


def test_a_site_is_built_without_a_warning_and_without_a_backend(site):
    assert site[1].splitlines()[-1:] == ["[]"]


def test_every_link_of_the_site_leads_somewhere(pages):
    dead = [
        f"{path.name}: {link}: {reason}"
        for path, page in pages.items()
        for link in page.links
        if (reason := dead_link(link, path, pages))
    ]
    assert pages and not dead, "\n".join(dead)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("b.html", ""),
        ("b.html#there", ""),
        ("#here", ""),
        ("https://example.org/a?b#c", ""),
        ("c.html", "no file"),
        ("b.html#gone", "no such place in it"),
        ("#gone", "no such place in it"),
        ("https://example", "no URL of the web"),
        ("htps://example.org", "no URL of the web"),
    ],
)
def test_a_link_is_told_to_be_dead(link, reason, tmp_path):
    texts = {"a.html": '<p id="here">', "b.html": '<a name="there">'}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    pages = {(tmp_path / name).resolve(): Page(text) for name, text in texts.items()}
    assert dead_link(link, (tmp_path / "a.html").resolve(), pages) == reason


@pytest.mark.parametrize("face", FACES)
def test_the_reference_has_every_public_name(face, pages):
    documented = set().union(*(page.anchors for page in pages.values())) | NOT_DOCUMENTED
    names = importlib.import_module(face).__all__
    assert [name for name in names if f"{face}.{name}" not in documented] == []


def test_every_page_is_in_the_contents_and_in_the_index(pages):
    listed = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs").glob("*.md")):
        if path.name != "index.md":
            assert re.search(rf"^{path.stem}$", listed, re.M), f"{path.name} is in no toctree of docs/index.md"
            assert f"]({path.name})" in listed, f"docs/index.md does not say what {path.name} is for"


def test_every_face_has_a_page():
    written = {path.stem for path in (ROOT / "docs" / "api").glob("*.md")} - {"index"}
    assert written == {face.removeprefix("convlens.") for face in FACES}
