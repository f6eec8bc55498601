"""The range of values that a run was trained with is kept in it, and whatever opens the run uses it."""

import numpy as np
import pytest
from PIL import Image

import convlens
from convlens.configs import Visualize
from convlens.models import feature_maps
from convlens.training import Run


@pytest.mark.slow
def test_training_drawing_and_features_see_the_same_pixels(tmp_path):
    for number in range(40):
        folder = tmp_path / "scans" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(number).integers(500, 4096, (32, 32)).astype(np.uint16)
        Image.fromarray(values).save(folder / f"{number:02}.png")
    root, runs = tmp_path / "scans", tmp_path / "runs"
    words = ["data=folder", f"data.root={root}", "data.value_range=auto", "debug=fast", f"runs_dir={runs}"]
    run = Run.open(convlens.train([*words, "training.tensorboard.enabled=true"]).path)
    low, high = run.config.data.value_range
    assert 500 <= low < 510 and 4085 < high <= 4095

    # Opened anew, with other images: what a value means stays as it was.
    data = run.open_data()
    assert data.info.value_range == (low, high)
    pixels, _, (name,) = data.examples("test", [0])
    values = np.asarray(Image.open(root / name)).astype(np.float32)
    expected = np.clip((values - low) * 255 / (high - low), 0, 255)
    np.testing.assert_allclose(pixels[0, ..., 0], expected, atol=1 / 257)

    from convlens.gallery.inputs import FigureInputs

    drawn = FigureInputs(Visualize(image=[str(root / name), 0]), run, ["feature_maps"]).images
    np.testing.assert_array_equal(drawn[0], drawn[1])
    layer = "block1_conv1"
    from_file = feature_maps(run.model, [root / name], value_range=run.config.data.value_range)[layer]["filter"]
    np.testing.assert_allclose(from_file, feature_maps(run.model, pixels)[layer]["filter"], atol=1e-4)
