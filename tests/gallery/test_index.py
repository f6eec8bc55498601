"""A picture's place on the page follows from its name."""

import pytest

from convlens.gallery.index import entry, write_page


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
