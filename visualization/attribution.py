"""Why this class, as pictures: where each method finds the reason, and how far it is to be believed."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, footnotes, heading
from convlens.visualization.sheet import MARGIN, Sheet, line_height, number, shorten, shorten_middle, text_width
from convlens.visualization.tiles import enlarge

if TYPE_CHECKING:
    from convlens.interpret import Curves, Explanations, Randomisation

SIDE, GAP, STRIP = 230, 40, 14
LINE = line_height(palette.LABEL_SIZE)


def attribution_figure(
    explanations: "Explanations",
    *,
    title: str = "Why this class?",
    across: int = 1,
    notes: Sequence[Sequence[str]] = (),
    names: Sequence[str] = (),
    caption: Caption = UNKNOWN,
) -> Figure:
    """What each method answers to "why this class?": a row an image, a column a method, over the image and alone.

    Maps are drawn at their own resolution; each has its own colour scale, from zero or, where a value is negative,
    about zero, and its range stands under it. Alone, the maps of sparse methods have colours by square root; over the
    image, opacity is the value itself. `across` is how many images stand in a row, `notes` what is written under each,
    and `names` what each is called, such as a file's path, whose middle is left out where it is long.
    """
    sheet = Sheet(width=900)
    images, maps = np.asarray(explanations.images), explanations.maps
    count, across = len(images), min(across, len(images))
    has_sparse = any(explanations.is_sparse(method) for method in maps)
    facts = caption.facts(
        f"{count} {'image' if count == 1 else 'images'}",
        "red speaks for the class, blue against it",
        "scale: each map has its own range, written under it"
        + ("; √: the lower map's colours by square root" if has_sparse else ""),
    )
    block = (len(maps) + 1) * (SIDE + GAP)
    width = MARGIN + across * (block + 2 * GAP) - 2 * GAP
    y = heading(sheet, title, facts, max(900, width - MARGIN))
    heads = [("image", ""), *((explanations.title(method), " √" * explanations.is_sparse(method)) for method in maps)]
    lefts = [MARGIN + column * (block + 2 * GAP) for column in range(across)]
    for left in lefts:
        for column, (head, mark) in enumerate(heads):
            room = SIDE + GAP - 8 - text_width(mark, palette.LABEL_SIZE, "bold")
            text = shorten(head, room, palette.LABEL_SIZE, "bold") + mark
            sheet.text(left + column * (SIDE + GAP), y, text, palette.LABEL_SIZE, weight="bold")
    y += LINE + 8
    wide, high = _fitted(images[0])
    lowest = y
    for index, image in enumerate(images):
        left = lefts[index % across]
        sheet.photo(left, y, image, wide, high)
        below = _draw_answer(sheet, left, y + high + 10, explanations.of_images(slice(index, index + 1)), caption)
        if len(names):
            called = shorten_middle(names[index], SIDE + GAP - 8, palette.LABEL_SIZE)
            sheet.text(left, below, called, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
            below += LINE
        for note in notes[index] if notes else ():
            below = sheet.paragraph(left, below, note, SIDE, palette.LABEL_SIZE, color=palette.DEAD_TEXT)
        lowest = max(lowest, below + 40)
        for column, (method, of_images) in enumerate(maps.items(), 1):
            x = left + column * (SIDE + GAP)
            _draw_map(sheet, x, y, image, np.asarray(of_images)[index], by_root=explanations.is_sparse(method))
        if left == lefts[-1] or index == count - 1:
            y = lowest = max(y + 2 * high + 10 + STRIP + LINE + 40, y + high + 10 + 5 * LINE + 40, lowest)
    footnotes(sheet, y, list(maps.values()))
    return sheet.figure()


def overlaid(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A map over an image turned grey: red for, blue against, as opaque as the value is large.

    `image` is (height, width, channels) in [0, 255], `values` (rows, columns); gives (height, width, 3) uint8. Where a
    value is zero, nothing covers the image.
    """
    height, width = image.shape[:2]
    grey = palette.colour_image(image) @ np.array([0.299, 0.587, 0.114])
    shares = enlarge(np.nan_to_num(values, posinf=0, neginf=0), height, width) / palette.largest(values)
    opacity = 0.85 * np.abs(shares)[..., None]
    ends = np.where(shares[..., None] < 0, palette.DIVERGING[60], palette.DIVERGING[-60]).astype(float)
    return np.rint(grey[..., None] * (1 - opacity) + ends * opacity).astype(np.uint8)


