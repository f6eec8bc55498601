"""How well a network tells images of no class of its own: python -m benchmarks.familiarity runs/cars/latest PHOTOS

The energy score, by which figures say "none of these, perhaps", beside the largest softmax share: known are images of
the run's test split, strange those in PHOTOS, a folder with a folder a class or with images. The threshold is the run's
own, from its validation split. `auroc` is how often a known image scores above a strange one, `caught` the share of the
strange ones below the threshold, `false` that of the known ones.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from convlens.core.quiet import quietly

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def largest_share(logits: np.ndarray) -> np.ndarray:
    """The largest softmax share of each image, (n,), of logits (n, classes)."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares.max(axis=1) / shares.sum(axis=1)


def measured(run_folder: str, photos: str, count: int) -> dict[str, dict[str, float]]:
    """By score: auroc, caught and false, on at most `count` images of each kind."""
    from convlens import Run
    from convlens.gallery.image_inputs import KNOWN_IMAGES
    from convlens.interpret import Network, class_logits, energy_score, separation
    from convlens.interpret.familiarity import SHARE

    run = Run.open(run_folder)
    network = Network(run.model)
    known = {
        split: np.concatenate([class_logits(network, images) for images, _, _ in run.data.sample(split, 64, most)])
        for split, most in (("validation", KNOWN_IMAGES), ("test", count))
    }
    strange = class_logits(network, _read(photos, run, count))
    rows = {}
    for name, score in (("energy", energy_score), ("largest softmax share", largest_share)):
        threshold = np.quantile(score(known["validation"]), SHARE)
        rows[name] = {
            "auroc": separation(score(known["test"]), score(strange)),
            "caught": float((score(strange) < threshold).mean()),
            "false": float((score(known["test"]) < threshold).mean()),
        }
    return rows


def _read(photos: str, run: Any, count: int) -> np.ndarray:
    """At most so many of a folder's images, evenly spread, as the run's network takes them."""
    from convlens.data import fit_image, read_image

    files = sorted(path for path in Path(photos).rglob("*") if path.suffix.lower() in ENDINGS)
    if not files:
        raise SystemExit(f"{photos} holds no image; give a folder of photographs.")
    chosen = [files[index * len(files) // count] for index in range(count)] if len(files) > count else files
    height, width, channels = run.model.input_shape[1:]
    resize = run.config.data.resize
    return np.stack([fit_image(read_image(path), (height, width), channels, resize) for path in chosen])


def main(words: list[str] | None = None) -> None:
    """The command: a line a score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("photos")
    parser.add_argument("--images", type=int, default=1000)
    given = parser.parse_args(words)
    for name, row in measured(given.run, given.photos, given.images).items():
        print(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in row.items()))


if __name__ == "__main__":
    with quietly():  # warnings are no rows of a table
        main()
