"""Which features of a TFDS dataset hold the image and its class."""

import numpy as np
import tensorflow_datasets as tfds

from convlens.core.errors import UserError


def image_and_label(builder: tfds.core.DatasetBuilder) -> tuple[str, str]:
    """The features that hold the image and its class: the supervised pair, or the first of each kind.

    Raises `UserError` where there are none, which a dataset's description tells before it is downloaded.
    """
    features = builder.info.features
    pair = builder.info.supervised_keys or ()
    keys = [key for key in pair if isinstance(key, str) and key in features] + list(features)
    images = [key for key in keys if isinstance(features[key], tfds.features.Image) and _is_plain(features[key])]
    labels = [key for key in keys if isinstance(features[key], tfds.features.ClassLabel)]
    if images and labels:
        return images[0], labels[0]
    held = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in features.items())
    missing = " and no ".join(
        name for name, matches in (("8- or 16-bit Image", images), ("ClassLabel", labels)) if not matches
    )
    raise UserError(
        f"{builder.info.full_name} has no {missing}: it has {held}. Give another data.name, or sort its images into a "
        "folder for each class and use data=folder data.root=<folder>."
    )


def check_features(builder: tfds.core.DatasetBuilder) -> None:
    """Raises `UserError` where a dataset that is not prepared yet could not be learned from."""
    if getattr(builder.info, "features", None):
        image_and_label(builder)


def _is_plain(image: tfds.features.Image) -> bool:
    return image.np_dtype in (np.uint8, np.uint16)
