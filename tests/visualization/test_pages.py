"""Files that other programs open: the projector's, read by TensorBoard's own plugin, and the page of figures."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from PIL import Image

from convlens.interpret import Embedding
from convlens.visualization.index import Entry, write_index
from convlens.visualization.projector import write_projector

AWKWARD = ["tab\tand\nnewline", 'a "quote" \\ slash', "<b>&amp;</b>", "自動車", "\u2028\x0b", "", "#?%:.."]


def points(vectors, images, layer="features"):
    return Embedding(layer, vectors, images, None)


def served(folder, path, **query):
    """What TensorBoard answers for a log folder."""
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    application = ProjectorPlugin(TBContext(logdir=str(folder))).get_plugin_apps()[path]
    response = Client(application).get(path, query_string=query)
    assert response.status_code == 200, response.data
    return response


@pytest.mark.parametrize("shape", [(7, 9, 12, 3), (7, 300, 200, 1)])
def test_tensorboard_reads_what_is_written(tmp_path, shape):
    random = np.random.default_rng(0)
    vectors, images = random.normal(size=(7, 5)), random.integers(0, 256, shape).astype(np.uint8)
    paths = write_projector(tmp_path, points(vectors, images, AWKWARD[1]), {"label": AWKWARD, "index": range(7)})
    assert {path.name for path in paths} == {path.name for path in tmp_path.iterdir()}

    (info,) = served(tmp_path, "/info", run=".").json["embeddings"]
    assert info["tensorName"] == AWKWARD[1] and info["tensorShape"] == [7, 5]
    tensor = served(tmp_path, "/tensor", run=".", name=info["tensorName"]).data
    np.testing.assert_allclose(np.frombuffer(tensor, np.float32).reshape(7, 5), vectors, rtol=1e-5)
    lines = served(tmp_path, "/metadata", run=".", name=info["tensorName"]).data.decode().split("\n")
    assert lines[0] == "label\tindex" and lines[-1] == "" and len(lines) == 9
    assert [line.count("\t") for line in lines[:-1]] == [1] * 8
    assert lines[1] == "tab\\tand\\nnewline\t0" and lines[4].startswith("自動車")
    assert len("\n".join(lines).splitlines()) == 8  # whatever a reader breaks lines at

    side = info["sprite"]["singleImageDim"]
    assert side == [min(64, max(shape[1:3]))] * 2
    with Image.open(tmp_path / "sprite.png") as sprite:
        assert sprite.size == (3 * side[0], 3 * side[0])
        if shape[1] == 9:
            last = np.asarray(sprite)[2 * 12 :, :12]  # the seventh image, with a white bar above and below
            np.testing.assert_array_equal(last[1:10], images[6])
            assert (last[[0, 10, 11]] == 255).all()


def test_a_label_that_is_no_text_is_written_with_its_bytes_escaped(tmp_path):
    images = np.zeros((1, 4, 4, 3), np.uint8)
    write_projector(tmp_path / "new/folder", points(np.zeros((1, 2)), images), {"label": ["caf\udce9"], "index": [0]})
    assert b"caf\\udce9\t0\n" in (tmp_path / "new" / "folder" / "metadata.tsv").read_bytes()


def test_a_single_column_has_no_header(tmp_path):
    write_projector(tmp_path, points(np.eye(2), np.zeros((2, 4, 4, 1), np.uint8)), {"label": ["a", "b"]})
    assert (tmp_path / "metadata.tsv").read_text() == "a\nb\n"


def test_many_images_fit_into_one_sprite(tmp_path):
    many = points(np.zeros((20_000, 1)), np.zeros((20_000, 64, 64, 1), np.uint8))
    write_projector(tmp_path, many, {"n": range(20_000)})
    with Image.open(tmp_path / "sprite.png") as sprite:
        assert max(sprite.size) <= 8192
    assert "single_image_dim: 57" in (tmp_path / "projector_config.pbtxt").read_text()


def test_what_does_not_belong_together_is_refused(tmp_path):
    images = np.zeros((2, 4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="3 values of 'label' for 2 vectors"):
        write_projector(tmp_path, points(np.eye(2), images), {"label": "abc"})
    with pytest.raises(ValueError, match="2 images for 3 vectors"):
        write_projector(tmp_path, points(np.eye(3), images), {"label": "abc"})
    assert not list(tmp_path.iterdir())


class Page(HTMLParser):
    """The links, pictures, anchors and text of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.pictures, self.anchors, self.text, self.outside = [], [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors += [attributes["id"]] if "id" in attributes else []
        if tag == "a":
            self.links.append(attributes["href"])
        if tag == "img":
            assert attributes["loading"] == "lazy" and attributes["alt"]
            self.pictures.append(attributes["src"])
        if tag in ("script", "link", "iframe"):
            self.outside += [value for key, value in attributes.items() if key in ("src", "href")]

    def handle_data(self, text):
        self.text.append(text.strip())


@pytest.fixture
def folder(tmp_path):
    """A folder with a figure for each awkward name."""
    entries = []
    for number, name in enumerate(AWKWARD):
        file = f"figures {number} #?%:&'.png"
        (tmp_path / file).write_bytes(b"png")
        unit = number if number % 2 else None
        entries.append(Entry(file, "kernels", name or None, unit, note=name))
    (tmp_path / "figures 0 #?%:&'.npz").write_bytes(b"npz")
    return tmp_path, entries


def test_every_link_of_the_page_leads_somewhere_in_the_folder(folder):
    path, entries = folder
    page = Page(write_index(path, entries))
    assert not page.outside
    for link in page.links + page.pictures:
        if link.startswith("#"):
            assert link[1:] in page.anchors
        else:
            parts = urlparse(link)
            assert not parts.scheme and not parts.netloc
            assert (path / unquote(parts.path)).is_file(), link
    assert len(page.pictures) == len(AWKWARD)
    assert sum(link.endswith(".npz") for link in page.links) == 1 and not any(".svg" in link for link in page.links)


def test_names_are_shown_and_not_obeyed(folder):
    path, entries = folder
    page = Page(write_index(path, entries, title="<script>alert(1)</script>", facts=["a < b"]))
    assert {"<b>&amp;</b>", "自動車", "<script>alert(1)</script>"} <= set(page.text)
    assert any("a < b" in text for text in page.text)
    assert "<script>alert" not in (path / "index.html").read_text()


def test_the_page_is_ordered_by_layer_and_by_unit(tmp_path):
    entries = [Entry(f"{layer}{unit}.png", "patches", layer, unit) for layer in ("b", "a") for unit in (11, 2, None)]
    page = Page(write_index(tmp_path, [*entries, Entry("all.png", "architecture")]))
    assert [text for text in page.text if text in ("network", "a", "b")][-3:] == ["network", "b", "a"]
    assert page.pictures == [
        "./all.png",
        "./bNone.png",
        "./b2.png",
        "./b11.png",
        "./aNone.png",
        "./a2.png",
        "./a11.png",
    ]


def test_an_empty_folder_has_a_page_and_pictures_elsewhere_are_refused(tmp_path):
    assert "There are no figures." in write_index(tmp_path / "new", []).read_text()
    for file in ("../secret.png", "/etc/passwd.png"):
        with pytest.raises(ValueError, match="not in the folder"):
            write_index(tmp_path, [Entry(file, "kernels")])
