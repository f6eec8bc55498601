from .build import (
    build_model as build_model,
)
from .convnet import (
    build_convnet as build_convnet,
)
from .inspection.convolutions import (
    ConvInfo as ConvInfo,
    conv_layers as conv_layers,
)
from .inspection.features import (
    FeatureExtractor as FeatureExtractor,
    feature_extractor as feature_extractor,
    feature_maps as feature_maps,
)
from .inspection.inside import (
    inside_cells as inside_cells,
)
from .inspection.inspection import (
    Inspection as Inspection,
)
from .keras_file.reading import (
    read_model as read_model,
)
from .resnet import (
    build_resnet as build_resnet,
)
from .shapes import (
    BlockShape as BlockShape,
    check_model as check_model,
)

__all__ = [
    "BlockShape",
    "ConvInfo",
    "FeatureExtractor",
    "Inspection",
    "build_convnet",
    "build_model",
    "build_resnet",
    "check_model",
    "conv_layers",
    "feature_extractor",
    "feature_maps",
    "inside_cells",
    "read_model",
]
