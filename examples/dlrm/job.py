"""What to read: a table's earlier days to learn from, its last days to predict, and the plan for both.

Works on any table with a `label`, dense and id features and daily partitions `ds=YYYY-MM-DD`.
"""
from dataclasses import dataclass

import dpp

BUCKETS = 20_000  # ids of a feature are hashed to these
HELD_OUT_DAYS = 10
LABEL = "label"


@dataclass(frozen=True)
class Job:
    """Two views of one table, and the plan that makes tensors of their rows."""

    earlier: dpp.Table
    later: dpp.Table
    first_later_day: str
    plan: dpp.Plan
    num_dense: int
    num_sparse: int


def make_job(table):
    """Holds out the last ten days, or a quarter of them where there are few. Fails when there are fewer than two."""
    days = partition_days(table)
    if len(days) < 2:
        raise SystemExit("the demo predicts later days from earlier ones: give a table with partitions ds=YYYY-MM-DD")
    first_later_day = days[-min(HELD_OUT_DAYS, max(1, len(days) // 4))]
    names = {kind: [f.name for f in table.features if f.kind == kind and f.name != LABEL]
             for kind in ("dense", "int", "id_list", "id_score_list")}
    ids = names["id_list"] + names["id_score_list"]
    return Job(
        earlier=table.filter(dpp.col("ds") < first_later_day),
        later=table.filter(dpp.col("ds") >= first_later_day),
        first_later_day=first_later_day,
        plan=make_plan(names["dense"], ids, carried=names["int"]),
        num_dense=len(names["dense"]),
        num_sparse=len(ids),
    )


def make_plan(dense, ids, carried):
    """Dense values to logarithms, ids to hashes; integers and row numbers travel unchanged."""
    return dpp.Plan(
        dense={name: dpp.col(name).fill_null(0).clamp(min=0).log1p() for name in dense},
        sparse={name: dpp.col(name).first_x(20).sigrid_hash(salt=0, max_value=BUCKETS) for name in ids},
        labels=dpp.col(LABEL),
        extras=[*map(dpp.col, carried), dpp.row_id()],
    )


def partition_days(table):
    """The values of the partition column `ds`, ascending."""
    parts = (part for path in table.snapshot().paths for part in path.split("/"))
    return sorted({part.removeprefix("ds=") for part in parts if part.startswith("ds=")})
