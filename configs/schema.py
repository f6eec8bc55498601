"""What a configuration may say: every key, its type and its range.

The YAML files beside this module give values; these classes decide which values make sense. They import
neither Keras nor TensorFlow, so that a mistake is found before anything heavy is loaded.

`--help` prints the comment behind each key, and of the comment lines below one those of the form `#   choice: meaning`.
"""

import os
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _as_pair(value: Any) -> Any:
    return [value, value] if isinstance(value, int) and not isinstance(value, bool) else value


def _as_text(value: Any) -> Any:
    """Turns a number into text: YAML reads a class or a dataset called 64 as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _in_home(path: str) -> str:
    """A path in which `~` or `~name` is replaced by the home folder; shells do not replace it after `key=`."""
    return os.path.expanduser(path) if path.startswith("~") and not os.path.exists(path) else path


def _whole_number(value: Any) -> Any:
    """Refuses true and 1.0, which Python considers equal to 1, where a whole number is a choice."""
    return value if type(value) is int else str(value).lower()


def _ascending(values: list[float]) -> list[float]:
    if len(values) != 2 or values[0] >= values[1]:
        given = ",".join(f"{value:g}" for value in values)
        raise ValueError(
            f"data.value_range={given} is not a range; expected two numbers, the smaller first, such as 0,4095"
        )
    return values


Text = Annotated[str, BeforeValidator(_as_text)]
PathText = Annotated[str, BeforeValidator(_as_text), AfterValidator(_in_home)]  # a file or a folder
LARGEST = 2**31 - 1  # of whole numbers; Keras and TensorFlow count in 32 bits in places
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Size = Annotated[int, Field(ge=1, le=16384)]
# Larger ones, and smaller ones, are infinite or zero in the 32 bits in which networks compute.
NonNegative = Annotated[float, Field(ge=0, le=3e38)]
Positive = Annotated[float, Field(gt=0, ge=1e-30, le=3e38)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
ValueRange = Annotated[list[float], AfterValidator(_ascending)]
Unit = Annotated[int, Field(ge=0, le=LARGEST)]
Photo = Annotated[str, AfterValidator(_in_home)] | int
Texts = Annotated[list[Text], Field(min_length=1), BeforeValidator(_as_list)]
Photos = Annotated[list[Photo], Field(min_length=1), BeforeValidator(_as_list)]
Units = Annotated[list[Unit], Field(min_length=1), BeforeValidator(_as_list)]
Counts = Annotated[list[Count], BeforeValidator(_as_list)]
Sizes = Annotated[list[Size], BeforeValidator(_as_list)]
Unsaved = Annotated[bool | None, Field(exclude=True)]
Channels = Annotated[Literal[1, 3], BeforeValidator(_whole_number)]
Pair = Annotated[list[Size], Field(min_length=2, max_length=2), BeforeValidator(_as_pair)]


class Section(BaseModel):
    """A group of keys. Unknown keys, wrong types, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())
    _withheld: dict[tuple[str, ...], Any] = PrivateAttr(default_factory=dict)
    _typed: tuple[str, ...] = PrivateAttr(default=())
    _written: tuple[str, ...] | None = PrivateAttr(default=None)  # None: what Python gave the classes below

    def __eq__(self, other: object) -> bool:
        """Equal by what is configured and would be saved, wherever it was written."""
        return type(self) is type(other) and self.model_dump() == other.model_dump()

    @property
    def typed(self) -> tuple[str, ...]:
        """The keys and groups that the command line named."""
        return self._typed

    def remember(self, typed: tuple[str, ...], written: tuple[str, ...] = ()) -> None:
        """Record which keys were typed: only these, not defaults, can contradict a run that is resumed.

        `written`: keys and groups that a person wrote, typed or in a file that they named: only others may be chosen
        for the data.
        """
        self._typed, self._written = typed, written

    def wrote(self, key: str) -> bool:
        """Whether a person gave this key its value: on the command line, in a file of their own, or in Python."""
        if self._written is not None:
            return any(f"{key}.".startswith(f"{name}.") or name.startswith(f"{key}.") for name in self._written)
        first, _, rest = key.partition(".")
        inner = getattr(self, first)
        return first in self.model_fields_set and (not isinstance(inner, Section) or inner.wrote(rest))

    def withhold(self, written: dict[tuple[str, ...], Any]) -> None:
        """Mark values that come from environment variables: {path of the key: what to save instead}."""
        self._withheld.update(written)

    def document(self) -> dict[str, Any]:
        """All keys and values, ready to be saved; values of environment variables are not written down."""
        values = self.model_dump()
        for path, written in self._withheld.items():
            group = values
            for part in path[:-1]:
                group = group[part]
            if isinstance(group[path[-1]], str | list):
                group[path[-1]] = written
        return values


