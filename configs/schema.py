"""What a configuration may say: every key, its type and its range.

The YAML files beside this module give values; these classes decide which values make sense. They import
neither Keras nor TensorFlow, so that a mistake is found before anything heavy is loaded.
"""

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


def _ascending(values: list[float]) -> list[float]:
    if len(values) != 2 or values[0] >= values[1]:
        given = ",".join(f"{value:g}" for value in values)
        raise ValueError(f"data.value_range=[{given}] is no range; expected two numbers, the smaller first: [0,4095]")
    return values


Count = Annotated[int, Field(ge=1)]
Size = Annotated[int, Field(ge=1, le=16384)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
ValueRange = Annotated[list[float], AfterValidator(_ascending)]
Pair = Annotated[list[Size], Field(min_length=2, max_length=2), BeforeValidator(_as_pair)]


class Section(BaseModel):
    """A group of keys. Unknown keys, wrong types, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())
    _withheld: dict[tuple[str, ...], Any] = PrivateAttr(default_factory=dict)
    _typed: tuple[str, ...] = PrivateAttr(default=())

    def __eq__(self, other: object) -> bool:
        """Equal by what is configured and would be saved, wherever it was written."""
        return type(self) is type(other) and self.model_dump() == other.model_dump()

    @property
    def typed(self) -> tuple[str, ...]:
        """The keys and groups that the command line named."""
        return self._typed

    def remember(self, typed: tuple[str, ...]) -> None:
        """Keep apart what was typed from what is a default: only the former can contradict a run that goes on."""
        self._typed = typed

    def withhold(self, written: dict[tuple[str, ...], Any]) -> None:
        """Mark what came out of the environment: {path of the key: what to save in its place}."""
        self._withheld.update(written)

    def document(self) -> dict[str, Any]:
        """All keys and values, ready to be saved; what came out of the environment is left out."""
        values = self.model_dump()
        for path, written in self._withheld.items():
            group = values
            for part in path[:-1]:
                group = group[part]
            if isinstance(group[path[-1]], str | list):
                group[path[-1]] = written
        return values


class Augment(Section):
    """Random changes made to training images only; they never become part of the saved model.

    Sizes are shares of the image side unless the comment says otherwise. Zero or false turns a change off.
    """

    flip: bool | Literal["alternate"] = False  # left-right; true: at random; alternate: each image every other epoch
    vertical_flip: bool = False
    crop: Annotated[int, Field(ge=0, le=256)] = 0  # pixels of padding before a random crop back to size
    translate: Fraction = 0.0
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0  # degrees, either way
    zoom: Fraction = 0.0
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    rand_augment: Annotated[int, Field(ge=0, le=10)] = 0  # operations an image
    rand_magnitude: Share = 0.5
    erase: Share = 0.0  # probability that a rectangle is erased
    mixup: NonNegative = 0.0  # alpha of the Beta distribution
    cutmix: Share = 0.0  # alpha of the Beta distribution; Keras takes none above 1


class Splits(Section):
    """Which part of the dataset plays which role, in TFDS split expressions; null: found by itself."""

    train: str | None = None
    validation: str | None = None
    test: str | None = None


class Data(Section):
    """Where images come from and what is done to them before the model sees them."""

    source: Literal["rendered_cars", "tfds", "folder"] = "rendered_cars"
    name: str | None = None  # a TFDS name, "name/config" or "name/config:version"
    root: str | None = None  # a folder of images
    data_dir: str | None = None  # where TFDS keeps prepared datasets; null: TFDS' own default
    manual_dir: str | None = None  # files downloaded by hand, for TFDS datasets that ask for them
    # Of this command alone, and never saved: a file must not be able to ask for it.
    prepare: bool | None = Field(
        default=None, exclude=True
    )  # download or render what is not there; null: a new run does
    splits: Splits = Splits()
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1  # carved from train where there is no validation split
    classes: list[str] | None = None  # keep only these classes, in this order; null: all
    # Classes that other splits may lack, learned and never scored; null: every split needs every class.
    train_only: Annotated[list[str], BeforeValidator(_as_list)] | None = None
    image_size: Pair | None = None  # [height, width] or one number; null: the dataset's own
    channels: Literal[1, 3] | None = None  # null: the dataset's own
    resize: Literal["crop", "pad", "stretch"] = "crop"  # how an image of another shape is made to fit
    # Values in the files that become black and white: [low, high], or auto, as the training images have them.
    value_range: ValueRange | Literal["auto"] | None = None  # null: all that the files' number of bits allows
    on_error: Literal["fail", "skip"] = "fail"  # an image that cannot be used; skip: left out, up to one in ten
    cache: Literal["auto", "device", "memory", "disk", "none"] = "auto"  # for decoded images; auto: where they fit
    shuffle_buffer: Count = 10000  # images, where the dataset is streamed
    augment: Augment = Augment()

    @model_validator(mode="after")
    def _source_has_its_address(self):
        if self.source == "tfds" and not self.name:
            raise ValueError("data=tfds needs a dataset name; give data.name=cifar10, for instance")
        if self.source == "folder" and not self.root:
            raise ValueError("data=folder needs a folder of images; give data.root=path/to/photos")
        if self.classes is not None and len(set(self.classes)) < 2:
            raise ValueError("data.classes needs at least two different class names")
        return self


class Head(Section):
    """The dense layers that turn the base's last feature maps into logits."""

    pooling: Literal["flatten", "average"] = "flatten"
    dense: list[Count] = []
    dropout: Fraction = 0.0


class Model(Section):
    """A base of blocks and a head. A single value holds for every block; a list gives one a block."""

    family: Literal["convnet", "resnet"] = "convnet"
    filters: Annotated[list[Count], Field(min_length=1), BeforeValidator(_as_list)] = [32, 64, 128]
    kernel_size: Annotated[list[Size], BeforeValidator(_as_list)] = [3]
    convolutions: Annotated[list[Count], BeforeValidator(_as_list)] = [1]  # residual units a block, in a resnet
    stride: Annotated[list[Size], BeforeValidator(_as_list)] = [1]  # of a block's first convolution
    padding: Annotated[list[Literal["same", "valid"]], BeforeValidator(_as_list)] = ["same"]
    dilation: Annotated[list[Size], BeforeValidator(_as_list)] = [1]
    pooling: Annotated[list[Literal["max", "average", "none"]], BeforeValidator(_as_list)] = ["max"]
    pool_size: Annotated[list[Size], BeforeValidator(_as_list)] = [2]
    batch_norm: bool = False
    dropout: Annotated[list[Fraction], BeforeValidator(_as_list)] = [0.0]  # after a block
    weight_decay: NonNegative = 0.0  # L2 penalty on kernels, added to the loss
    initializer: str = "he_normal"  # a Keras initializer's name
    first_kernel_size: Size | None = None  # of the first convolution, whose kernels are looked at; null: kernel_size
    # Of the first convolution's kernels at the start; after so small a start as 0.01 learning shows in them.
    first_stddev: Positive | None = None  # null: as model.initializer has it
    whiten: bool = False  # first a fixed convolution that makes what the training images show vary independently
    head: Head = Head()

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
    name: OptimizerName = "adamw"  # muon: Muon for kernels, AdamW for the rest; learning rates as of adamw
    learning_rate: Positive = 1e-3
    weight_decay: NonNegative | None = None  # decoupled; null: the optimizer's own default
    momentum: Fraction = 0.9  # of sgd and rmsprop
    nesterov: bool = True  # of sgd
    clip_norm: Positive | None = None  # of all gradients together
    clip_value: Positive | None = None
    ema: Fraction = 0.0  # momentum of the exponential moving average of the weights; 0: off
    options: dict[str, Any] = {}  # anything else the Keras optimizer takes


class Schedule(Section):
    """How the learning rate moves; times are in epochs."""

    name: Literal["constant", "cosine", "step", "exponential", "one_cycle", "plateau"] = "cosine"
    warmup_epochs: NonNegative = 0.0
    final_share: Share = 0.0  # cosine, one_cycle: the last rate as a share of the highest
    step_epochs: list[Positive] = []  # step: when the rate falls
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1  # step, plateau: by how much; exponential: an epoch
    patience: Count = 3  # plateau: epochs without improvement


class EarlyStopping(Section):
    patience: Count | None = None  # epochs without improvement; null: never stop early
    min_delta: NonNegative = 0.0


class Checkpoint(Section):
    """When the state of training is saved, beside the moment of an interruption; resume= goes on from there."""

    every_epochs: Count = 1
    every_steps: Count | None = None
    every_minutes: Positive | None = None


class TensorBoard(Section):
    """What is written for TensorBoard beside the scalars; 0 turns a kind off."""

    enabled: bool = True
    graph: bool = True
    histograms_every: Annotated[int, Field(ge=0)] = 1  # epochs
    images_every: Annotated[int, Field(ge=0)] = 1  # epochs: kernels, feature maps, confusion matrix
    images: Annotated[int, Field(ge=1, le=16)] = 3  # fixed validation images whose feature maps are followed


class Training(Section):
    epochs: Count = 10
    batch_size: Count = 64
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    label_smoothing: Fraction = 0.0
    class_weights: Literal["balanced"] | dict[str, Positive] | None = None
    monitor: Literal["val_accuracy", "val_loss"] = "val_accuracy"  # chooses the best model
    early_stopping: EarlyStopping = EarlyStopping()
    checkpoint: Checkpoint = Checkpoint()
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    freeze_base: bool = False
    devices: Count | None = None  # null: every accelerator there is, or the one CPU
    deterministic: bool = False  # the same seed gives the same bits, also after resume=
    steps_per_execution: Count | Literal["epoch"] = 1  # steps in one call of the device; epoch: all of an epoch's
    limit_batches: Count | None = None  # of train, validation and test; null: all
    overfit: bool = False  # train and validate on one batch, without augmentation
    profile: bool = False  # write a TensorBoard profile of a few steps
    snapshots: Annotated[int, Field(ge=0)] = 40  # epochs at which kernels and maps are kept, evenly spread; 0: none
    tensorboard: TensorBoard = TensorBoard()

    @model_validator(mode="after")
    def _choices_fit_together(self):
        if self.schedule.name == "step" and not self.schedule.step_epochs:
            raise ValueError("training.schedule.name=step needs training.schedule.step_epochs, such as [10,15]")
        if self.schedule.warmup_epochs >= self.epochs and self.schedule.warmup_epochs > 0:
            raise ValueError(
                f"training.schedule.warmup_epochs={self.schedule.warmup_epochs:g} leaves nothing of "
                f"training.epochs={self.epochs}; make it smaller"
            )
        return self


class Train(Section):
    """What training takes."""

    name: str | None = None  # the folder under runs/; null: the experiment's name
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    runs_dir: str = "runs"
    init_from: str | None = None  # a run or a .keras file whose weights the new run starts from
    resume: str | None = None  # a run to go on with, as it was configured
    data: Data = Data()
    model: Model = Model()
    training: Training = Training()

    @field_validator("name")
    @classmethod
    def _name_is_a_folder(cls, name):
        if name is not None and (not name or name.startswith(".") or "/" in name or "\0" in name or len(name) > 100):
            raise ValueError(f"name={name!r} cannot be a folder's name; use letters, digits, '-' and '_'")
        return name


class Where(Section):
    """Where a run's data lies on this machine, if not where it lay when the run was trained."""

    root: str | None = None
    data_dir: str | None = None
    manual_dir: str | None = None
    prepare: bool = False  # download or render the dataset where it is not there yet


class Evaluate(Section):
    """What evaluating takes."""

    run: str | None = None  # a run's folder; null: the newest
    runs_dir: str = "runs"
    split: Literal["train", "validation", "test"] = "test"
    batch_size: Count | None = None  # null: as in training
    limit_batches: Count | None = None
    mirrored: bool = False  # look at each image and its mirror image, and average their logits
    mistakes: Annotated[int, Field(ge=0, le=100)] = 24  # the most confident ones, drawn
    data: Where = Where()


class Extraction(Section):
    """How a kernel is applied in the figure Input -> Filter -> Detect -> Condense."""

    stride: Count = 1
    padding: Literal["same", "valid"] = "valid"  # same: zeros outside of the picture, which make a false edge there
    pooling: Literal["max", "average"] = "max"
    pool_size: Count = 2
    pool_stride: Count | None = None  # null: the pool's size
    image_size: Count | None = 256  # a larger image is made this long, the longer side in pixels; null: its own


class Visualize(Section):
    """What drawing takes."""

    run: str | None = None  # a run's folder; null: the newest
    a: str | None = None  # two runs to compare, each on the images of the first
    b: str | None = None
    model: str | None = None  # any .keras file, instead of a run
    runs_dir: str = "runs"
    out: str | None = None  # null: figures/ in the run
    figures: Annotated[list[str], BeforeValidator(_as_list)] = ["basics"]  # by name, or by group; a and b: comparison
    image: Annotated[list[str | int], BeforeValidator(_as_list)] | None = None  # paths, or indices into the split
    split: Literal["train", "validation", "test"] = "test"
    images: Count = 2000  # of the split, evenly spread over it, where a figure asks how units behave over many
    layers: Annotated[list[str], BeforeValidator(_as_list)] | None = None  # null: every convolution
    units: Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_as_list)] | None = None
    max_units: Count = 32  # tiles in a figure
    # Null: as suits the figure, which says it in its title. orientation: first layers, by what their kernels answer to.
    sort: Literal["index", "norm", "activation", "orientation"] | None = None
    scale: Literal["unit", "layer", "global"] | None = None  # who shares a range of colours; null: as suits the figure
    target: str | int | None = None  # the class to explain, by name or index; null: what the model says
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0  # of what is drawn by chance
    kernel: str | list[list[float]] | None = None  # by name or by numbers
    kernel_name: str | None = None  # of the kernel in titles and file names; null: its name, or one from its numbers
    extraction: Extraction = Extraction()
    data: Where = Where()

    @model_validator(mode="after")
    def _two_runs_or_one(self):
        if (self.a is None) != (self.b is None):
            raise ValueError("comparing takes two runs: a=runs/cars/latest b=runs/cars/another")
        if self.kernel_name is not None and self.kernel is None:
            raise ValueError("kernel_name= names the kernel that is typed; give kernel=, too")
        others = [name for name in ("run", "model", "kernel") if getattr(self, name) is not None]
        if self.a is not None and others:
            raise ValueError(f"a= and b= name the runs already; leave out {others[0]}=")
        return self
