"""The ops: methods of expressions where an op has one feature input, functions where it has several.

Written by `ops_from_rust.py` from the Rust files of the ops: change it there.
"""

from dpp.ops.dense import DenseOps
from dpp.ops.ids import IdsOps
from dpp.ops.images import ImagesOps
from dpp.ops.measures import (
    MeasuresOps,
    get_cosine_similarity,
    get_jaccard_similarity,
    get_max_count,
    get_score_max,
    get_score_min,
    get_score_sum,
    has_id_overlap,
    id_overlap_count,
)
from dpp.ops.scores import ScoresOps
from dpp.ops.sets import cartesian, categorical_ngram, cross, difference, id_list_transform, intersect, union
from dpp.ops.text import TextOps

__all__ = [
    "cartesian",
    "categorical_ngram",
    "cross",
    "difference",
    "get_cosine_similarity",
    "get_jaccard_similarity",
    "get_max_count",
    "get_score_max",
    "get_score_min",
    "get_score_sum",
    "has_id_overlap",
    "id_list_transform",
    "id_overlap_count",
    "intersect",
    "union",
]


class Methods(DenseOps, IdsOps, ImagesOps, MeasuresOps, ScoresOps, TextOps):
    """Every op that has one feature input."""

    __slots__ = ()


METHODS = [
    "abs",
    "add",
    "box_cox",
    "bucketize",
    "cast_dense",
    "center_crop",
    "clamp",
    "clamp_list",
    "clip_log",
    "decode_image",
    "divide",
    "drop_scores",
    "enumerate",
    "fill_nan",
    "fill_null",
    "first_x",
    "get_local_hour",
    "horizontal_flip",
    "is_present",
    "last_x",
    "list_len",
    "list_max",
    "list_mean",
    "list_min",
    "list_slice",
    "list_sum",
    "log",
    "log1p",
    "logit",
    "look_up",
    "lower",
    "map_id",
    "min_max",
    "multiply",
    "ngram",
    "normalize",
    "offset",
    "one_hot",
    "positive_modulus",
    "quantile",
    "random_resized_crop",
    "resize",
    "scores_clamp",
    "scores_log1p",
    "sign_log1p",
    "sigrid_hash",
    "sort",
    "sort_by_score",
    "split",
    "sqrt",
    "subtract",
    "to_ids",
    "token_ngram",
    "top_k_by_score",
    "unique",
    "z_score",
]