def section_of(annotation: Any) -> type[Section] | None:
    """The schema class behind a field's annotation, or None for a plain value."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


class Augment(Section):
    """Random changes made to training images only; they never become part of the saved model.

    Sizes are shares of the image side unless the comment says otherwise. Zero or false turns a change off.
    """

    flip: bool | Literal["alternate"] = False  # left-right; true: at random; alternate: each image in every other epoch
    vertical_flip: bool = False  # upside down, at random
    crop: Annotated[int, Field(ge=0, le=256)] = 0  # pixels of padding before a random crop back to size
    translate: Fraction = 0.0  # shifted by up to this share, any way
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0  # degrees, either way
    zoom: Fraction = 0.0  # larger or smaller by up to this share
    brightness: Share = 0.0  # brighter or darker by up to this share of the range
    contrast: Share = 0.0  # higher or lower by up to this share
    saturation: Share = 0.0  # of colours: higher or lower by up to this share
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # turned by up to this share of the colour circle
    rand_augment: Annotated[int, Field(ge=0, le=10)] = 0  # random operations per image
    rand_magnitude: Share = 0.5  # how strong those operations are
    erase: Share = 0.0  # probability that a rectangle is erased
    mixup: NonNegative = 0.0  # alpha of the Beta distribution
    cutmix: Share = 0.0  # alpha of the Beta distribution; Keras takes none above 1


class Splits(Section):
    """Which part of the dataset is used for what, as TFDS split expressions; null: found by the usual names."""

    train: Text | None = None  # such as 'train[:80%]'; for a folder of photos, the name of a folder
    validation: Text | None = None  # chooses the best epoch
    test: Text | None = None  # evaluated once, at the end


# The keys of `Data` by which each source finds its images. Those of another source are refused, not ignored.
ADDRESSES = {
    "rendered_cars": ("name", "data_dir", "manual_dir"),
    "tfds": ("name", "data_dir", "manual_dir"),
    "folder": ("root",),
    "arrays": (),  # a program gives them
}
ADDRESS_KEYS = tuple(dict.fromkeys(key for keys in ADDRESSES.values() for key in keys))


class Data(Section):
    """Where images come from and what is done to them before the model sees them."""

    source: Literal["rendered_cars", "tfds", "folder", "arrays"] = (
        "rendered_cars"  # where images come from; data= chooses it
    )
    #   rendered_cars: vehicles that are rendered on this machine
    #   tfds: TensorFlow Datasets, by data.name
    #   folder: a folder for each class, in data.root
    #   arrays: those that a program gave to convlens.fit
    name: Text | None = None  # for tfds "name", "name/config" or "name/config:version"; for rendered_cars 64, 128, ...
    root: PathText | None = None  # a folder of images, with data=folder
    data_dir: PathText | None = None  # where TFDS keeps prepared datasets; null: TFDS' own default
    manual_dir: PathText | None = None  # files downloaded by hand, for TFDS datasets that ask for them
    # Of this command alone, and never saved: a file must not be able to ask for it.
    prepare: Unsaved = None  # download or render missing data; null: only a new run does
    splits: Splits = Splits()
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1  # taken from train if there is no validation split
    classes: Texts | None = None  # keep only these classes, in this order; null: all
    train_only: Texts | None = None  # classes that other splits may lack: learned, never evaluated; null: none
    image_size: Pair | None = None  # [height, width] or one number; null: the dataset's own
    channels: Channels | None = None  # 1: grey, 3: colour; null: the dataset's own
    resize: Literal["crop", "pad", "stretch"] = "crop"  # how an image of a different shape is made to fit
    #   crop: only its middle part
    #   pad: the whole image, with black borders
    #   stretch: the whole image, with its proportions changed
    value_range: ValueRange | Literal["auto"] | None = None  # values in files that become 0 and 255; null: all of them
    #   auto: the smallest and the largest value of the training images
    on_error: Literal["fail", "skip"] = "fail"  # what to do with an image that cannot be used
    #   fail: stop before training with an error that names it
    #   skip: leave it out; at most one in ten
    cache: Literal["auto", "device", "memory", "disk", "none"] = "auto"  # where decoded images are kept
    #   auto: in the fastest place where they fit
    #   device: on the accelerator, with JAX
    #   memory: in the machine's memory
    #   disk: in a file, which later runs use too
    #   none: nowhere; images are decoded again in each epoch
    shuffle_buffer: Count = 10000  # number of images that are shuffled at a time when a dataset is streamed
    augment: Augment = Augment()

    @property
    def address(self) -> tuple[str, ...]:
        """The keys by which the source finds its images."""
        return ADDRESSES[self.source]

    @model_validator(mode="after")
    def _source_has_its_address(self):
        if self.source == "tfds" and not self.name:
            raise ValueError("data=tfds needs a dataset name; give data.name=cifar10, for instance")
        if self.source == "folder" and not self.root:
            raise ValueError("data=folder needs a folder of images; give data.root=path/to/photos")
        if self.classes is not None and len(set(self.classes)) < 2:
            raise ValueError("data.classes needs at least two different class names")
        return self

    @property
    def tfds_name(self) -> str:
        """`name`, which data=tfds always has."""
        if self.name is None:
            raise ValueError(f"data={self.source} has no dataset name")
        return self.name

    @property
    def image_root(self) -> str:
        """`root`, which data=folder always has."""
        if self.root is None:
            raise ValueError(f"data={self.source} has no folder of images")
        return self.root


class Head(Section):
    """The dense layers that turn the base's last feature maps into logits."""

    pooling: Literal["flatten", "average"] = "flatten"  # how the last feature maps become one vector
    #   flatten: every value, in order
    #   average: the mean of each map
    dense: Counts = []  # units of each dense layer before the logits
    dropout: Fraction = 0.0  # share of the head's units set to zero in each training step


