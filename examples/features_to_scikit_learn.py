"""Features of a trained network for scikit-learn: python examples/features_to_scikit_learn.py RUN PHOTOS [LAYER]

RUN is the folder of a run; PHOTOS holds a folder of images for each class, which need not be the classes of the run.
A linear classifier learns the classes from the mean activation of each unit of LAYER, by default the last convolution.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from convlens import Run, conv_layers, feature_extractor


def features_of(run: Run, layer: str, files: list[Path]) -> np.ndarray:
    """The mean activation of each unit on each image: (images, units)."""
    # The stage "detect" is what comes out of the activation. Batches are streamed, so any number of files fits.
    extractor = feature_extractor(run.model, layers=[layer], stages=["detect"])
    return np.concatenate([batch[layer]["detect"].mean(axis=(1, 2)) for batch in extractor.stream(files)])


def main(run_folder: str, photos: str, layer: str | None = None) -> float:
    """Prints and returns the accuracy on a quarter of the photographs, which the classifier has not seen."""
    run = Run.open(run_folder)
    layer = layer or conv_layers(run.model)[-1].name
    files = sorted(path for path in Path(photos).glob("*/*") if path.is_file())
    classes = [path.parent.name for path in files]
    split = train_test_split(features_of(run, layer, files), classes, test_size=0.25, stratify=classes, random_state=0)
    known, unseen, known_classes, unseen_classes = split
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(known, known_classes)
    accuracy = classifier.score(unseen, unseen_classes)
    print(f"{accuracy:.1%} of {len(unseen)} photographs right, by {known.shape[1]} features of {layer}")
    return accuracy


if __name__ == "__main__":
    main(*sys.argv[1:])
