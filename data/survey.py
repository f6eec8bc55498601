"""Every image is looked at before it is used. What was found is remembered, and holds until the file changes."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import PIL

from convlens.core.caching import cache_folder
from convlens.core.errors import UserError
from convlens.core.files import atomic_write
from convlens.data.base import Split
from convlens.data.images import MAX_PIXELS, Inspection

SKIPPED_SHARE = 0.1  # of all images; with more, something else is wrong than a few files
SHARED_SHARE = 0.25  # of a split; with more, its scores say nothing
_SHOWN = 3
_TICK = 100_000_000  # nanoseconds that two changes may be apart and still get the same time from a file system
_RULES = f"4, Pillow {PIL.__version__}, {MAX_PIXELS}"  # an inspection under other rules does not count


@dataclass(frozen=True)
class Survey:
    """What was found in a dataset's images: an inspection for each one that can be used, a line for each other one."""

    usable: Mapping[str, Inspection]
    problems: Mapping[str, str]

    @classmethod
    def of_results(cls, names: Iterable[str], results: Iterable[Inspection | str]) -> Self:
        """From the name of each image and its inspection, or the line that says why it cannot be used."""
        pairs = list(zip(names, results, strict=True))
        return cls(
            usable={name: result for name, result in pairs if isinstance(result, Inspection)},
            problems={name: result for name, result in pairs if isinstance(result, str)},
        )

    def skipped(self, on_error: str) -> tuple[str, ...]:
        """The problems, if images may be skipped at all, and so many.

        Raises:
            UserError: names the first image that cannot be used.
        """
        problems = tuple(self.problems.values())
        if not problems:
            return ()
        total = len(self.usable) + len(problems)
        too_many = len(problems) > SKIPPED_SHARE * total
        if on_error == "fail" and not too_many:
            others = f" {len(problems) - 1:,} more images cannot be used." if len(problems) > 1 else ""
            raise UserError(f"{problems[0]}{others} To leave out what cannot be used: data.on_error=skip")
        if too_many:
            raise UserError(
                f"{len(problems):,} of {total:,} images cannot be used, more than the {SKIPPED_SHARE:.0%} that "
                f"data.on_error=skip leaves out: mend or remove them. The first: {problems[0]}"
            )
        return problems

    def of(self, splits: Mapping[str, Split]) -> dict[str, list[Inspection]]:
        """Role -> what was found in each of its images."""
        return {role: [self.usable[name] for name in split.names] for role, split in splits.items()}

    def notes(self, skipped: Sequence[str]) -> list[str]:
        """Lines for the user: what was skipped, and what is used only in part."""
        lines = []
        if skipped:
            total = len(self.usable) + len(skipped)
            lines.append(
                f"Left out because they cannot be used: {len(skipped):,} of {total:,} images; a run lists them in its "
                "run.json."
            )
            lines += [f"  {problem}" for problem in skipped[:_SHOWN]]
            lines += [f"  and {len(skipped) - _SHOWN:,} more"] if len(skipped) > _SHOWN else []
        animated = [name for name, inspection in self.usable.items() if inspection.animated]
        if animated:
            lines.append(
                f"Animated images, of which only the first frame is used: {len(animated):,}, as {animated[0]}."
            )
        return lines


class InspectionCache:
    """Inspections of earlier starts, in a file of the cache folder; each counts as long as its signature does.

    Args:
        dataset: the folder of the images, which names the file.
    """

    def __init__(self, dataset: Path):
        name = hashlib.blake2b(os.fsencode(dataset.resolve()), digest_size=16).hexdigest()
        self._path = cache_folder() / f"{name}.json"
        self._changed = False
        self._inspections: dict[str, list] = {}
        with suppress(OSError, ValueError, TypeError, KeyError):  # a damaged file is like none
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content["rules"] == _RULES:
                self._inspections = dict(content["found"])

    def get(self, name: str, signature: str) -> Inspection | None:
        """What was found under this name, if the signature is still the same."""
        saved_signature, *values = self._inspections.get(name, [None])
        return Inspection(*values) if saved_signature == signature and len(values) == len(Inspection._fields) else None

    def put(self, name: str, signature: str, inspection: Inspection) -> None:
        """Remembers an inspection, as long as the signature stays the same."""
        self._inspections[name] = [signature, *inspection]
        self._changed = True

    def save(self) -> None:
        """Writes what is new. A cache that cannot be written only costs time."""
        if not self._changed:
            return
        text = json.dumps({"rules": _RULES, "found": self._inspections})
        with suppress(OSError, UserError):  # a full disk is a `UserError`
            self._path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(self._path, lambda path: _write_privately(path, text))
        self._changed = False


def _write_privately(path: Path, text: str) -> None:
    """For the user's own eyes: names of photos may be private."""
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)


def signature_of(path: Path) -> str | None:
    """What changes when a file does; None for one that is missing, or changed so lately that a further change might
    leave the signature as it is."""
    try:
        status = path.stat()
    except OSError:
        return None
    # The time of the last change of status cannot be set back, as that of the content can.
    fresh = time.time_ns() - status.st_ctime_ns < _TICK
    return None if fresh else f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def inspection_or_problem(inspect: Callable[..., Inspection], *given: object) -> Inspection | str:
    """An inspection, or the line that says why the image cannot be used."""
    try:
        return inspect(*given)
    except UserError as problem:
        return str(problem)


def contradiction_notes(
    splits: Mapping[str, Split], inspections: Mapping[str, Sequence[Inspection]], classes: Sequence[str]
) -> list[str]:
    """A line where the same image has two labels: of one photo, at most one can be right."""
    first: dict[str, tuple[str, int]] = {}
    pairs = []
    for role, split in splits.items():
        for name, label, inspection in zip(split.names, split.labels.tolist(), inspections[role], strict=True):
            other, other_label = first.setdefault(inspection.pixels, (name, label))
            if other_label != label:
                pairs.append(f"{other} ({classes[other_label]}) = {name} ({classes[label]})")
    if not pairs:
        return []
    return [f"The same image is in two classes {len(pairs):,} times, such as {pairs[0]}. Remove the wrong ones."]


def shared_image_notes(splits: Mapping[str, Split], inspections: Mapping[str, Sequence[Inspection]]) -> list[str]:
    """A line for each two roles that share photos, whatever their names and whether or not they were saved anew.

    Args:
        splits: role -> its images.
        inspections: role -> what was found in each of them.

    Raises:
        UserError: so large a part of a split is in another one that its scores would say nothing.
    """
    lines = []
    for role, earlier_roles in (("validation", ["train"]), ("test", ["train", "validation"])):
        for earlier in earlier_roles:
            name_of = {
                inspection.pixels: name
                for name, inspection in zip(splits[earlier].names, inspections[earlier], strict=True)
            }
            pairs = [
                (name, name_of[inspection.pixels])
                for name, inspection in zip(splits[role].names, inspections[role], strict=True)
                if inspection.pixels in name_of
            ]
            if not pairs:
                continue
            total = len(splits[role])
            line = (
                f"{len(pairs):,} of {total:,} {role} images are also {earlier} images, such as {pairs[0][0]} = "
                f"{pairs[0][1]}; scores on them flatter the model. Remove them from one of the two."
            )
            if len(pairs) > SHARED_SHARE * total:
                raise UserError(line)
            lines.append(line)
    return lines
