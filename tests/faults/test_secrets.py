"""What a person takes from the environment stays there: it is in no file of a run."""

import io
import json
import zipfile

import numpy as np
from PIL import Image

CANARY = "canary-7f3a91"


def test_a_value_from_the_environment_is_in_no_file_of_a_run(tmp_path, run_script):
    photos = tmp_path / CANARY
    generator = np.random.default_rng(0)
    for folder in (photos / split / name for split in ("train", "test") for name in ("day", "night")):
        folder.mkdir(parents=True)
        for number in range(12):
            Image.fromarray(generator.integers(0, 256, (16, 16, 3), "uint8")).save(folder / f"{number}.png")
    (photos / "train" / "day" / "0.png").write_bytes(b"")  # is named in the run: with what was typed
    environment = {"PHOTOS": str(photos), "TF_CPP_MIN_LOG_LEVEL": "3", "XDG_CACHE_HOME": str(tmp_path / "c")}
    small = ["model.filters=[4]", "training.epochs=1", "training.batch_size=8", f"runs_dir={tmp_path / 'runs'}"]
    drawn = ["data.root=${oc.env:PHOTOS}", "figures=all", "images=8", "max_units=2"]
    for words in (
        ["train.py", "data=folder", "data.root=${oc.env:PHOTOS}", "data.on_error=skip", *small],
        ["evaluate.py", f"runs_dir={tmp_path / 'runs'}", "data.root=${oc.env:PHOTOS}"],
        ["visualize.py", f"runs_dir={tmp_path / 'runs'}", *drawn],
    ):
        done = run_script(words, tmp_path, **environment)
        assert done.returncode == 0, done.stderr

    files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert {"config.yaml", "run.json", "model.keras", "train.log", "index.html"} <= {path.name for path in files}
    assert any(path.parts[-3] == "checkpoints" for path in files) and any("tfevents" in path.name for path in files)
    leaking = [path for path in files if any(CANARY.encode() in content for content in contents(path))]
    assert leaking == []
    (run,) = (tmp_path / "runs" / "folder").glob("2*")
    assert "0.png" in json.loads((run / "run.json").read_text())["dataset"]["skipped"][0]


def contents(path):
    """The bytes of a file and, of an archive, of each of its members."""
    yield path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            yield from (archive.read(name) for name in archive.namelist())
