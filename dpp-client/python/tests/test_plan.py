"""A plan sorts expressions into tensors; its JSON says the same and comes back equal."""

from __future__ import annotations

import json
import pickle

import pytest

import dpp


def document(**groups) -> dict:
    return json.loads(dpp.Plan(**groups).to_json())


def test_the_json_of_every_form():
    plan = document(
        dense=dpp.cols("I*").fill_null(0).clamp(min=0).log1p(),
        sparse={**dpp.cols("C*").first_x(20).sigrid_hash(salt=0, max_value={"C1": 10, "C2": 20}), "x": dpp.col("C1")},
        labels=dpp.col("label"),
        vectors=[dpp.col("emb")],
        extras=[dpp.col("ts"), dpp.row_id()],
        missing=-1.0,
    )
    assert plan == {
        "semantics_version": 1,
        "nodes": [
            {"pattern": "I*"},
            {"op": "fill_null", "inputs": [0], "value": 0},
            {"op": "clamp", "inputs": [1], "min": 0},
            {"op": "log1p", "inputs": [2]},
            {"pattern": "C*"},
            {"op": "first_x", "inputs": [4], "n": 20},
            {"op": "sigrid_hash", "inputs": [5], "salt": 0, "max_value": {"C1": 10, "C2": 20}},
            {"feature": "C1"},
            {"feature": "label"},
            {"feature": "emb"},
            {"feature": "ts"},
            {"row_id": True},
        ],
        "dense": [{"name": "I*", "node": 3}],
        "sparse": [{"name": "C*", "node": 6}, {"name": "x", "node": 7}],
        "labels": [{"name": "label", "node": 8}],
        "vectors": [{"name": "emb", "node": 9}],
        "extras": [{"name": "ts", "node": 10}, {"name": "row_id", "node": 11}],
        "missing": -1.0,
    }


def test_equal_expressions_are_one_node():
    plan = document(dense={"a": dpp.col("I1").log1p(), "b": dpp.col("I1").log1p()})
    assert [output["node"] for output in plan["dense"]] == [1, 1]


def test_reals_that_json_lacks_are_kept():
    plan = dpp.Plan(dense=dpp.col("I1").fill_null(float("-inf")), missing=float("nan"))
    assert '"value":"-Infinity"' in plan.to_json() and '"missing": "NaN"' in plan.to_json()
    assert dpp.Plan.from_json(plan.to_json()) == plan


def test_json_and_pickle_bring_the_same_plan_back():
    plan = dpp.Plan(dense=dpp.cols("I*"), sparse=dpp.cols("C*").first_x(2))
    for back in (dpp.Plan.from_json(plan.to_json()), pickle.loads(pickle.dumps(plan))):
        assert back == plan and hash(back) == hash(plan) and back.hash == plan.hash
    assert plan != dpp.Plan(dense=dpp.cols("I*"))
    assert len(plan.hash) == 64 and plan.hash != dpp.Plan(dense=dpp.cols("I*")).hash


def test_explain_shows_the_tree(small):
    plan = dpp.Plan(dense=dpp.cols("I*").fill_null(0).log1p(), extras=dpp.row_id())
    assert plan.explain().splitlines() == [
        "dense (1)",
        "  I*",
        "    └ log1p()",
        "      └ fill_null(value=0)",
        "        └ features I*",
        "extras (1)",
        "  row_id",
        "    └ row_id",
    ]
    bound = plan.explain(dpp.Table(small.url))
    assert "  I1\n    └ log1p()\n      └ fill_null(value=0)\n        └ feature I1: dense\n  I2\n" in bound


def test_explain_shows_shared_expressions_once():
    both = dpp.col("I1").log1p() + dpp.col("I1").log1p()
    assert dpp.Plan(dense={"x": both}).explain().splitlines() == [
        "dense (1)",
        "  x",
        "    └ add()",
        "      └ log1p()",
        "        └ feature I1",
        "      └ log1p() (as above)",
    ]


