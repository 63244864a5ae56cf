"""Ops that give lists of ids, from one column.

Written by `ops_from_rust.py` from `dpp-ops/src/ops/ids/`: change it there.
"""

from __future__ import annotations

from dpp._node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from dpp._node import Number, PerFeature


class IdsOps(Node):
    """Methods of an expression. Ops that give lists of ids, from one column."""

    __slots__ = ()

    def bucketize(self, borders: PerFeature[Iterable[Number]], right: bool = True) -> Self:
        """The bin of x among n borders b, 0 … n. dense `[rows] → id_list [rows]` of one id; an int becomes dense
        first; an id_list has every id replaced by its bin, scores pass through.

        - right (right-closed bins, `b[i−1] < x ≤ b[i]` → i): i = number of borders < x; if i < n − 1 and not `x <
          b[i+1]`, i + 1. So a value equal to a doubled border has a bin of its own. `right=False` (left-closed): number
          of borders ≤ x.
        - Values, ids and borders are compared as f32: ids beyond 2^24 and borders are rounded first.
        - Null → empty list. −inf → 0, +inf → n. NaN: right-closed as TorchArrow's code, 1, or 0 if n = 1; left-closed
          as TensorFlow's `upper_bound`, n.
        - Errors: no borders; a border smaller than the one before, NaN or too large for f32.
        - Source: TorchArrow `bucketize`; left-closed: NVTabular Bucketize, Keras Discretization.
        """
        return self._apply("bucketize", borders=borders, right=right)

    def clamp_list(self, lo: PerFeature[int], hi: PerFeature[int]) -> Self:
        """lo if id < lo, hi if id > hi, else id. id_list → id_list, row by row of the same length; scores pass
        through. An int becomes an id_list first.

        - Empty rows stay empty.
        - Errors: lo > hi (Velox's scalar clamp gives hi instead); a bound that is no whole number.
        - Source: TorchArrow `clamp_list`.
        """
        return self._apply("clamp_list", lo=lo, hi=hi)

    def enumerate(self) -> Self:
        """Each id's position in its row, 0 … length − 1. id_list → id_list, row by row of the same length; scores pass
        through. An int becomes an id_list first.

        - Empty rows stay empty. No parameters, no errors.
        - Source: ours.
        """
        return self._apply("enumerate")

    def first_x(self, n: PerFeature[int]) -> Self:
        """The first min(n, length) ids of every row. id_list → id_list; id_score_list → id_score_list, each score with
        its id. An int becomes an id_list first.

        - n ≤ 0 gives empty rows. Empty rows stay empty.
        - Errors: n is no whole number.
        - Source: TorchArrow `firstx`.
        """
        return self._apply("first_x", n=n)

    def last_x(self, n: PerFeature[int]) -> Self:
        """The last min(n, length) ids of every row, in order. id_list → id_list; id_score_list → id_score_list, each
        score with its id. An int becomes an id_list first.

        - n ≤ 0 gives empty rows. Empty rows stay empty.
        - Errors: n is no whole number.
        - Source: ours; NVTabular ListSlice with a negative start.
        """
        return self._apply("last_x", n=n)

    def list_slice(self, start: PerFeature[int] = 0, end: PerFeature[int] | None = None) -> Self:
        """The ids from position start up to, not including, end. id_list → id_list; id_score_list → id_score_list,
        each score with its id. An int becomes an id_list first.

        - As Python slices: a negative position counts from the row's end, positions beyond it are its ends; without
          end, to the end.
        - No padding. Empty rows stay empty.
        - Errors: a position that is no whole number.
        - Source: NVTabular ListSlice, TorchArrow `list.slice`.
        """
        return self._apply("list_slice", start=start, end=end)

    def look_up(self, artefact: PerFeature[str], digest: PerFeature[str], output: PerFeature[str]) -> Self:
        """The id's place in the vocabulary that was fitted for a sparse output, from 1 for the most frequent one; 0
        for an id that is not there. id_list → id_list, row by row of the same length; scores pass through. An int
        becomes an id_list first.

        - The plan names the artefact by URL and by the SHA-256 of its bytes. Whoever runs the plan reads it once, under
          its own identity, and refuses one of another digest; a worker that asks for tokens, one outside of the tables
          of the token.
        - A vocabulary of n ids gives 0 … n: a table of n + 1 rows. Empty rows stay empty.
        - Errors: a digest that is not 64 hexadecimal digits; an output that the artefact has no vocabulary for.
        - Source: ours; Keras IntegerLookup, with unknown ids at 0.
        """
        return self._apply("look_up", artefact=artefact, digest=digest, output=output)

    def map_id(
        self,
        table: PerFeature[Iterable[int]],
        default: PerFeature[int] = 0,
        keys: PerFeature[Iterable[int]] | None = None,
    ) -> Self:
        """table[id]; with keys, table[i] where keys[i] = id; default for an id that is not there. id_list → id_list,
        row by row of the same length; scores pass through. An int becomes an id_list first.

        - Without keys the table is an array: negative ids and those past its end give the default. Empty rows stay
          empty.
        - In JSON a dictionary is two lists of one length: `"keys": [7, 9], "table": [1, 2]`.
        - Errors: keys that are not as many as the table, or not distinct; anything that is no whole number.
        - Source: DPP paper (MapId), TorchArrow `map_id`; the default for negative ids is ours.
        """
        return self._apply("map_id", table=table, default=default, keys=keys)

    def ngram(self, n: PerFeature[int]) -> Self:
        """For every window of n' = min(n, length) neighbours w: h128(… h128(h128(w[0], w[1]), w[2]) …). id_list →
        id_list of windows. An int becomes an id_list first.

        - length − n' + 1 windows, in order; a window of one id is that id. h128(upper, lower) is that of `sigrid_hash`,
          without twang: order counts.
        - Empty rows stay empty. Scores are left behind.
        - Errors: n ≤ 0; n is no whole number.
        - Source: windows as Velox `ngrams`; the folding is ours.
        """
        return self._apply("ngram", n=n)

    def offset(self, k: PerFeature[int]) -> Self:
        """id + k. id_list → id_list, row by row of the same length; scores pass through. An int becomes an id_list
        first.

        - Wrapping at 64 bits. Empty rows stay empty.
        - Errors: k is no whole number.
        - Source: ours; what concatenated vocabularies need.
        """
        return self._apply("offset", k=k)

    def positive_modulus(self, m: PerFeature[int]) -> Self:
        """id mod m, in `[0, m)`, negative ids too. id_list → id_list, row by row of the same length; scores pass
        through. An int becomes an id_list first.

        - Floor-mod: −1 gives m − 1. Empty rows stay empty.
        - Errors: m ≤ 0; m is no whole number.
        - Source: ReAgent and Caffe2 (PositiveModulus).
        """
        return self._apply("positive_modulus", m=m)

    def sigrid_hash(self, salt: PerFeature[int], max_value: PerFeature[int]) -> Self:
        """h128(upper = salt, lower = twang(id)) mod max_value, in `[0, max_value)`. id_list → id_list, row by row of
        the same length; scores pass through. An int becomes an id_list first, its null empty.

        - All in u64, wrapping; the hash is read as i64 and reduced by floor-mod. max_value = 1 gives 0.
        - Empty rows stay empty.
        - Errors: max_value ≤ 0; a parameter that is no whole number.
        - Source: TorchArrow `sigrid_hash` (`twang_mix64` and `hash128to64` of folly), bit-compatible.
        """
        return self._apply("sigrid_hash", salt=salt, max_value=max_value)

    def sort(self) -> Self:
        """The ids of every row, ascending; equal ids keep their order, so their scores do. id_list → id_list;
        id_score_list → id_score_list, each score with its id. An int becomes an id_list first.

        - Empty rows stay empty. No parameters, no errors.
        - Source: ours.
        """
        return self._apply("sort")

    def to_ids(self) -> Self:
        """a list of the one id. int `[rows]` → id_list `[rows]`; an id_list passes unchanged.

        - Inserted by itself where an op or an output asks for an id_list and is given an int.
        - Null → empty list; `fill_null(k).to_ids()` gives k instead. Empty in, empty out. No parameters, no errors.
        - Source: ours.
        """
        return self._apply("to_ids")

    def unique(self) -> Self:
        """The ids of every row, each at its first place only. id_list → id_list; id_score_list → id_score_list, each
        score with its id. An int becomes an id_list first.

        - Empty rows stay empty. No parameters, no errors.
        - Source: ours; PyTorch `unique_consecutive` is another thing.
        """
        return self._apply("unique")
