from .dataset import (
    Dataset as Dataset,
    open_dataset as open_dataset,
)
from .images import (
    fit_image as fit_image,
    read_image as read_image,
)
from .info import (
    DataInfo as DataInfo,
)
from .sources.folder import (
    check_root as check_root,
)
from .sources.tfds_names import (
    check_name as check_name,
)

__all__ = [
    "DataInfo",
    "Dataset",
    "check_name",
    "check_root",
    "fit_image",
    "open_dataset",
    "read_image",
]
