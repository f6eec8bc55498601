"""What a person would notice of a training that did not go well, and what to try next: scores in, lines out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convlens.configs import Train

if TYPE_CHECKING:
    from convlens.training.run import Run
    from convlens.training.training_data import TrainingData

MOST_LINES = 2
FEW_EPOCHS, FEW_STEPS = 3, 100  # a training of fewer says nothing yet
GUESSING = 0.1  # skill, the share of the way from guessing to being always right
GAP = 0.15  # training accuracy less validation accuracy
EXPLODED = 2.0  # validation loss as a multiple of that of guessing
FEW_VALIDATED = 50  # images: of fewer, a few sure mistakes make a loss explode that is mended by the next epoch
FEW_TESTED = 50  # images: of fewer, accuracy is not known to within a tenth either way
FEW_IMAGES = 5  # of a class: the smallest number of which none being found says something
HARDLY_TURNED = 0.9  # cosine of a kernel with its start
SMALL_START = 0.01  # deviation of kernels at whose size learning shows


@dataclass(frozen=True)
class Outcome:
    """What a training came to."""

    config: Train
    rows: Sequence[dict[str, float]]  # of metrics.csv, one an epoch
    classes: Sequence[str]
    trained_on: np.ndarray  # (classes,) training images
    validated_on: int  # validation images
    matrix: np.ndarray  # (classes, classes) test images by true (row) and predicted (column) class
    first_layer: str = ""  # the first convolution that was trained
    cosine: float | None = None  # of its kernels with their start, the median; None: the start is not kept

    @property
    def last(self) -> dict[str, float]:
        return self.rows[-1]

    @property
    def guessing_loss(self) -> float:
        """The cross-entropy of saying that every class is as probable as every other."""
        return math.log(len(self.classes))

    def skill(self, accuracy: float) -> float:
        """0 for an accuracy that naming the most frequent class reaches too, 1 for being always right."""
        chance = float(self.trained_on.max() / self.trained_on.sum())
        return (accuracy - chance) / (1 - chance)

    @property
    def learned_nothing(self) -> bool:
        best = max(row["val_accuracy"] for row in self.rows)
        return self.skill(best) < GUESSING and self.skill(self.last["accuracy"]) < GUESSING

    @property
    def learned_by_heart(self) -> bool:
        validation = self.last["val_accuracy"]
        # Of few images, an accuracy is not known better than this.
        doubt = 2 * math.sqrt(validation * (1 - validation) / self.validated_on)
        return self.last["accuracy"] - validation > GAP + doubt


def diagnose(outcome: Outcome) -> list[str]:
    """A line for each of the most important things that went wrong, with what to try next; none where all is well.

    Nothing is said of a training that was not meant in earnest: a few epochs or steps, or a part of the data.
    """
    training = outcome.config.training
    steps = len(outcome.rows) * max(1, int(outcome.trained_on.sum()) // training.batch_size)
    in_earnest = not (training.overfit or training.limit_batches)
    if not in_earnest or len(outcome.rows) < FEW_EPOCHS or steps < FEW_STEPS:
        return []
    lines = [line for line in (rule(outcome) for rule in RULES) if line]
    return lines[:1] if outcome.learned_nothing else lines[:MOST_LINES]


def _learned_nothing(outcome: Outcome) -> str:
    if not outcome.learned_nothing:
        return ""
    best = max(row["val_accuracy"] for row in outcome.rows)
    return (
        f"Nothing was learned: validation accuracy was {best:.3f} at best, which guessing reaches too. "
        f"Try {_slower(outcome.config)}; debug=overfit shows whether the network can learn at all."
    )


def _loss_explodes(outcome: Outcome) -> str:
    # The first epoch of a high rate is often bad, and mended by the next ones; so are later ones of a rate that rises,
    # where only the last model is kept.
    peak, epoch = max((row["val_loss"], row["epoch"]) for row in outcome.rows[1:])
    limit = EXPLODED * outcome.guessing_loss
    may_recover = outcome.config.training.keep == "last" or outcome.validated_on < FEW_VALIDATED
    ends_well = outcome.last["val_loss"] <= limit and (may_recover or peak <= 2 * limit)
    if ends_well or outcome.learned_by_heart:  # being sure of wrong answers costs as much
        return ""
    return (
        f"The validation loss went up to {peak:.3g}, in epoch {epoch}, where guessing has {outcome.guessing_loss:.3g}. "
        f"Try {_slower(outcome.config)}, or training.optimizer.clip_norm=1."
    )


def _learned_by_heart(outcome: Outcome) -> str:
    if not outcome.learned_by_heart:
        return ""
    last = outcome.last
    return (
        f"The training images were learned by heart: accuracy {last['accuracy']:.3f} on them, "
        f"{last['val_accuracy']:.3f} on validation images. More images help most; else try {_harder(outcome.config)}."
    )


def _classes_never_predicted(outcome: Outcome) -> str:
    present, predicted = outcome.matrix.sum(axis=1), outcome.matrix.sum(axis=0)
    never = [
        name
        for name, images, times in zip(outcome.classes, present, predicted, strict=True)
        if images >= FEW_IMAGES and not times
    ]
    if not never:
        return ""
    uneven = outcome.trained_on.max() > 2 * max(1, outcome.trained_on.min())
    unweighted = uneven and not outcome.config.training.class_weights
    advice = "training.class_weights=balanced" if unweighted else _more_epochs(outcome.config)
    names = ", ".join(never[:3]) + (f" and {len(never) - 3} more" if len(never) > 3 else "")
    return f"No test image was taken for {names}, though there are some. Try {advice}."


def _first_kernels_stayed(outcome: Outcome) -> str:
    config = outcome.config
    # The start was learned itself, or is to stay; and of a network in a file nobody here knows how it begins.
    on_its_way = config.init_from or config.training.freeze_base or config.model.family == "keras"
    if outcome.cosine is None or outcome.cosine <= HARDLY_TURNED or on_its_way:
        return ""
    model, advice = config.model, f"model.first_stddev={SMALL_START:g}"
    if model.first_stddev is not None and model.first_stddev <= SMALL_START:
        advice = _more_epochs(config)
    elif (model.first_kernel_size or model.kernel_size[0]) < 5:
        advice += f", with larger kernels: model.first_kernel_size={7 if model.convolutions[0] == 1 else 5}"
    return (
        f"The kernels of {outcome.first_layer} are nearly those of the start (median cosine {outcome.cosine:.2f}, 1 is "
        f"unchanged): their pictures show chance, not learning. Try {advice}."
    )


def _few_tested(outcome: Outcome) -> str:
    tested, right = int(outcome.matrix.sum()), int(np.trace(outcome.matrix))
    if not 0 < tested < FEW_TESTED:
        return ""
    low, high = _interval(right, tested)
    images = "1 image" if tested == 1 else f"{tested} images"
    return (
        f"The test accuracy is of {images} only, {right} of them right: of more images of the same kind it would be "
        f"anywhere from {low:.2f} to {high:.2f}. More images for test and validation make both surer."
    )


def _interval(right: int, images: int) -> tuple[float, float]:
    """Where the accuracy lies of which so many images are a sample, with 95% confidence (Wilson 1927)."""
    z, share = 1.96, right / images
    middle = (share + z * z / (2 * images)) / (1 + z * z / images)
    reach = z * math.sqrt(share * (1 - share) / images + z * z / (4 * images * images)) / (1 + z * z / images)
    return middle - reach, middle + reach


# In the order of their weight.
RULES: tuple[Callable[[Outcome], str], ...] = (
    _learned_nothing,
    _loss_explodes,
    _learned_by_heart,
    _classes_never_predicted,
    _first_kernels_stayed,
    _few_tested,
)

# What makes learning by heart harder, the mildest first: where the first holds, the second is not tried yet.
HARDER: tuple[tuple[Callable[[Train], bool], str], ...] = (
    (lambda config: not config.data.augment.crop and not config.data.augment.translate, "data.augment.translate=0.1"),
    (lambda config: not config.data.augment.flip, "data.augment.flip=true (where left and right mean nothing)"),
    (lambda config: not config.data.augment.rand_augment, "data.augment.rand_augment=2"),
    (lambda config: config.model.family != "keras" and config.model.head.dropout < 0.5, "model.head.dropout=0.5"),
    (lambda config: not config.data.augment.mixup, "data.augment.mixup=0.2"),
)


def _harder(config: Train) -> str:
    untried = [word for is_untried, word in HARDER if is_untried(config)]
    smaller = "a smaller network" + ("" if config.model.family == "keras" else ", with fewer model.filters")
    return " and ".join(untried[:2]) or smaller


def _slower(config: Train) -> str:
    return f"a lower rate, training.optimizer.learning_rate={config.training.optimizer.learning_rate / 10:.3g}"


def _more_epochs(config: Train) -> str:
    return f"a longer training, training.epochs={2 * config.training.epochs}"


def outcome_of(run: "Run", data: "TrainingData", matrix: np.ndarray, first_layer: str, cosine: float | None) -> Outcome:
    """The outcome of a finished run on its data; the other arguments are attributes of `Outcome`."""
    labels = data.labels("train")
    return Outcome(
        config=run.config,
        rows=run.metrics,
        classes=run.labels,
        trained_on=np.bincount(labels, minlength=len(run.labels)),
        validated_on=data.info.sizes["validation"],
        matrix=matrix,
        first_layer=first_layer,
        cosine=cosine,
    )