def test_explain_of_plans_of_any_depth():
    deep = dpp.col("I1")
    for _ in range(5000):
        deep = deep.log1p()
    doubled = dpp.col("I1")
    for _ in range(100):
        doubled = doubled + doubled
    lines = dpp.Plan(dense={"deep": deep, "doubled": doubled}).explain().splitlines()
    assert len(lines) == 1 + 1 + 5001 + 1 + 100 + 101


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({"dense": "I1"}, "dense takes an expression"),
        ({"dense": 3}, "dense takes an expression"),
        ({"sparse": ["C1"]}, "sparse takes expressions, not 'C1'"),
        ({"sparse": {"C1": 3}}, "sparse takes expressions, not 3"),
        ({"sparse": {3: dpp.col("C1")}}, "named 3"),
        ({"sparse": {"x": dpp.cols("C*")}}, r"\*\*dpp.cols"),
    ],
)
def test_what_is_no_output_is_refused(groups, says):
    with pytest.raises(dpp.InvalidRequest, match=says):
        dpp.Plan(**groups)


def test_an_unknown_group_is_refused():
    with pytest.raises(TypeError, match="images"):
        dpp.Plan(dense=dpp.col("I1"), images=dpp.col("label"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "line 1"),
        ("[]", "object"),
        ('{"nodes": [{"feature": "I1"}], "dense": [{"name": "a", "node": 1}]}', r"dense\[0\]"),
        ('{"nodse": []}', "nodes"),
    ],
)
def test_what_is_no_plan_is_refused_with_its_place(text, says):
    with pytest.raises(dpp.InvalidRequest, match=says):
        dpp.Plan.from_json(text)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (dpp.Plan(dense=dpp.col("labels")), "unknown feature `labels`; did you mean label"),
        (dpp.Plan(dense=dpp.cols("Z*")), r"pattern `Z\*` matches no feature"),
        (dpp.Plan(dense=dpp.col("C1")), "C1"),
        (dpp.Plan(sparse=dpp.col("C1").log1p()), "op log1p"),
        (dpp.Plan(sparse=dpp.col("C1").sigrid_hash(0, 0)), "op sigrid_hash, parameter `max_value`: 0"),
        (dpp.Plan(dense=dpp.col("I1").clamp(min=2, max=1)), "op clamp"),
        (dpp.Plan(dense=dpp.col("I1").clamp()), "op clamp"),
        (dpp.Plan(sparse=dpp.col("I1").bucketize([])), "op bucketize, parameter `borders`"),
        (dpp.Plan(sparse=dpp.cols("C*").sigrid_hash(0, {"C1": 5})), "C2"),
        (dpp.Plan(dense=[dpp.col("I1"), dpp.col("I1")]), "two outputs named `I1`"),
        (
            dpp.Plan.from_json(
                '{"nodes": [{"feature": "I1"}, {"op": "log2", "inputs": [0]}], "dense": [{"name": "a", "node": 1}]}'
            ),
            "unknown op `log2`",
        ),
        (
            dpp.Plan.from_json(
                '{"nodes": [{"feature": "I1"}, {"op": "log1p", "inputs": [0], "base": 2}], "dense": [{"name": "a", "node": 1}]}'
            ),
            "op log1p has no parameter `base`",
        ),
    ],
)
def test_a_plan_that_does_not_fit_the_table_is_refused(small, plan, says):
    for refuse in (
        lambda: plan.check(dpp.Table(small.url)),
        lambda: dpp.DataLoader(small.url, plan, batch_size=8, output="numpy"),
    ):
        with pytest.raises(dpp.InvalidRequest, match=says) as refused:
            refuse()
        assert isinstance(refused.value, ValueError)


def test_a_plan_that_fits_is_accepted(small):
    assert dpp.Plan(dense=dpp.cols("I*")).check(dpp.Table(small.url)) is None
