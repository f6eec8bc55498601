"""What a model file may ask Keras for: built-in classes, their options, and the weights that follow from these.

A class that is missing here is refused by `keras_file.reading`. To add one, review what its constructor and its `build`
do with each option, list the options, and say which weights it creates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

Shape = tuple[int, ...]
Options = Mapping[str, Any]
Rule = Callable[[Options, Shape], list[Shape]]  # options, input shape -> shapes in the order in which Keras saves them


@dataclass(frozen=True)
class Kind:
    """One class: the options that its configuration may set and the weights that it creates."""

    options: frozenset[str]
    weights: Rule | None = None


def _channels(options: Options, shape: Shape) -> int:
    return shape[1 if options.get("data_format") == "channels_first" else -1]


def _bias(options: Options, size: int) -> list[Shape]:
    return [(size,)] if options.get("use_bias", True) else []


def _dense(options: Options, shape: Shape) -> list[Shape]:
    return [(shape[-1], options["units"]), *_bias(options, options["units"])]


def _convolution(options: Options, shape: Shape) -> list[Shape]:
    filters = options["filters"]
    inputs = _channels(options, shape) // options.get("groups", 1)
    return [(*options["kernel_size"], inputs, filters), *_bias(options, filters)]


def _transposed(options: Options, shape: Shape) -> list[Shape]:
    filters = options["filters"]
    return [(*options["kernel_size"], filters, _channels(options, shape)), *_bias(options, filters)]


def _depthwise(options: Options, shape: Shape) -> list[Shape]:
    inputs, multiplier = _channels(options, shape), options["depth_multiplier"]
    return [(*options["kernel_size"], inputs, multiplier), *_bias(options, inputs * multiplier)]


def _separable(options: Options, shape: Shape) -> list[Shape]:
    inputs, multiplier, filters = _channels(options, shape), options["depth_multiplier"], options["filters"]
    depthwise, pointwise = (*options["kernel_size"], inputs, multiplier), (1, 1, inputs * multiplier, filters)
    return [depthwise, pointwise, *_bias(options, filters)]


def _scale_and_center(options: Options, shape: Shape) -> list[Shape]:
    return [shape] * (bool(options.get("scale", True)) + bool(options.get("center", True)))


def _batch_norm(options: Options, shape: Shape) -> list[Shape]:
    size = (shape[options.get("axis", -1)],)
    return [*_scale_and_center(options, size), size, size]


def _along(axes: int | list[int], shape: Shape) -> Shape:
    return tuple(shape[axis] for axis in ([axes] if isinstance(axes, int) else axes))


def _layer_norm(options: Options, shape: Shape) -> list[Shape]:
    size = _along(options.get("axis", -1), shape)
    return [size] if options.get("rms_scaling") else _scale_and_center(options, size)


def _group_norm(options: Options, shape: Shape) -> list[Shape]:
    return _scale_and_center(options, (shape[options.get("axis", -1)],))


def _rms_norm(options: Options, shape: Shape) -> list[Shape]:
    return [_along(options.get("axis", -1), shape)]


def _normalization(options: Options, shape: Shape) -> list[Shape]:
    axes = options.get("axis", -1)
    kept = sorted(axis % len(shape) for axis in ([axes] if isinstance(axes, int) else axes or []))
    size = _along(kept, shape)
    # Keras spreads statistics over the input's shape while it links the layers, before there are weights to fill them.
    if prod(size) > 100_000:
        raise ValueError(f"spreads its mean over {prod(size):,} values")
    return [size, size, ()] if options.get("mean") is None else []


def _prelu(options: Options, shape: Shape) -> list[Shape]:
    shared = options.get("shared_axes") or []
    return [tuple(1 if axis in shared else size for axis, size in enumerate(shape))[1:]]


def _layer_scale(options: Options, shape: Shape) -> list[Shape]:
    return [(options["projection_dim"],)]


def _kind(options: str, weights: Rule | None = None) -> Kind:
    return Kind(frozenset(f"name trainable dtype {options}".split()), weights)


def _trained(*names: str) -> str:
    return " ".join(f"{name}_{part}" for name in names for part in ("initializer", "regularizer", "constraint"))


_CONV = (
    f"kernel_size strides padding data_format dilation_rate activation use_bias activity_regularizer {_trained('bias')}"
)
_NORM = f"axis epsilon center scale {_trained('beta', 'gamma')}"
_POOL = "pool_size strides padding data_format"
_RANDOM = "seed data_format"
_MOVED = f"{_RANDOM} fill_mode fill_value interpolation"

LAYERS: dict[str, Kind] = {
    "Activation": _kind("activation"),
    "ActivityRegularization": _kind("l1 l2"),
    "Add": _kind(""),
    "AlphaDropout": _kind("rate seed noise_shape"),
    "Average": _kind(""),
    "AveragePooling2D": _kind(_POOL),
    "BatchNormalization": _kind(
        f"{_NORM} momentum moving_mean_initializer moving_variance_initializer synchronized renorm_momentum",
        _batch_norm,
    ),
    "CenterCrop": _kind("height width data_format"),
    "Concatenate": _kind("axis"),
    "Conv2D": _kind(f"filters groups {_CONV} {_trained('kernel')}", _convolution),
    "Conv2DTranspose": _kind(f"filters output_padding {_CONV} {_trained('kernel')}", _transposed),
    "Cropping2D": _kind("cropping data_format"),
    "Dense": _kind(f"units activation use_bias activity_regularizer {_trained('kernel', 'bias')}", _dense),
    "DepthwiseConv2D": _kind(f"depth_multiplier {_CONV} {_trained('depthwise')}", _depthwise),
    "Dropout": _kind("rate seed noise_shape"),
    "ELU": _kind("alpha"),
    "Flatten": _kind("data_format"),
    "GaussianDropout": _kind("rate seed"),
    "GaussianNoise": _kind("stddev seed"),
    "GlobalAveragePooling2D": _kind("data_format keepdims"),
    "GlobalMaxPooling2D": _kind("data_format keepdims"),
    "GroupNormalization": _kind(f"groups {_NORM}", _group_norm),
    "Identity": _kind(""),
    "InputLayer": _kind("batch_shape optional"),
    "LayerNormalization": _kind(f"{_NORM} rms_scaling", _layer_norm),
    "LeakyReLU": _kind("negative_slope"),
    "MaxPooling2D": _kind(_POOL),
    "Maximum": _kind(""),
    "Minimum": _kind(""),
    "Multiply": _kind(""),
    "Normalization": _kind("axis mean variance invert", _normalization),
    "PReLU": _kind(f"shared_axes {_trained('alpha')}", _prelu),
    "Permute": _kind("dims"),
    "RMSNormalization": _kind("axis epsilon", _rms_norm),
    "RandomBrightness": _kind(f"{_RANDOM} factor value_range"),
    "RandomContrast": _kind(f"{_RANDOM} factor value_range"),
    "RandomFlip": _kind(f"{_RANDOM} mode"),
    "RandomRotation": _kind(f"{_MOVED} factor"),
    "RandomTranslation": _kind(f"{_MOVED} height_factor width_factor"),
    "RandomZoom": _kind(f"{_MOVED} height_factor width_factor"),
    "ReLU": _kind("max_value negative_slope threshold"),
    "Rescaling": _kind("scale offset"),
    "Reshape": _kind("target_shape"),
    "Resizing": _kind(
        "height width interpolation crop_to_aspect_ratio pad_to_aspect_ratio fill_mode fill_value antialias data_format"
    ),
    "SeparableConv2D": _kind(
        f"filters depth_multiplier {_CONV} {_trained('depthwise', 'pointwise')}",
        _separable,
    ),
    "Softmax": _kind("axis"),
    "SpatialDropout2D": _kind("rate seed noise_shape data_format"),
    "Subtract": _kind(""),
    "UnitNormalization": _kind("axis"),
    "UpSampling2D": _kind("size data_format interpolation"),
    "ZeroPadding2D": _kind("padding data_format"),
}
INTERNAL_LAYERS = {("keras.src.applications.convnext", "LayerScale"): _kind("init_values projection_dim", _layer_scale)}
ACTIVATION_LAYERS = {"ELU", "LeakyReLU", "ReLU", "Softmax"}  # that may stand as another layer's activation

# Functions of keras.ops in a Functional graph; their options are numbers, axes and flags.
OPERATIONS = {
    "keras.src.ops.numpy": set(
        "Absolute Add Clip Concatenate Divide Exp ExpandDims Log Max Maximum Mean Min Minimum Multiply Negative Power "
        "Reshape Sqrt Square Squeeze Subtract Sum Transpose TrueDivide".split()
    ),
    "keras.src.ops.nn": set(
        "Elu Gelu HardSigmoid HardSilu LeakyRelu LogSoftmax Relu Relu6 Selu Sigmoid Silu Softmax Softplus "
        "Softsign".split()
    ),
}

MODELS = {
    ("keras.src.models.functional", "Functional"): "name trainable layers input_layers output_layers".split(),
    ("keras", "Sequential"): "name trainable dtype layers build_input_shape".split(),
}

INITIALIZERS = set(
    "Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal "
    "OrthogonalInitializer RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros".split()
)
REGULARIZERS = {"L1", "L1L2", "L2", "OrthogonalRegularizer"}
CONSTRAINTS = {"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}
ACTIVATIONS = set(
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear "
    "log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus "
    "sparsemax squareplus swish tanh tanh_shrink threshold".split()
)
# Dtype policies, with the dtype in which each keeps weights.
POLICIES = {
    "bfloat16": "bfloat16",
    "float16": "float16",
    "float32": "float32",
    "float64": "float64",
    "mixed_bfloat16": "float32",
    "mixed_float16": "float32",
}
INPUT_DTYPES = {"bfloat16", "float16", "float32", "float64", "int32", "int64", "uint8"}
