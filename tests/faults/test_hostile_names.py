"""Names of classes and photos that would be markup, code, lines, commands or nothing legible stay names everywhere."""

import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PAGES = set((ROOT / "docs").glob("*.md"))  # they say how figures are read
CLASSES = [
    b"<script>alert(1)</script>".replace(b"/", b"\\"),
    b"<img src=x onerror=alert(1)>",
    b'"quo\'ted" & \\back `tick` $HOME {braces} [red]',
    b"two\nlines\tand a tab",
    b"$x^2$ \\frac{1} " + "車".encode(),
    b"\x1b[31mred \x07",
    b"caf\xe9",
    b"n" * 250,
]
PHOTOS = [b"%d.png", b'<b>%d"\n.png', b"javascript:%d'.png", b"--%d.png", b" %d .png", b"%d" + b"m" * 240 + b".png"]
KEPT = "model.filters=[3]", "model.head.dense=[]", "training.epochs=1", "training.tensorboard.images_every=1"
FIGURES = "figures=[basics,mistakes,confusion_examples,unit_statistics,projector,grad_cam]"


class Tags(HTMLParser):
    """The elements of a page, the names of their attributes, and where they lead."""

    def __init__(self, page: str):
        super().__init__()
        self.elements, self.attributes, self.addresses = Counter(), set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value for name, value in attrs if name in ("src", "href")]


def command(script, *words):
    return subprocess.run([sys.executable, str(ROOT / script), *words], cwd=ROOT, capture_output=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on photos of such names, evaluated and drawn; nothing that the scripts said was a warning."""
    folder = tmp_path_factory.mktemp("names")
    generator = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        for role, count in ((b"train", 12), (b"validation", 6), (b"test", 6)):
            below = os.path.join(os.fsencode(folder), b"photos", role, name)
            os.makedirs(below)
            for index in range(count):
                pixels = np.clip(generator.normal(30 * number + 20, 30, (24, 24, 3)), 0, 255).astype("uint8")
                with open(os.path.join(below, PHOTOS[index % len(PHOTOS)] % index), "wb") as file:
                    Image.fromarray(pixels).save(file, format="PNG")
    where = f"runs_dir={folder / 'runs'}"
    for words in (
        ("train.py", "data=folder", f"data.root={folder / 'photos'}", *KEPT, where),
        ("evaluate.py", where),
        ("visualize.py", FIGURES, where),
    ):
        done = command(*words)
        assert done.returncode == 0, done.stderr
        assert b"Warning" not in done.stderr and b"\x1b[31mred" not in done.stdout + done.stderr
    return (folder / "runs" / "folder" / "latest").resolve()


def test_the_run_knows_its_classes_by_their_very_names(run):
    from convlens.training import Run

    assert set(Run.open(run).labels) == {os.fsdecode(name) for name in CLASSES}


def test_no_name_becomes_an_element_or_an_address_of_the_page(run):
    page = Tags((run / "figures/index.html").read_text())
    assert not {name for name in page.attributes if name.startswith("on")}
    assert page.elements["script"] == 1 and len(page.addresses) > 5  # the page's own script
    for address in page.addresses:
        if re.fullmatch(r"#[\w-]+", address):
            continue
        if (run / "figures" / address.partition("#")[0]).resolve() in PAGES:
            continue
        assert re.fullmatch(r"\./[\w.@-]+\.(png|svg|npz|csv)", address), address
        assert (run / "figures" / address).is_file()


def test_no_name_becomes_an_element_of_a_drawing(run):
    drawings = sorted((run / "figures").glob("*.svg"))
    assert len(drawings) > 5
    for drawing in drawings:
        elements = list(ElementTree.parse(drawing).iter())
        assert not {element.tag.split("}")[1] for element in elements} & {"script", "foreignObject", "a"}
        links = {value for element in elements for key, value in element.attrib.items() if key.endswith("href")}
        assert all(link.startswith(("#", "data:image/png")) for link in links)


def test_no_name_becomes_a_file(run):
    names = [path.name for path in run.rglob("*")]
    assert len(names) > 30 and all(re.fullmatch(r"[\w.@-]+", name) for name in names), names


def test_tensorboard_gets_a_line_an_image_and_pictures_in_which_names_are_drawn(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (table,) = run.rglob("metadata.tsv")
    lines = table.read_text().split("\n")
    assert lines.pop() == ""
    assert len(lines) == 1 + 6 * len(CLASSES) and {line.count("\t") for line in lines} == {1}
    tags = EventAccumulator(str(run / "tensorboard/validation"), {"images": 0}).Reload().Tags()
    assert all(re.fullmatch(r"[\w ./-]+", tag) for kind in ("scalars", "tensors", "images") for tag in tags[kind])


def test_a_name_that_is_not_quite_right_is_answered_in_one_line(run):
    done = command("visualize.py", f"run={run}", "figures=grad_cam", "target=cafe")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1 and b"Unknown target 'cafe'" in done.stderr and done.stdout == b""
