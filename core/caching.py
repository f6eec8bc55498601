"""The folder in which things that can be made again are kept between runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`convlens` in the user's cache folder, XDG_CACHE_HOME where that is set; it need not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "convlens"