class Model(Section):
    """A base of blocks and a head. A single value applies to every block; a list gives one value per block."""

    family: Literal["convnet", "resnet", "keras"] = "convnet"  # what a block is made of
    #   convnet: convolutions one after another
    #   resnet: residual units, whose result is added to their input
    #   keras: no blocks, but the layers in the file of model.path
    path: PathText | None = None  # keras: a .keras file, or a run, whose layers are trained
    weights: Literal["fresh", "file"] = "fresh"  # keras: with which weights they begin
    #   fresh: new ones; layers that do not learn keep the file's
    #   file: those in the file
    replace_head: bool = False  # keras: a last dense layer for other classes is made anew
    filters: Annotated[Counts, Field(min_length=1)] = [32, 64, 128]  # kernels of each block
    kernel_size: Sizes = [3]  # pixels a side
    convolutions: Counts = [1]  # in a block; residual units in a resnet
    stride: Sizes = [1]  # of a block's first convolution
    padding: Annotated[list[Literal["same", "valid"]], BeforeValidator(_as_list)] = ["same"]  # of convolutions
    #   same: zeros around the image, so that maps keep their size
    #   valid: no padding; maps lose a border
    dilation: Sizes = [1]  # distance between neighbouring weights of a kernel, in pixels
    pooling: Annotated[list[Literal["max", "average", "none"]], BeforeValidator(_as_list)] = ["max"]  # ends a block
    #   max: the largest value of a window
    #   average: the mean of a window
    #   none: no pooling
    pool_size: Sizes = [2]  # pixels a side of that window
    batch_norm: bool = False  # normalize each map between a convolution and its ReLU
    batch_norm_momentum: Fraction | None = None  # of its running averages; null: chosen by the number of steps
    dropout: Annotated[list[Fraction], BeforeValidator(_as_list)] = [0.0]  # after a block
    weight_decay: NonNegative = 0.0  # L2 penalty on kernels, added to the loss
    initializer: Text = "he_normal"  # of kernels before training: the name of a Keras initializer
    first_kernel_size: Size | None = None  # of the first convolution, whose kernels are drawn; null: kernel_size
    # Before training; with small initial weights, such as 0.01, what the kernels show later was learned.
    first_stddev: Positive | None = None  # standard deviation of the first kernels at the start; null: as initializer
    whiten: bool = False  # begin with a fixed convolution that decorrelates neighbouring pixels and colours
    head: Head = Head()

    @model_validator(mode="after")
    def _file_goes_with_its_family(self):
        if self.family == "keras" and self.path is None:
            raise ValueError("model=keras needs a file with a network; give model.path=net.keras")
        if self.family != "keras" and self.path is not None:
            raise ValueError(f"model.path={self.path} is read with model=keras; add it, or leave model.path out")
        return self

    @property
    def network_file(self) -> str:
        """`path`, which model=keras always has."""
        if self.path is None:
            raise ValueError(f"model={self.family} has no file with a network")
        return self.path

    @model_validator(mode="after")
    def _one_value_a_block(self):
        blocks = len(self.filters)
        for name in ("kernel_size", "convolutions", "stride", "padding", "dilation", "pooling", "pool_size", "dropout"):
            values = getattr(self, name)
            if len(values) not in (1, blocks):
                raise ValueError(
                    f"model.{name} has {len(values)} values but model.filters makes {blocks} blocks; "
                    f"give one value, or {blocks}"
                )
            if len(values) == 1:
                object.__setattr__(self, name, values * blocks)
        for block, (stride, dilation) in enumerate(zip(self.stride, self.dilation, strict=True), start=1):
            if stride > 1 and dilation > 1:
                raise ValueError(f"model: block {block} has stride {stride} and dilation {dilation}; one must be 1")
        return self


