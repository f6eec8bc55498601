"""Every source, split and feed does what `data.base` says, and what says the same can be learned from."""

import ast
import inspect
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.data import Dataset, base, images, open_dataset
from convlens.data.splits import carve_missing

PACKAGE = Path(base.__file__).parent


@pytest.fixture(params=["folder", "tfds"])
def opened(request, photos, tfds_dir, nothing_kept):
    """Opens a dataset of either source."""

    def open_it(cache):
        where = {"source": "tfds", "name": "tiny_shapes", "data_dir": str(tfds_dir)}
        if request.param == "folder":
            where = {"source": "folder", "root": str(photos({"cat": 30, "dog": 30}))}
        return open_dataset(Data(cache=cache, **where), progress=False)

    return open_it


def assert_keeps(thing, protocol):
    """Whether a thing has all that the protocol has, and its methods take the same arguments."""
    assert isinstance(thing, protocol)
    for owner in protocol.__mro__:
        if getattr(owner, "_is_protocol", False):
            for name, member in vars(owner).items():
                if inspect.isfunction(member) and not name.startswith("_"):
                    wanted = list(inspect.signature(member).parameters)[1:]
                    assert list(inspect.signature(getattr(thing, name)).parameters) == wanted, name


def test_both_sources_and_their_splits_keep_the_contract(opened):
    source = opened("none")._source
    assert_keeps(source, base.Source)
    assert list(source.splits) == list(source.inspections) == list(base.ROLES)
    for role, split in source.splits.items():
        assert_keeps(split, base.Split)
        assert len(split) == len(split.names) == len(split.labels) == len(source.inspections[role])
        assert split.labels.dtype == np.int32 and type(split.streams) is bool
    assert len({name for split in source.splits.values() for name in split.names}) == sum(
        map(len, source.splits.values())
    )


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_every_feed_keeps_the_contract(opened, cache):
    data = opened(cache)
    feed = data._feed("validation")
    assert_keeps(feed, base.Feed)
    assert isinstance(feed, base.CachedFeed) == (cache != "none")
    if cache != "none":
        assert_keeps(feed, base.CachedFeed)
    assert feed.count == data.info.sizes["validation"]
    for element in feed.epoch(None, 4):
        pixels, labels = feed.fetch(element)
        expected, expected_labels, _ = data.examples("validation", feed.indices(element).numpy())
        np.testing.assert_array_equal(pixels, expected)
        np.testing.assert_array_equal(labels, expected_labels)


def test_a_split_decodes_every_image_once_and_reports_how_far_it_is(opened):
    data = opened("none")
    split, image_format = data._source.splits["train"], base.ImageFormat((8, 8, 1), "stretch")
    taken, reported = {}, []
    split.decode_all(
        lambda index, encoded, pixels: taken.update({index: (images.content_of(encoded), pixels)}),
        image_format,
        lambda done, total=None, /: reported.append((done, total)),
    )
    assert sorted(taken) == list(range(len(split)))
    assert [taken[index][0] for index in range(len(split))] == [
        inspection.content for inspection in data._source.inspections["train"]
    ]
    for index, pixels in zip((3, 7), split.each([3, 7], image_format), strict=True):
        np.testing.assert_array_equal(taken[index][1], pixels)
    assert reported == sorted(reported) and reported[-1] == (len(split), len(split))


def test_the_order_of_an_epoch_is_drawn_from_a_buffer_only_where_a_split_streams(opened):
    data = opened("none")
    streams = data._source.splits["train"].streams
    assert data.order == (f"{data._config.shuffle_buffer:,} images" if streams else "all images")
    data = opened("memory")
    data.load()
    assert data.order == "all images"


def test_no_module_tells_types_apart_by_their_attributes():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "hasattr":
                assert ast.unparse(node.args[0]) == "os", f"{path}: {ast.unparse(node)}"


class Listed:
    """Photos that a list names, each with its class: a split of a source that is no part of convlens."""

    streams = False

    def __init__(self, paths, labels):
        self.names, self.labels = [str(path) for path in paths], np.asarray(labels, np.int32)

    def __len__(self):
        return len(self.names)

    def take(self, indices):
        return Listed([self.names[index] for index in indices], self.labels[indices])

    def each(self, indices, image_format):
        *size, channels = image_format.shape
        return (images.read_image(self.names[index], tuple(size), channels, image_format.resize) for index in indices)

    def decode_all(self, take, image_format, progress):
        for index, pixels in enumerate(self.each(range(len(self)), image_format)):
            take(index, images.stored_image(self.names[index]), pixels)
            progress(index + 1, len(self))

    def check(self, image_format, progress):
        for _ in self.each(range(len(self)), image_format):
            pass

    def feed(self, decoder, shuffle_buffer):
        from convlens.data.feeds import FileFeed

        return FileFeed(self.names, decoder)

    def masks(self, indices):
        raise UserError("A list has no masks.")


class ListSource:
    """The source of such splits."""

    name, notes, skipped = "a list", (), ()

    def __init__(self, listed):
        self.classes = tuple(sorted({label for _, label in listed}))
        train = Listed([path for path, _ in listed], [self.classes.index(label) for _, label in listed])
        self.splits, self.notes = carve_missing({"train": train}, train.names, 0.1, self.classes, self.name)
        self.inspections = {
            role: [images.inspect_image(name) for name in split.names] for role, split in self.splits.items()
        }

    @cached_property
    def fingerprint(self):
        return "".join(inspection.content for role in base.ROLES for inspection in self.inspections[role])

    def shape(self, image_size, channels):
        first = self.inspections["train"][0]
        return (*(image_size or first[:2]), channels or first.channels)

    def part_names(self, shape):
        return ()

    def fault(self):
        return ""


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_a_source_of_ones_own_is_learned_from_as_any_other(photos, nothing_kept, cache):
    root = photos({"cat": 20, "dog": 20})
    source = ListSource([(path, path.parent.name) for path in sorted(root.glob("*/*.png"))])
    assert_keeps(source, base.Source)
    assert_keeps(source.splits["train"], base.Split)
    data = Dataset(source, Data(cache=cache, image_size=[8, 8]), progress=False)
    assert data.info.classes == ("cat", "dog") and data.info.sizes == {"train": 32, "validation": 4, "test": 4}
    batches = list(data.training(8, seed=0, epochs=1).as_numpy_iterator())
    pixels, labels, names = data.examples("train", range(32))
    label_of = {image.tobytes(): label for image, label in zip(pixels, labels, strict=True)}
    seen = [(image.tobytes(), row.argmax()) for batch in batches for image, row in zip(*batch, strict=True)]
    assert dict(seen) == label_of and len(seen) == 32
    assert [Path(name).parent.name for name in names] == [data.info.classes[label] for label in labels]
