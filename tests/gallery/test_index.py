"""A picture's place on the page follows from its name."""

from html.parser import HTMLParser

import pytest

from convlens.gallery.index import DOCS, TYPED, entry, explanation, write_page
from convlens.gallery.registry import figures
from tests.commands.documents import headings


@pytest.mark.parametrize(
    "file, figure, layer, unit, note",
    [
        ("kernels-block1_conv1.png", "kernels", "block1_conv1", None, ""),
        ("kernel-block2_conv1-unit31.png", "kernel", "block2_conv1", 31, ""),
        ("kernels_and_maps-backbone_conv1.png", "kernels_and_maps", "backbone_conv1", None, ""),
        ("feature_maps-block1_conv1-image2.png", "feature_maps", "block1_conv1", None, "image2"),
        ("pipeline-image0.png", "pipeline", None, None, "image0"),
        ("receptive_field.png", "receptive_field", None, None, ""),
        ("confusion_matrix_test.png", "confusion_matrix_test", None, None, ""),
        ("kernel-edge.png", "kernel", TYPED, None, "edge"),
        ("extraction-3x3-1a2b3c-car-stride_2.png", "extraction", TYPED, None, "3x3-1a2b3c-car-stride_2"),
        ("extraction-block2_conv1-unit3.png", "extraction", "block2_conv1", 3, ""),
    ],
)
def test_a_picture_is_placed_by_its_name(file, figure, layer, unit, note):
    picture = entry(file)
    assert (picture.figure, picture.layer, picture.unit, picture.note) == (figure, layer, unit, note)


def test_the_page_shows_every_picture_of_the_folder(tmp_path):
    names = ["kernels-block1_conv1.png", "mistakes_test.png"]
    for name in names:
        (tmp_path / name).touch()
    page = write_page(tmp_path, "Figures").read_text()
    assert all(name in page for name in names)


def test_pictures_of_the_other_commands_are_explained_too_and_those_of_strangers_are_not():
    assert explanation("mistakes_test") == explanation("mistakes")
    assert explanation("mistakes")[0] == figures()["mistakes"].reading
    for figure in ("confusion_matrix_test", "kernels"):
        page, _, heading = explanation(figure)[1].partition("#")
        assert heading in headings((DOCS / page).read_text())
    assert explanation("of a stranger") is None


class Cards(HTMLParser):
    """The pictures of a page in order, and under each its text and the links of its sentence."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.texts, self.links, self.parts = [], [], [], []
        self._in_sentence = self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img":
            self.pictures.append(attributes["src"])
            self.texts.append("")
        self._in_sentence = tag == "p" or (self._in_sentence and tag == "a")
        self._in_title = tag == "h2"
        if tag == "a" and self._in_sentence:
            self.links.append(attributes["href"])

    def handle_data(self, text):
        if self._in_title and text.strip():
            self.parts.append(text)
        if self.texts:
            self.texts[-1] += text


def test_each_figure_says_how_it_is_read_and_leads_to_its_page(tmp_path):
    for name in ("kernels-a.png", "mistakes_test.png", "grad_cam.png", "stranger.png"):
        (tmp_path / name).touch()
    cards = Cards(write_page(tmp_path, "Figures").read_text())
    for picture, text in zip(cards.pictures, cards.texts, strict=True):
        known = explanation(entry(picture.removeprefix("./")).figure)
        assert known is None or (known[0] in text and f"docs/{known[1].partition('#')[0]}" in text)
    assert len(cards.links) == 3
    for link in cards.links:
        path, _, anchor = link.partition("#")
        assert anchor in headings((tmp_path / path).read_text())


def test_where_the_documents_are_not_at_hand_the_page_names_them_without_a_link(tmp_path, monkeypatch):
    monkeypatch.setattr("convlens.gallery.index.DOCS", tmp_path / "nowhere")
    (tmp_path / "kernels-a.png").touch()
    cards = Cards(write_page(tmp_path, "Figures").read_text())
    assert not cards.links and "docs/reading-the-pictures.md" in cards.texts[0]


def test_layers_stand_in_the_networks_order_and_figures_in_the_galleries(tmp_path):
    layers = ["stem", "block2", "block10", "a_head"]
    names = [f"{figure}-{layer}.png" for layer in sorted([*layers, "zebra"]) for figure in ("relu-", "kernels")]
    for name in (*(name.replace("--", "-") for name in names), "kernel-edge.png", "architecture.png"):
        (tmp_path / name).touch()
    cards = Cards(write_page(tmp_path, "Figures", layers).read_text())
    assert cards.parts == ["network", *layers, TYPED, "zebra"]
    assert cards.pictures[1:3] == ["./kernels-stem.png", "./relu-stem.png"]
