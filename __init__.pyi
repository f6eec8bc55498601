from .core.errors import (
    ModelError as ModelError,
    UserError as UserError,
)
from .core.version import (
    __version__ as __version__,
)
from .fit import (
    fit as fit,
)
from .gallery.draw import (
    draw as draw,
)
from .models.inspection.convolutions import (
    conv_layers as conv_layers,
)
from .models.inspection.features import (
    FeatureExtractor as FeatureExtractor,
    feature_extractor as feature_extractor,
    feature_maps as feature_maps,
)
from .models.keras_file.reading import (
    read_model as read_model,
)
from .train import (
    train as train,
)
from .training.run import (
    Run as Run,
)

__all__ = [
    "FeatureExtractor",
    "ModelError",
    "Run",
    "UserError",
    "__version__",
    "conv_layers",
    "draw",
    "feature_extractor",
    "feature_maps",
    "fit",
    "read_model",
    "train",
]
