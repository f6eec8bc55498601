"""Images beside those that a layer takes for the most alike."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading
from convlens.visualization.overlays import fitted
from convlens.visualization.sheet import MARGIN, Sheet, line_height, shorten

if TYPE_CHECKING:
    from convlens.interpret import Neighbours

LARGE, SMALL, GAP = 230, 170, 26
LINE = line_height(palette.LABEL_SIZE)


def neighbours_figure(
    neighbours: "Neighbours",
    *,
    query_classes: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    caption: Caption = UNKNOWN,
) -> Figure:
    """A row a query: the image, large, then its nearest neighbours with their distance and class.

    `query_classes` (q,) are the queries' right classes, `names` tell where they come from. Where a neighbour's class is
    not the query's, it is written in red.
    """
    queries, distances = np.asarray(neighbours.queries), neighbours.distances
    count = distances.shape[1]
    classes = None if neighbours.labels is None else neighbours.labels[neighbours.rows]
    sheet = Sheet(width=1200)
    same, share = np.ones(distances.shape, bool), ""
    if classes is not None and query_classes is not None:
        same = np.equal(classes, np.asarray(query_classes)[:, None])
        share = f"{same.mean():.0%} of the neighbours are of the image's own class"
    among = f"among {caption.images(neighbours.searched)}"
    facts = caption.facts(*filter(None, (among, "distance (1 − cosine): 0 alike, 1 nothing in common", share)))
    width = LARGE + 2 * GAP + count * (SMALL + GAP)
    title = f"What is nearest in {caption.layer or neighbours.layer}?"
    y = heading(sheet, title, facts, max(1200, width))
    large, small = (fitted(queries.shape[1:3], side) for side in (LARGE, SMALL))
    for row, query in enumerate(queries):
        sheet.photo(MARGIN, y, query, large[1], large[0])
        lines = [] if query_classes is None else [caption.class_name(query_classes[row])]
        lines += [names[row]] if names is not None else []
        for line, text in enumerate(lines):
            style = {"weight": "bold"} if line == 0 else {"color": palette.QUIET_TEXT}
            below = y + large[0] + 8 + line * LINE
            sheet.text(MARGIN, below, shorten(text, LARGE, palette.LABEL_SIZE), palette.LABEL_SIZE, **style)
        for rank, image in enumerate(neighbours.images[neighbours.rows[row]]):
            x = MARGIN + LARGE + 2 * GAP + rank * (SMALL + GAP)
            top = y + (large[0] - small[0]) / 2
            sheet.photo(x, top, image, small[1], small[0])
            ink = palette.QUIET_TEXT if same[row, rank] else palette.POSITIVE
            texts = [f"{distances[row, rank]:.3f}"]
            if classes is not None:
                texts.append(shorten(caption.class_name(classes[row, rank]), SMALL + GAP - 8, palette.LABEL_SIZE))
            for line, text in enumerate(texts):
                sheet.text(x, top + small[0] + 8 + line * LINE, text, palette.LABEL_SIZE, color=ink)
        y += large[0] + 8 + max(len(lines), 2) * LINE + 26
    return sheet.figure()
