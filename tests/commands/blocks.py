"""Runs the Python blocks of a document one after another, as a reader would: python blocks.py FILE

Names that a document takes for granted stand for small things: a run of the working folder, its model, its images.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # where `tests` lies

from convlens.training import Run  # noqa: E402
from tests.commands.documents import python_blocks  # noqa: E402
from tests.commands.stand_ins import SECOND_RUN  # noqa: E402


def taken_for_granted() -> dict[str, object]:
    """What the documents call `model`, `images`, `batches`, ... without making it."""
    run, second = Run.open("runs/cars/latest"), Run.open(f"runs/cars/{SECOND_RUN}")
    batches = list(run.data.sample("test", 8, 16, masks=True))
    return {
        "model": run.model,
        "first": run.model,
        "second": second.model,
        "batches": batches,
        "images": batches[0][0][:2],
        "names": run.data.info.part_names,
        "labels": run.labels,
    }


def main(file: str) -> None:
    names = taken_for_granted()
    for block in python_blocks()[file]:
        source = "\n" * (block.line - 1) + block.text  # so that an error names the document's line
        exec(compile(source, file, "exec"), names)


if __name__ == "__main__":
    main(sys.argv[1])
