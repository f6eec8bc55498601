"""Is there a TFDS dataset of this name? Answered without TensorFlow, which takes seconds to import."""

import re
from pathlib import Path

from convlens.configs import Data
from convlens.core.errors import UserError, nearest
from convlens.core.quiet import quietly


def check_name(config: Data) -> None:
    """Raises `UserError` for a `data.name` that is neither in TFDS' list nor prepared in `data.data_dir`."""
    with quietly():
        import tensorflow_datasets as tfds

    given = re.split("[/:]", config.name)[0]
    data_dir = Path(config.data_dir or tfds.core.constants.DATA_DIR).expanduser()
    prepared = [entry.name for entry in data_dir.iterdir()] if data_dir.is_dir() else []
    # Before a colon stands a namespace, or a version follows; what TFDS makes of a namespace is left to it.
    if "/" not in config.name and re.match(r"\w+:[a-z]", config.name):
        return
    known = tfds.list_builders(with_community_datasets=False)
    if given not in known + prepared and tfds.core.naming.camelcase_to_snakecase(given) not in known:
        raise UserError(unknown_name(config.name, known, prepared))


def unknown_name(given: str, known: list[str], prepared: list[str]) -> str:
    guess = nearest(re.split("[/:]", given)[0], known + prepared)
    hint = f" Did you mean '{guess}'?" if guess else ""
    return (
        f"Unknown TFDS dataset in data.name '{given}'.{hint} TFDS knows {len(known)} of them: "
        "https://www.tensorflow.org/datasets/catalog"
    )
