"""Ops that make one list of several features.

Written by `ops_from_rust.py` from `dpp-ops/src/ops/sets/`: change it there.
"""

from __future__ import annotations

from dpp._node import join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpp._node import PerFeature
    from dpp.expressions import Expr


def cartesian(a: Expr, b: Expr, max_len: PerFeature[int]) -> Expr:
    """h128(x, y) of every x of a and y of b, all of a's first x before those of its second, at most max_len of
    them. id_list, id_list → id_list. An int becomes an id_list first.

    - h128(upper, lower) is that of `sigrid_hash`, without twang: a × b differs from b × a, and a × a does not
      vanish. Scores are left behind.
    - A row that is empty on either side is empty.
    - Errors: max_len ≤ 0 or no whole number; more than 2^31 − 1 ids in a batch.
    - Source: DPP paper (Cartesian); the hash is ours.
    """
    return join("cartesian", (a, b), max_len=max_len)


def categorical_ngram(
    inputs: Iterable[Expr],
    limits: PerFeature[Iterable[int]],
    vocabulary: PerFeature[Iterable[int]] | None = None,
) -> Expr:
    """Σ slot_k · Π_{m<k} limits[m], where slot_k is the id of feature k. int, … → id_list of one id, 0 … Π limits
    − 1.

    - Without vocabulary a feature's slot is its id, in `[0, limits[k])`. With one, the vocabularies of all features
      one after the other, limits[k] ids each, it is the id's first place in its own.
    - Unknown ids, null, NaN and an empty list count as slot 0, so there is an id in every row.
    - A dense value is rounded to the nearest whole number first, halves away from zero. Of a list the first id
      counts.
    - Errors: limits that are not one for each input, or less than 1; a product of limits or a vocabulary beyond
      what fits; a vocabulary that is not Σ limits long.
    - Source: Caffe2 NGramFromCategorical; the form without vocabulary is ours.
    """
    return join("categorical_ngram", inputs, limits=limits, vocabulary=vocabulary)


def cross(a: Expr, b: Expr) -> Expr:
    """h128(a[i], b[i]) for every position i that both rows have. id_list, id_list → id_list. An int becomes an
    id_list first.

    - Made for features of one id; longer lists are paired position by position, the longer one is cut. h128 as for
      `cartesian`: order counts. Scores are left behind.
    - A row that is empty on either side is empty, so a null on either side gives no id. No parameters, no errors.
    - Source: ours; NVTabular's HashedCross XORs, so a × a vanishes there and order is lost.
    """
    return join("cross", (a, b))


def difference(a: Expr, b: Expr) -> Expr:
    """The ids of a that are not in b, in a's order, once each. id_list, id_list → id_list. An int becomes an
    id_list first.

    - Scores are left behind.
    - An empty b leaves a's distinct ids. No parameters, no errors.
    - Source: ours.
    """
    return join("difference", (a, b))


def id_list_transform(a: Expr, b: Expr) -> Expr:
    """The ids of a that are in b, in a's order, each at its first place only, with a's scores if it has them. a,
    id_list → as a. An int becomes an id_list first.

    - b's scores are left behind. A row that is empty on either side stays empty. No parameters, no errors.
    - Source: DPP paper (IdListTransform); order and multiplicity are ours.
    """
    return join("id_list_transform", (a, b))


def intersect(a: Expr, b: Expr) -> Expr:
    """The ids of a that are in b, in a's order, once each. id_list, id_list → id_list. An int becomes an id_list
    first.

    - Scores are left behind. `id_list_transform` keeps them.
    - A row that is empty on either side stays empty. No parameters, no errors.
    - Source: DPP paper (PositiveIntersect); order and multiplicity are ours.
    """
    return join("intersect", (a, b))


def union(a: Expr, b: Expr, *others: Expr) -> Expr:
    """The ids of all inputs, ascending, once each. id_list, … → id_list. An int becomes an id_list first.

    - Two inputs or more. Scores are left behind. A row that is empty everywhere stays empty.
    - No parameters. Errors: more than 2^31 − 1 ids in a batch.
    - Source: Caffe2 MergeIdLists; the order is ours.
    """
    return join("union", (a, b, *others))