OptimizerName = Literal[
    "adam", "adamw", "sgd", "muon", "rmsprop", "lion", "lamb", "nadam", "adagrad", "adadelta", "adamax", "adafactor"
]


class Optimizer(Section):
    """How weights follow their gradients."""

    name: OptimizerName = "adamw"  # muon: Muon for kernels, AdamW for the rest; choose its learning rate as for adamw
    learning_rate: Positive = 1e-3  # the highest rate of the schedule
    weight_decay: NonNegative | None = None  # decoupled; null: the optimizer's own default
    momentum: Fraction = 0.9  # of sgd and rmsprop
    nesterov: bool = True  # of sgd
    clip_norm: Positive | None = None  # largest norm of all gradients together
    clip_value: Positive | None = None  # largest value of any gradient
    ema: Fraction = 0.0  # momentum of the exponential moving average of the weights; 0: off
    options: dict[str, Any] = {}  # other arguments of the Keras optimizer


class Schedule(Section):
    """How the learning rate changes; times are in epochs."""

    name: Literal["constant", "cosine", "step", "exponential", "one_cycle", "plateau"] = "cosine"  # its shape
    #   constant: always the same
    #   cosine: falls along half a cosine to the last epoch
    #   step: falls at each of step_epochs
    #   exponential: is multiplied by factor in each epoch, gradually
    #   one_cycle: rises for 30% of the epochs, or warmup_epochs, then falls to the last epoch
    #   plateau: falls when training.monitor does not improve
    warmup_epochs: NonNegative = 0.0  # at the start, in which the rate rises from zero
    final_share: Share = 0.0  # cosine, one_cycle: the last rate as a share of the highest
    step_epochs: list[Positive] = []  # step: when the rate falls
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1  # the rate is multiplied by it; exponential: in each epoch
    patience: Count = 3  # plateau: epochs without improvement


class EarlyStopping(Section):
    patience: Count | None = None  # epochs without improvement; null: never stop early
    min_delta: NonNegative = 0.0  # what counts as an improvement


class Checkpoint(Section):
    """When the state of training is saved, in addition to an interruption; resume= continues from there."""

    every_epochs: Count = 1  # after every so many epochs
    every_steps: Count | None = None  # also after every so many steps
    every_minutes: Positive | None = None  # also after every so many minutes


