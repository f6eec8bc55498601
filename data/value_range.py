"""Which values in image files become 0 and 255: `data.value_range`, and a word where most of the levels are unused."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from convlens.core.errors import UserError
from convlens.data.images import Inspection

NARROW = 1 / 8  # of the possible values; images that use less have fewer levels than they should


def used_range(
    setting: Sequence[float] | str | None, inspections: Mapping[str, Sequence[Inspection]]
) -> tuple[float, float] | None:
    """The values that become 0 and 255; of `auto`, the smallest and the largest of the training images.

    Raises `UserError` where there is no such range, and where it would mean something else in each of two files.
    """
    if setting is None:
        return None
    tops = sorted({inspection.top for inspection in _each(inspections)})
    if len(tops) > 1:
        raise UserError(
            f"data.value_range={_as_text(setting)} would mean a different brightness in two kinds of files: some "
            "images have 8 bits a channel, others 16. Save all with the same depth, or leave data.value_range out."
        )
    if setting != "auto":
        low, high = map(float, setting)
        if low >= tops[0] or high <= 0:
            raise UserError(
                f"data.value_range={_as_text(setting)} contains no value of the images, which go from 0 to {tops[0]}; "
                "data.value_range=auto uses the values that occur."
            )
        return low, high
    low = float(min(inspection.lowest for inspection in inspections["train"]))
    high = float(max(inspection.highest for inspection in inspections["train"]))
    if low == high:
        raise UserError(f"data.value_range=auto: every pixel of every training image has the value {low:.0f}.")
    return low, high


def narrow_range_notes(
    value_range: tuple[float, float] | None, inspections: Mapping[str, Sequence[Inspection]]
) -> list[str]:
    """A line where most images use less than an eighth of the values that are spread over [0, 255]."""
    widths, lows, highs, tops = [], [], [], set()
    for inspection in _each(inspections):
        widths.append(inspection.highest - inspection.lowest)
        lows.append(inspection.lowest)
        highs.append(inspection.highest)
        tops.add(inspection.top)
    if len(tops) != 1:
        return []
    low, high = value_range or (0, tops.pop())
    if float(np.median(widths)) >= NARROW * (high - low) or max(highs) == min(lows):
        return []
    # What a few images have beyond it is a defect more often than a measurement.
    lowest, highest = float(np.percentile(lows, 5)), float(np.percentile(highs, 95))
    top = 2 ** int(np.ceil(np.log2(highest + 1))) - 1
    bottom = 0 if lowest < top / 8 else int(lowest)
    levels = max(2, round(float(np.median(widths)) / (high - low) * 255) + 1)
    return [
        f"Most images use less than an eighth of the values from {low:.0f} to {high:.0f}, so training gets only about "
        f"{levels} of 256 levels of brightness. To spread them over the whole range: "
        f"data.value_range={bottom},{top}, or data.value_range=auto."
    ]


def _each(inspections: Mapping[str, Sequence[Inspection]]) -> Iterator[Inspection]:
    return (inspection for of_role in inspections.values() for inspection in of_role)


def _as_text(setting: Sequence[float] | str) -> str:
    return setting if isinstance(setting, str) else ",".join(f"{value:g}" for value in setting)
