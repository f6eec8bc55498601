"""Images beside those that a layer takes for the most alike."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from convlens.visualization import palette
from convlens.visualization.caption import UNKNOWN, Caption, heading
from convlens.visualization.overlays import fitted
from convlens.visualization.sheet import MARGIN, Sheet, line_height, shorten

LARGE, SMALL, GAP = 230, 170, 26
LINE = line_height(palette.LABEL_SIZE)


def neighbours_figure(
    queries: np.ndarray,
    neighbours: np.ndarray,
    distances: np.ndarray,
    *,
    labels: Sequence[str] | None = None,
    query_classes: Sequence[int] | None = None,
    classes: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    images: int | None = None,
    split: str = "",
    caption: Caption = UNKNOWN,
) -> Figure:
    """A row a query: the image, large, then its nearest neighbours with their distance and class.

    `queries` are (q, height, width, channels), `neighbours` (q, count, height, width, channels), both in [0, 255];
    `distances` (q, count) are 1 less the cosine. `query_classes` (q,) and `classes` (q, count) index `labels`; where a
    neighbour's class is not the query's, it is written in red. `names` tell where the queries come from,
    `images` how many were searched.
    """
    queries, distances = np.asarray(queries), np.asarray(distances)
    count = distances.shape[1]
    sheet = Sheet(width=1200)
    known = classes is not None and query_classes is not None
    same = np.asarray(classes) == np.asarray(query_classes)[:, None] if known else np.ones(distances.shape, bool)
    among = f"among {images:,} images" + (f" of {split}" if split else "") if images else split
    share = f"{same.mean():.0%} of the neighbours are of the image's own class" if known else ""
    facts = caption.facts(
        *filter(None, (among, "distance (1 − cosine): 0 for the same features, 1 for nothing in common", share))
    )
    width = LARGE + 2 * GAP + count * (SMALL + GAP)
    y = heading(sheet, f"What is nearest in {caption.layer or 'feature space'}?", facts, max(1200, width))
    large, small = (fitted(*queries.shape[1:3], side) for side in (LARGE, SMALL))
    for row, query in enumerate(queries):
        sheet.photo(MARGIN, y, query, large[1], large[0])
        told = (
            [] if query_classes is None else [labels[query_classes[row]] if labels else f"class {query_classes[row]}"]
        )
        told += [names[row]] if names is not None else []
        for line, text in enumerate(told):
            style = {"weight": "bold"} if line == 0 else {"color": palette.QUIET_TEXT}
            place = MARGIN, y + large[0] + 8 + line * LINE
            sheet.text(*place, shorten(text, LARGE, palette.LABEL_SIZE), palette.LABEL_SIZE, **style)
        for rank in range(count):
            x = MARGIN + LARGE + 2 * GAP + rank * (SMALL + GAP)
            top = y + (large[0] - small[0]) / 2
            sheet.photo(x, top, neighbours[row][rank], small[1], small[0])
            ink = palette.QUIET_TEXT if same[row, rank] else palette.POSITIVE
            texts = [f"{distances[row, rank]:.3f}"]
            if classes is not None:
                name = labels[classes[row][rank]] if labels is not None else f"class {classes[row][rank]}"
                texts.append(shorten(name, SMALL + GAP - 8, palette.LABEL_SIZE))
            for line, text in enumerate(texts):
                sheet.text(x, top + small[0] + 8 + line * LINE, text, palette.LABEL_SIZE, color=ink)
        y += large[0] + 8 + max(len(told), 2) * LINE + 26
    return sheet.figure()