class TensorBoard(Section):
    """What is written for TensorBoard in addition to scalars; 0 turns a kind off."""

    enabled: bool = True  # false: nothing, not even scalars
    graph: bool = True  # of the network
    histograms_every: Unit = 1  # epochs: of each weight
    images_every: Unit = 1  # epochs: kernels, feature maps, confusion matrix
    images: Annotated[int, Field(ge=1, le=16)] = 3  # number of validation images whose feature maps are drawn


class Training(Section):
    """How the network learns."""

    epochs: Count = 10  # how often each image is used
    batch_size: Count = 64  # images per step
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    label_smoothing: Fraction = 0.0  # share of each label that is spread over all classes
    class_weights: Literal["balanced"] | dict[str, Positive] | None = None  # of the loss: training.class_weights.car=2
    #   balanced: every class has the same total weight, however many images it has
    monitor: Literal["val_accuracy", "val_loss"] = "val_accuracy"  # chooses the best model
    #   val_accuracy: the epoch with the highest validation accuracy
    #   val_loss: the epoch with the lowest validation loss
    keep: Literal["best", "last"] = "best"  # which epoch's model is kept
    #   best: the best one by monitor
    #   last: the last one; with few validation images, the best one is chance
    early_stopping: EarlyStopping = EarlyStopping()
    checkpoint: Checkpoint = Checkpoint()
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"  # of computations
    #   float32: works on any machine
    #   mixed_bfloat16: faster on new accelerators; weights stay float32
    #   mixed_float16: faster on accelerators without bfloat16
    freeze_base: bool = False  # train only the head, on features from init_from
    devices: Count | None = None  # number of devices; null: all accelerators, or the CPU
    deterministic: bool = False  # the same seed gives the same bits, also after resume=
    steps_per_execution: Count | Literal["epoch"] = 1  # steps per call of the device; epoch: all steps of an epoch
    limit_batches: Count | None = None  # of train, validation and test; null: all
    overfit: bool = False  # train and validate on one batch, without augmentation
    profile: bool = False  # write a TensorBoard profile of a few steps
    snapshots: Unit = 40  # number of epochs, evenly spaced, whose kernels and maps are saved; 0: none
    tensorboard: TensorBoard = TensorBoard()

    @model_validator(mode="after")
    def _choices_fit_together(self):
        if self.schedule.name == "step" and not self.schedule.step_epochs:
            raise ValueError(
                "training.schedule.name=step needs the epochs in which the rate falls; give "
                "training.schedule.step_epochs=10,15"
            )
        if self.schedule.warmup_epochs >= self.epochs and self.schedule.warmup_epochs > 0:
            raise ValueError(
                f"training.schedule.warmup_epochs={self.schedule.warmup_epochs:g} must be less than "
                f"training.epochs={self.epochs}; make it smaller"
            )
        return self


class Train(Section):
    """The keys of train.py."""

    name: Text | None = None  # the folder under runs/; null: the experiment's name
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0  # of all random numbers
    runs_dir: PathText = "runs"  # where runs are kept
    init_from: PathText | None = None  # a run or a .keras file whose weights the new run starts from
    resume: PathText | None = None  # a run to continue, with its own configuration; training.epochs may be larger
    recipe: Literal["photographs"] | None = None  # chooses settings that you do not give; null: nothing is chosen
    #   photographs: epochs, network and image size that suit the photographs
    data: Data = Data()
    model: Model = Model()
    training: Training = Training()

    @field_validator("name")
    @classmethod
    def _name_is_a_folder(cls, name):
        if name is not None and (not name or name.startswith(".") or "/" in name or "\0" in name or len(name) > 100):
            shown = repr(name if len(name) <= 100 else f"{name[:97]}...")
            raise ValueError(f"name={shown} cannot be a folder's name; use letters, digits, '-' and '_', 100 at most")
        return name


class DataLocation(Section):
    """Where a run's data is on this machine, if it has moved since the run was trained."""

    root: PathText | None = None  # the folder of images; null: as in training
    data_dir: PathText | None = None  # where TFDS keeps prepared datasets; null: as in training
    manual_dir: PathText | None = None  # files downloaded by hand, for preparing
    prepare: bool = False  # download or render the dataset if it is missing


