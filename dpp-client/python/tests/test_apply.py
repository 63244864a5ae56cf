"""Serving and training: a plan on a few rows gives the bytes that a loader gives for those rows."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pytest

import dpp


def rich_plan() -> dpp.Plan:
    return dpp.Plan(
        dense={
            **dpp.cols("I*").fill_null(0).clamp(min=-5, max=5),
            "overlap": dpp.id_overlap_count(dpp.col("C1"), dpp.col("C2")),
            "hour": dpp.col("ts").get_local_hour(3600),
            "ratio": dpp.col("I1") / (1 + dpp.col("I2").abs()),
        },
        sparse={
            **dpp.cols("C*").first_x(3).sigrid_hash(salt=7, max_value=1000),
            "S1": dpp.col("S1").top_k_by_score(2),
            "both": dpp.union(dpp.col("C1"), dpp.col("C2")),
            "words": dpp.col("request").lower().split("-"),
        },
        labels=dpp.col("label"),
        vectors=dpp.col("emb"),
        extras=[dpp.col("request"), dpp.col("blob"), dpp.col("ts"), dpp.row_id()],
        missing=-1.0,
    )


def as_arrow(url: str) -> pa.Table:
    return pa.dataset.dataset(url, partitioning="hive").to_table()


def test_rows_and_loader_agree_to_the_byte(small):
    table, plan = dpp.Table(small.url), rich_plan()
    bound = plan.bind(table)
    rows = as_arrow(small.url)
    first = 0
    for batch in dpp.DataLoader(table, plan, batch_size=23, output="numpy"):
        part = rows.slice(first, batch.num_rows)
        ids = range(first, first + batch.num_rows)
        served = bound.apply(part, row_ids=ids, output="numpy")
        assert served.fingerprint() == batch.fingerprint()
        assert np.array_equal(served.dense, batch.dense)
        lists = {name: part[name].to_pylist() for name in part.column_names}
        assert bound.apply(lists, row_ids=ids).fingerprint() == batch.fingerprint()
        assert bound.apply(part.to_batches()[0].slice(0, 1), row_ids=ids[:1]).num_rows == 1
        first += batch.num_rows
    assert first == small.num_rows


def test_what_was_bound_serves_without_its_table(small):
    bound = dpp.Plan.from_json(rich_plan().bind(dpp.Table(small.url)).to_json())
    row = {name: [None] for name in ("I1", "I2", "C1", "C2", "S1", "ts", "label", "emb", "request", "blob")}
    batch = bound.apply(row | {"more": [object()]}, output="numpy")
    assert batch.dense.tolist() == [[0.0, 0.0, 0.0, -1.0, -1.0]]
    assert batch.sparse.lengths.tolist() == [0] * 5
    assert batch.extras["request"] == [None] and batch.extras["row_id"].tolist() == [0]
    assert bound.apply({name: [] for name in row}, output="numpy").dense.shape == (0, 5)


def test_values_tell_their_kinds_where_the_plan_does_not():
    plan = dpp.Plan(
        dense={"x": dpp.col("x"), "n": dpp.col("s").list_mean()},
        sparse={"ids": dpp.col("ids"), "one": dpp.col("one"), "s": dpp.col("s")},
        vectors=dpp.col("v"),
        extras=[dpp.col("t"), dpp.col("b")],
    )
    rows = {
        "x": np.array([1.5, np.nan], np.float32),
        "one": [None, 7],
        "ids": [[], np.array([1, 2])],
        "s": [[(5, 0.5), None, (6, None)], [{"id": 7, "score": 2}]],
        "v": [[0.5, 1.0], [1, 2.5]],
        "t": [None, "é"],
        "b": [b"\0", None],
    }
    batch = plan.apply(rows, output="numpy")
    assert batch.dense[0].tolist() == [1.5, 0.5] and np.isnan(batch.dense[1, 0])
    assert batch.sparse["ids"].values.tolist() == [1, 2] and batch.sparse["one"].lengths.tolist() == [0, 1]
    assert batch.sparse["s"].weights.tolist() == [0.5, 2.0]
    assert batch.vectors["v"].tolist() == [[0.5, 1.0], [1.0, 2.5]]
    assert batch.extras["t"] == [None, "é"] and batch.extras["b"] == [b"\0", None]
    assert plan.apply(pa.table({"x": pa.array([1.0]), "one": [1], "ids": [[1]], "s": pa.array([[{"id": 1, "score": 0.5}]]),
        "v": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)), "t": ["a"], "b": [b""]})).num_rows == 1  # fmt: skip


def refused(plan: dpp.Plan, rows: object, says: str, **more: object) -> None:
    with pytest.raises(dpp.InvalidRequest, match=says):
        plan.apply(rows, **more)


def test_what_does_not_fit_is_said(small):
    bound = dpp.Plan(dense=dpp.col("I1"), sparse=dpp.col("C1"), vectors=dpp.col("emb")).bind(dpp.Table(small.url))
    fits = {"I1": [1.0], "C1": [[1]], "emb": [[1.0, 2.0, 3.0]]}
    assert bound.apply(fits).num_rows == 1
    refused(bound, {"I1": [1.0]}, "the rows lack feature (C1|emb); give a column of nulls")
    refused(bound, fits | {"I1": ["a"]}, 'column "I1": .*')
    refused(bound, fits | {"emb": [[1.0]]}, 'column "emb": a vector of 3 has 1 values')
    refused(bound, fits | {"I1": [1.0, 2.0]}, "rows: ")
    refused(bound, fits | {"C1": [[1 << 63]]}, 'column "C1"')
    refused(bound, fits, "2 row ids for 1 rows", row_ids=[1, 2])
    refused(bound, pa.table({"I1": ["a"], "C1": [[1]], "emb": [None]}), "feature I1 is text in the rows but dense in the plan")
    refused(bound, pa.array([1, 2]), "Arrow|rows are a record batch")
    refused(bound, 7, "rows are Arrow data .* or a dict from column to values, not int")
    refused(dpp.Plan(dense=dpp.col("x")), {"x": [None]}, 'column "x": no value tells its kind: bind the plan')
    refused(dpp.Plan(dense=dpp.col("x")), {"x": [{1, 2}]}, 'column "x"')
    refused(dpp.Plan(dense=dpp.col("x")), {"y": [1.0]}, "feature `x`|x")
    with pytest.raises(dpp.InvalidRequest, match="come from no file"):
        bound.apply(fits).origin()


def test_a_plan_is_compiled_once_and_travels(small):
    bound = dpp.Plan(dense=dpp.col("I1")).bind(dpp.Table(small.url))
    bound.apply({"I1": [1.0]})
    again = pickle.loads(pickle.dumps(bound))
    assert again == bound and again.apply({"I1": [2.0]}, output="numpy").dense.tolist() == [[2.0]]
    assert json.loads(bound.to_json())["nodes"] == [{"feature": "I1", "kind": "dense"}]
