"""What holds of streams for any number of images, size of batch, seed and place to begin."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from convlens.data import feeds, pipeline

pytestmark = pytest.mark.heavy

counts = st.integers(1, 40)
sizes = st.integers(1, 45)
seeds = st.integers(0, 2**31 - 1)
few = settings(max_examples=25, deadline=None)  # each builds streams of its own


def feed_of(count):
    """Images of one pixel each, whose value is their index."""
    indices = np.arange(count)
    return feeds.MemoryFeed(indices.astype("uint8").reshape(-1, 1, 1, 1), (indices % 3).astype("int32"))


def training(feed, count, batch_size, seed, epochs, start=(0, 0)):
    steps = max(1, count // batch_size)
    stream = pipeline.training(feed, batch_size, seed, steps, epochs, 3, None, start)
    return steps, [(images[:, 0, 0, 0].tolist(), labels) for images, labels in stream.as_numpy_iterator()]


@few
@given(count=counts, batch_size=sizes, seed=seeds, epochs=st.integers(1, 3))
def test_an_epoch_sees_no_image_twice_and_leaves_out_less_than_a_batch(count, batch_size, seed, epochs):
    steps, batches = training(feed_of(count), count, batch_size, seed, epochs)
    assert len(batches) == epochs * steps
    for epoch in range(epochs):
        seen = [image for images, _ in batches[epoch * steps : (epoch + 1) * steps] for image in images]
        assert len(set(seen)) == len(seen) <= count
        assert count - len(seen) < batch_size
    for images, labels in batches:
        assert labels.argmax(1).tolist() == [image % 3 for image in images]
        assert len(images) == min(batch_size, count)


@few
@given(count=counts, batch_size=sizes, seed=seeds, epochs=st.integers(1, 3), data=st.data())
def test_a_stream_begun_anywhere_is_the_rest_of_the_whole_one(count, batch_size, seed, epochs, data):
    feed = feed_of(count)
    steps, whole = training(feed, count, batch_size, seed, epochs)
    place = data.draw(st.integers(0, epochs * steps - 1))
    _, rest = training(feed, count, batch_size, seed, epochs, divmod(place, steps))
    assert [images for images, _ in rest] == [images for images, _ in whole[place:]]


@few
@given(count=counts, batch_size=sizes, data=st.data())
def test_evaluation_gives_what_is_chosen_once_and_in_order(count, batch_size, data):
    chosen = data.draw(st.none() | st.lists(st.integers(0, count - 1), min_size=1, unique=True).map(sorted))
    size = count if chosen is None else len(chosen)
    stream = pipeline.evaluation(feed_of(count), batch_size, None if chosen is None else np.array(chosen), size)
    batches = list(stream.as_numpy_iterator())
    assert int(stream.cardinality()) == len(batches)
    assert [image for images, _ in batches for image in images[:, 0, 0, 0]] == (chosen or list(range(count)))
    assert all(len(images) == batch_size for images, _ in batches[:-1])
