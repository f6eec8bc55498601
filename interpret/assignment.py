"""The one-to-one assignment of rows to columns with the largest sum of scores."""

import numpy as np

from convlens.core.errors import UserError


def best_assignment(scores: np.ndarray) -> np.ndarray:
    """The column for each row of `scores` (rows, columns), each column once, and the largest sum; -1: none is left.

    Exact. The Hungarian method by shortest augmenting paths, one row after the other: Jonker and Volgenant, "A Shortest
    Augmenting Path Algorithm for Dense and Sparse Linear Assignment Problems", Computing 38, 1987. Its time grows with
    the third power of the side: 512 x 512 take about a second. Raises UserError for scores that are not finite.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or not np.isfinite(scores).all():
        raise UserError(f"scores of shape {scores.shape}; expected a matrix of finite numbers")
    rows, columns = scores.shape
    if rows > columns:
        chosen = best_assignment(scores.T)
        assigned = np.full(rows, -1)
        assigned[chosen] = np.arange(columns)
        return assigned
    costs = scores.max(initial=0.0) - scores
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    owner = np.full(columns, -1)  # the row that has a column
    for row in range(rows):
        _give_column(row, costs, row_price, column_price, owner)
    assigned = np.empty(rows, int)
    assigned[owner[owner >= 0]] = np.nonzero(owner >= 0)[0]
    return assigned


def _give_column(
    row: int, costs: np.ndarray, row_price: np.ndarray, column_price: np.ndarray, owner: np.ndarray
) -> None:
    """Assigns a column to one more row, moving other rows along the cheapest path, and updates the prices."""
    columns = len(owner)
    distance, came_from = np.full(columns, np.inf), np.full(columns, -1)
    done = np.zeros(columns, bool)
    passed = [row]  # rows on the way, with how far each is
    reached = [0.0]
    at, so_far, end = row, 0.0, -1
    while end < 0:
        ahead = so_far + costs[at] - row_price[at] - column_price
        better = ~done & (ahead < distance)
        distance[better], came_from[better] = ahead[better], at
        nearest = int(np.argmin(np.where(done, np.inf, distance)))
        so_far = distance[nearest]
        done[nearest] = True
        if owner[nearest] < 0:
            end = nearest
        else:
            at = owner[nearest]
            passed.append(at)
            reached.append(so_far)
    row_price[passed] += so_far - np.array(reached)
    column_price[done] -= so_far - distance[done]
    while end >= 0:
        at = came_from[end]
        had = np.nonzero(owner == at)[0]
        owner[end] = at
        end = int(had[0]) if len(had) else -1
