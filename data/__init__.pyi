from .base import (
    ImageFormat as ImageFormat,
    Source as Source,
    Split as Split,
)
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
from .sources.folder_split import (
    FolderSplit as FolderSplit,
    Photos as Photos,
)
from .sources.opening import (
    check_address as check_address,
)
from .sources.tfds_names import (
    check_name as check_name,
)
from .splits import (
    carve_missing as carve_missing,
)

__all__ = [
    "DataInfo",
    "Dataset",
    "FolderSplit",
    "ImageFormat",
    "Photos",
    "Source",
    "Split",
    "carve_missing",
    "check_address",
    "check_name",
    "check_root",
    "fit_image",
    "open_dataset",
    "read_image",
]
