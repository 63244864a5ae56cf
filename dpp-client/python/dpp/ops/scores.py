"""Ops on the scores that ids carry.

Written by `ops_from_rust.py` from `dpp-ops/src/ops/scores/`: change it there.
"""

from __future__ import annotations

from dpp._node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from dpp._node import Number, PerFeature


class ScoresOps(Node):
    """Methods of an expression. Ops on the scores that ids carry."""

    __slots__ = ()

    def drop_scores(self) -> Self:
        """The ids of every row, without their scores. id_list → id_list, id_score_list → id_list. An int becomes an
        id_list first.

        - Empty rows stay empty. No parameters, no errors.
        - Source: ours.
        """
        return self._apply("drop_scores")

    def scores_clamp(self, min: PerFeature[Number] | None = None, max: PerFeature[Number] | None = None) -> Self:
        """`clamp(min, max)` of every score. id_list → id_list; id_score_list → id_score_list of the same ids.

        - Either bound may be left out, not both. NaN passes. Empty rows stay empty.
        - Errors: those of `clamp`.
        - Source: ours.
        """
        return self._apply("scores_clamp", min=min, max=max)

    def scores_log1p(self) -> Self:
        """`log1p` of every score, ln(1 + score). id_list → id_list; id_score_list → id_score_list of the same ids.

        - The same bits on every machine. −1 gives −inf; less than −1 and NaN give the one canonical NaN. Empty rows
          stay empty. No parameters, no errors.
        - Source: ours.
        """
        return self._apply("scores_log1p")

    def sort_by_score(self, descending: bool = True) -> Self:
        """The ids of every row by their scores, highest first, or lowest first. id_list → id_list; id_score_list →
        id_score_list, each score with its id.

        - Stable: equal scores keep their order; 0 equals −0. NaN comes last either way, in its order.
        - Empty rows stay empty.
        - Errors: `descending` is neither true nor false.
        - Source: ours.
        """
        return self._apply("sort_by_score", descending=descending)

    def top_k_by_score(self, k: PerFeature[int]) -> Self:
        """The first min(k, length) ids of `sort_by_score()`. id_list → id_list; id_score_list → id_score_list, each
        score with its id.

        - Highest score first; equal scores keep their order; NaN comes last, and is kept only where numbers are too
          few.
        - k ≤ 0 gives empty rows. Empty rows stay empty.
        - Errors: k is no whole number.
        - Source: ours.
        """
        return self._apply("top_k_by_score", k=k)
