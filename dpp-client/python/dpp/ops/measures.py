"""Ops that make one number of a list, or of two side by side.

Written by `ops_from_rust.py` from `dpp-ops/src/ops/measures/`: change it there.
"""

from __future__ import annotations

from dpp._node import Node, join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from dpp.expressions import Expr


class MeasuresOps(Node):
    """Methods of an expression. Ops that make one number of a list, or of two side by side."""

    __slots__ = ()

    def list_len(self) -> Self:
        """The number of ids of every row. id_list → dense `[rows]`. An int becomes an id_list first.

        - An empty row gives 0. Exact up to 2^24. No parameters, no errors.
        - Source: TorchArrow `list.length`.
        """
        return self._apply("list_len")

    def list_max(self) -> Self:
        """The highest score of every row. id_score_list → dense `[rows]`.

        - An empty row gives null. NaN is passed over, and is the result only where every score is NaN; of 0 and −0 the
          first stays. No parameters, no errors.
        - Source: ours.
        """
        return self._apply("list_max")

    def list_mean(self) -> Self:
        """The sum of the scores of every row, over their number. id_score_list → dense `[rows]`.

        - An empty row gives null. NaN gives the one canonical NaN. Added and divided in f64, in list order, rounded
          once. No parameters, no errors.
        - Source: ours.
        """
        return self._apply("list_mean")

    def list_min(self) -> Self:
        """The lowest score of every row. id_score_list → dense `[rows]`.

        - An empty row gives null. NaN is passed over, and is the result only where every score is NaN; of 0 and −0 the
          first stays. No parameters, no errors.
        - Source: ours.
        """
        return self._apply("list_min")

    def list_sum(self) -> Self:
        """The sum of the scores of every row. id_score_list → dense `[rows]`.

        - An empty row gives 0. NaN gives the one canonical NaN. Added in f64 in list order, rounded once. No
          parameters, no errors.
        - Source: ours.
        """
        return self._apply("list_sum")


def get_cosine_similarity(a: Expr, b: Expr) -> Expr:
    """Σ a_i·b_i / |a| / |b|, a_i the sum of an id's scores in a. id_score_list, id_score_list → dense `[rows]`.

    - Zero norm on either side, an empty one included: 0 (ours; TorchArrow fails). Sums run over ascending ids, an
      id's scores in list order; ±inf and NaN in a score give the one canonical NaN where the formula does.
    - Source: TorchArrow `get_cosine_similarity` (compute_score.h).
    - Computed in f64, rounded once. No parameters, no errors.
    """
    return join("get_cosine_similarity", (a, b))


def get_jaccard_similarity(a: Expr, b: Expr) -> Expr:
    """c / (|a| + |b| − c), c the size of the multiset intersection. id_list, id_list → dense `[rows]`. An int
    becomes an id_list first.

    - Both empty: 0 (ours; TorchArrow divides by zero). Scores do not count.
    - Source: TorchArrow `get_jaccard_similarity` (compute_score.h).
    - In f32. No parameters, no errors.
    """
    return join("get_jaccard_similarity", (a, b))


def get_max_count(a: Expr, b: Expr) -> Expr:
    """Σ over ids that a and b share of max(times in a, times in b). id_list, id_list → dense `[rows]`. An int
    becomes an id_list first.

    - An empty side gives 0. Scores do not count. Exact up to 2^24.
    - Source: TorchArrow `get_max_count` (compute_score.h).
    - In f32. No parameters, no errors.
    """
    return join("get_max_count", (a, b))


def get_score_max(a: Expr, b: Expr) -> Expr:
    """The highest of b's scores over the ids that a has too. id_list, id_score_list → dense `[rows]`. An int
    becomes an id_list first.

    - No match gives 0. NaN is passed over, and is the result only where every match is NaN; of 0 and −0 the one
      with the lower id stays. a's scores do not count.
    - Source: TorchArrow `get_score_max` (compute_score.h).
    - In f32. No parameters, no errors.
    """
    return join("get_score_max", (a, b))


def get_score_min(a: Expr, b: Expr) -> Expr:
    """The lowest of b's scores over the ids that a has too. id_list, id_score_list → dense `[rows]`. An int
    becomes an id_list first.

    - No match gives 0. NaN is passed over, and is the result only where every match is NaN; of 0 and −0 the one
      with the lower id stays. a's scores do not count.
    - Source: TorchArrow `get_score_min` (compute_score.h).
    - In f32. No parameters, no errors.
    """
    return join("get_score_min", (a, b))


def get_score_sum(a: Expr, b: Expr) -> Expr:
    """Σ of b's scores over the ids that a has too. id_list, id_score_list → dense `[rows]`. An int becomes an
    id_list first.

    - No match gives 0. An id that a has twice counts once. Sums run over ascending ids, an id's scores in list
      order. a's scores do not count. NaN gives the one canonical NaN.
    - Source: TorchArrow `get_score_sum` (compute_score.h).
    - Added in f64, rounded once. No parameters, no errors.
    """
    return join("get_score_sum", (a, b))


def has_id_overlap(a: Expr, b: Expr) -> Expr:
    """1 if a and b share an id, else 0. id_list, id_list → dense `[rows]`. An int becomes an id_list first.

    - An empty side gives 0. Scores do not count.
    - Source: TorchArrow `has_id_overlap` (compute_score.h).
    - In f32. No parameters, no errors.
    """
    return join("has_id_overlap", (a, b))


def id_overlap_count(a: Expr, b: Expr) -> Expr:
    """Σ over ids of min(times in a, times in b): the size of the multiset intersection. id_list, id_list → dense
    `[rows]`. An int becomes an id_list first.

    - An empty side gives 0. Scores do not count. Exact up to 2^24.
    - Source: TorchArrow `id_overlap_count` (compute_score.h): its code, not its docstring.
    - In f32. No parameters, no errors.
    """
    return join("id_overlap_count", (a, b))