def deletion_insertion_figure(
    curves: Mapping[str, "Curves"], *, reference: "Curves | None" = None, caption: Caption = UNKNOWN
) -> Figure:
    """How the class fares when a method is believed: a panel a method, by its title, the best first.

    Thin lines are images, thick ones their mean. `reference` is what random maps score, dashed. Best is the largest
    area between insertion and deletion.
    """
    areas = {name: (_area(of.deletion, of.shares), _area(of.insertion, of.shares)) for name, of in curves.items()}
    order = sorted(curves, key=lambda name: areas[name][0] - areas[name][1])
    images = len(next(iter(curves.values())).deletion)
    columns = min(4, len(order))
    wide, high = 400, 300
    sheet = Sheet(width=1000)
    dashed = "dashed: random order" if reference is not None else ""
    facts = [f"{images} images", "thin lines: each image", "thick: their mean", dashed, "best method first"]
    title = "Deletion and insertion: what a map is worth"
    y = heading(sheet, title, caption.facts(*filter(None, facts)), max(1000, columns * (wide + 110)))
    for row, name in enumerate(order):
        x = MARGIN + 90 + row % columns * (wide + 110)
        top = y + row // columns * (high + 210)
        deleted, inserted = areas[name]
        sheet.text(x, top, shorten(name, wide, palette.HEADING_SIZE, "bold"), palette.HEADING_SIZE, weight="bold")
        top += line_height(palette.HEADING_SIZE)
        sheet.text(x, top, f"insertion {inserted:.2f}", palette.BODY_SIZE, color=palette.POSITIVE)
        sheet.text(x + wide / 2, top, f"deletion {deleted:.2f}", palette.BODY_SIZE, color=palette.NEGATIVE)
        top += line_height(palette.BODY_SIZE) + 12
        axes = sheet.axes(x, top, wide, high)
        for kind, ink in (("deletion", palette.NEGATIVE), ("insertion", palette.POSITIVE)):
            shares, lines = curves[name].shares, getattr(curves[name], kind)
            axes.plot(shares, lines.T, color=ink, linewidth=0.5, alpha=0.25)
            axes.plot(shares, np.mean(lines, axis=0), color=ink, linewidth=2)
            if reference is not None:
                mean = np.mean(getattr(reference, kind), axis=0)
                axes.plot(reference.shares, mean, color=ink, linewidth=1, linestyle="--")
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes.set_xticklabels(["0", "50%", "100%"])
        axes.set_yticklabels(["0", "50%", "100%"])
        if row % columns == 0:
            axes.set_ylabel("probability of the class", fontsize=palette.LABEL_SIZE)
        axes.set_xlabel("pixels removed or shown", fontsize=palette.LABEL_SIZE)
        axes.grid(color=palette.GRID, linewidth=0.5)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    rows = math.ceil(len(order) / columns)
    sheet.text(MARGIN, y + rows * (high + 210), READING, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    return sheet.figure()


READING = (
    "Numbers are areas under the mean curves. A good map: red rises early (insertion), blue falls early (deletion)."
)


def randomisation_figure(
    image: np.ndarray, checks: Mapping[str, "Randomisation"], *, caption: Caption = UNKNOWN
) -> Figure:
    """What remains of a method's map while weights are shuffled from the logits down: a row a method, by its title.

    `image` is (height, width, channels) in [0, 255], the first that was checked. Each map has its own colour scale,
    from zero; under it stands its rank correlation with the original.
    """
    layers = next(iter(checks.values())).layers if checks else ()
    wide, high = _fitted(image, 170)
    step = wide + GAP
    sheet = Sheet(width=1000)
    facts = caption.facts("each column also keeps the shuffles left of it", "scale: each map has its own, from zero")
    title = "Does the map depend on what was learned? Weights shuffled layer by layer"
    y = heading(sheet, title, facts, max(1000, (len(layers) + 3) * step))
    left = MARGIN + step + 40
    room = left + step - 16 - (MARGIN + wide + 16)  # between the photo and the first map
    sheet.photo(MARGIN, y + 2 * LINE + 8, image, wide, high)
    for column, name in enumerate(["trained", *layers]):
        x = left + (column + 1) * step
        words = ["trained", ""] if column == 0 else ["shuffled:", shorten(name, step - 8, palette.LABEL_SIZE, "bold")]
        for row, word in enumerate(words):
            sheet.text(x, y + row * LINE, word, palette.LABEL_SIZE, weight="bold")
    y += 2 * LINE + 8
    for name, check in checks.items():
        label = shorten(name, room, palette.BODY_SIZE)
        sheet.text(left + step - 16, y + high / 2, label, palette.BODY_SIZE, ha="right", va="center")
        for column, values in enumerate([check.original[0], *check.maps[:, 0]]):
            x = left + (column + 1) * step
            sheet.tile(x, y, palette.colour_activations(values, palette.largest(values)), wide, high)
            alike = check.similarity[column - 1, 0] if column else None
            note = f"0 to {number(palette.largest(values))}" if alike is None else f"similarity {alike:.2f}"
            # Zero everywhere resembles nothing, whatever the method: its 0.00 would read like a passed test.
            note = note if np.any(values) else "blank"
            sheet.text(x, y + high + 6, note.replace("-", "−"), palette.LABEL_SIZE, color=palette.QUIET_TEXT)
        y += high + LINE + 24
    sheet.text(MARGIN, y, ROOT_NOTE, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    return sheet.figure()


ROOT_NOTE = "similarity: Spearman's rank correlation with the trained model's map; colours by square root"


def _fitted(image: np.ndarray, side: int = SIDE) -> tuple[int, int]:
    """(width, height) in pixels at which an image fills a square of `side`."""
    height, width = image.shape[:2]
    return max(1, round(width * side / max(height, width))), max(1, round(height * side / max(height, width)))


def _draw_answer(sheet: Sheet, x: float, y: float, explained: "Explanations", caption: Caption) -> float:
    """The class that is explained of one image, with its logit and probability; returns the y below it."""
    target, logits = int(explained.targets[0]), np.asarray(explained.logits[0], np.float64)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    name = shorten(caption.class_name(target), SIDE, palette.BODY_SIZE, "bold")
    sheet.text(x, y, name, palette.BODY_SIZE, weight="bold")
    y += line_height(palette.BODY_SIZE)
    first = int(logits.argmax())
    facts = ["the predicted class" if target == first else f"predicted: {caption.class_name(first)}"]
    facts += [f"logit {number(float(logits[target]))}", f"probability {shares[target]:.1%}"]
    if explained.true is not None:
        true = int(explained.true[0])
        facts.append("right" if true == target else f"truly {caption.class_name(true)}")
    for fact in facts:
        ink = palette.POSITIVE if fact.startswith("truly") else palette.QUIET_TEXT
        sheet.text(x, y, shorten(fact, SIDE, palette.LABEL_SIZE), palette.LABEL_SIZE, color=ink)
        y += LINE
    return y


def _draw_map(sheet: Sheet, x: float, y: float, image: np.ndarray, values: np.ndarray, *, by_root: bool) -> None:
    """A map over its image and, below, alone with its range."""
    wide, high = _fitted(image)
    limit = palette.largest(values)
    signed = (np.nan_to_num(values) < 0).any()
    sheet.photo(x, y, overlaid(enlarge(image, *_at_least(image, values)), values), wide, high)
    y += high + 10
    colour = palette.colour_activations if by_root else palette.colour_weights
    sheet.tile(x, y, colour(values, limit), wide, high)
    y += high + 8
    table = palette.DIVERGING if signed else palette.SEQUENTIAL
    sheet.tile(x, y, table[None, np.linspace(0, len(table) - 1, wide).astype(int)], wide, STRIP)
    y += STRIP + 4
    zero = "0" if np.any(values) else "0 everywhere"
    sheet.text(x, y, number(-limit) if signed else zero, palette.LABEL_SIZE, color=palette.QUIET_TEXT)
    if np.any(values):
        sheet.text(x + wide, y, number(limit), palette.LABEL_SIZE, ha="right", color=palette.QUIET_TEXT)


def _at_least(image: np.ndarray, values: np.ndarray) -> tuple[int, int]:
    """The finer of an image's and a map's resolution, (height, width)."""
    return max(image.shape[0], values.shape[0]), max(image.shape[1], values.shape[1])


def _area(lines: np.ndarray, shares: np.ndarray) -> float:
    mean = np.mean(lines, axis=0)
    return float(((mean[1:] + mean[:-1]) / 2 * np.diff(shares)).sum())
