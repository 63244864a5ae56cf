"""dpp: rows of large tables as tensors for ranking models, on-box or from a fleet of workers.

>>> import dpp
>>> table = dpp.Table("s3://ads/clicks/").filter(dpp.col("ds") >= "2026-11-01")
>>> plan = dpp.Plan(
...     dense=dpp.cols("I*").fill_null(0).clamp(min=0).log1p(),
...     sparse=dpp.cols("C*").first_x(20).sigrid_hash(salt=0, max_value=1_000_000),
...     labels=dpp.col("label"),
... )
>>> for batch in dpp.DataLoader(table, plan, batch_size=8192):
...     loss = model(batch.dense, batch.sparse, batch.labels)

Importing this package imports neither torch nor numpy nor pyarrow; whoever asks for their tensors does.
"""

from dpp._dpp import __version__
from dpp.batch import Batch, Extras, Jagged, Sparse, Vectors
from dpp.errors import (
    Changed,
    CorruptData,
    Error,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from dpp.expressions import Expr, PatternExpr, col, cols, op, row_id
from dpp.fitting import Fitted, fit
from dpp.keys import AwsKms, Encryption, EnvironmentKeys, KeyFile, Keys, Vault
from dpp.loader import DataLoader, Shuffle
from dpp.ops import (
    cartesian,
    categorical_ngram,
    cross,
    difference,
    get_cosine_similarity,
    get_jaccard_similarity,
    get_max_count,
    get_score_max,
    get_score_min,
    get_score_sum,
    has_id_overlap,
    id_list_transform,
    id_overlap_count,
    intersect,
    union,
)
from dpp.plan import Plan
from dpp.predicates import Predicate, negative_downsample, sample
from dpp.service import Service
from dpp.states import merge_states
from dpp.table import Feature, Snapshot, SnapshotDifference, Table
from dpp.write import write_table

__all__ = [
    "AwsKms",
    "Batch",
    "Changed",
    "CorruptData",
    "DataLoader",
    "Encryption",
    "EnvironmentKeys",
    "Error",
    "Expr",
    "Extras",
    "Feature",
    "Fitted",
    "InvalidRequest",
    "Jagged",
    "KeyFile",
    "Keys",
    "NotFound",
    "PatternExpr",
    "PermissionDenied",
    "Plan",
    "Predicate",
    "Service",
    "Shuffle",
    "Snapshot",
    "SnapshotDifference",
    "Sparse",
    "Table",
    "Unavailable",
    "Vault",
    "Vectors",
    "__version__",
    "cartesian",
    "categorical_ngram",
    "col",
    "cols",
    "cross",
    "difference",
    "fit",
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
    "merge_states",
    "negative_downsample",
    "op",
    "row_id",
    "sample",
    "union",
    "write_table",
]