class Evaluate(Section):
    """The keys of evaluate.py."""

    run: PathText | None = None  # a run's folder; null: the newest
    runs_dir: PathText = "runs"  # where to look for the newest run
    split: Literal["train", "validation", "test"] = "test"  # which images are evaluated
    #   train: the images that the network learned from
    #   validation: the images that chose the best epoch
    #   test: images that the network has never seen
    batch_size: Count | None = None  # images at a time; null: as in training
    limit_batches: Count | None = None  # use only so many batches; null: as in training
    mirrored: bool = False  # average the logits of each image and its mirror image
    mistakes: Annotated[int, Field(ge=0, le=100)] = 24  # how many of the most confident mistakes to draw
    data: DataLocation = DataLocation()


class Extraction(Section):
    """How a kernel is applied in the figure Input -> Filter -> Detect -> Condense."""

    stride: Count = 1  # pixels from one position of the kernel to the next
    padding: Literal["same", "valid"] = "valid"  # what happens at the border
    #   same: zeros around the image, so that the map keeps its size; they make a false edge there
    #   valid: no padding; the kernel stays inside, and the map loses a border
    pooling: Literal["max", "average"] = "max"  # how the result of ReLU is condensed
    #   max: the largest value of a window
    #   average: the mean of a window
    pool_size: Count = 2  # pixels a side of that window
    pool_stride: Count | None = None  # null: the pool's size
    image_size: Count | None = 256  # a larger image is shrunk to this, the longer side in pixels; null: its own size


class Visualize(Section):
    """The keys of visualize.py."""

    run: PathText | None = None  # a run's folder; null: the newest
    a: PathText | None = None  # two runs to compare, each on the images of the first
    b: PathText | None = None  # the second of them
    model: PathText | None = None  # any .keras file, instead of a run
    runs_dir: PathText = "runs"  # where to look for the newest run
    out: PathText | None = None  # where figures go; null: figures/ in the run
    figures: Texts = ["basics"]  # by name or by group, as listed below; with a and b: comparison
    image: Photos | None = None  # files, or indices into the split; null: one of each class
    split: Literal["train", "validation", "test"] = "test"  # the split that image indices refer to
    #   train: the images that the network learned from
    #   validation: the images that chose the best epoch
    #   test: images that the network has never seen
    images: Count = 2000  # how many images of the split, evenly spaced, for figures of units over many images
    layers: Texts | None = None  # names of convolutions; null: all
    units: Units | None = None  # indices of units in each of these layers; null: all
    max_units: Count = 32  # in a figure; where it is not given, 16 of a layer that reads maps
    max_inputs: Count = 8  # slices of each kernel that reads maps, those with the largest weights
    sort: Literal["index", "norm", "activation", "orientation"] | None = None  # of units; null: chosen by the figure
    #   index: by their number in the layer
    #   norm: the kernel with the largest weights first
    #   activation: the unit most active on the images first
    #   orientation: for first layers, by what their kernels respond to
    scale: Literal["unit", "layer", "global"] | None = None  # who shares a colour scale; null: chosen by the figure
    #   unit: each unit has its own
    #   layer: all units of a layer share one
    #   global: all layers share one
    target: str | int | None = None  # the class to explain, by name or index; null: the predicted class
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0  # of random numbers
    kernel: str | list[list[float]] | None = None  # a kernel to apply to images, by name or as rows; needs no network
    kernel_name: Text | None = None  # of kernel= in titles and file names; null: its name, or a hash of its numbers
    extraction: Extraction = Extraction()
    data: DataLocation = DataLocation()

    @model_validator(mode="after")
    def _two_runs_or_one(self):
        if (self.a is None) != (self.b is None):
            raise ValueError("comparing takes two runs: a=runs/cars/latest b=runs/cars/another")
        if self.kernel_name is not None and self.kernel is None:
            raise ValueError("kernel_name= names the kernel given as kernel=; give kernel=, too")
        others = [name for name in ("run", "model", "kernel") if getattr(self, name) is not None]
        if self.a is not None and others:
            raise ValueError(f"a= and b= name the runs already; leave out {others[0]}=")
        return self
