"""Row filters of a plan, as far as they go without a table's rows: their form, and what is said about wrong ones."""

from __future__ import annotations

import json

import pytest

import dpp


def test_a_plan_says_which_rows_it_is_for(small):
    where = dpp.col("label").is_not_null() & ((dpp.col("I1") > 3) | dpp.col("I1").is_in([-1, 0.5]))
    plan = dpp.Plan(dense=dpp.cols("I*"), where=where)
    assert dpp.Plan.from_json(plan.to_json()) == plan
    assert plan != dpp.Plan(dense=dpp.cols("I*"))
    plan.check(dpp.Table(small.url))
    assert plan.explain(dpp.Table(small.url)).startswith(
        "where (~(label is null) & (I1 > 3 | I1 == -1 | I1 == 0.5))"
    )


def test_long_chains_stay_flat(small):
    where = dpp.col("I1") == 0
    for value in range(1, 2000):
        where = where | (dpp.col("I1") == value)
    plan = dpp.Plan(dense=dpp.cols("I*"), where=where)
    assert len(json.loads(plan.to_json())["where"]["any_of"]) == 2000
    plan.check(dpp.Table(small.url))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (dpp.col("I7") > 3, "in the row filter (where): unknown feature `I7`"),
        (dpp.col("label") == "x", "feature `label`: dense does not compare with text; compare it with a number"),
        (dpp.col("C1") < 3, "ask whether it holds that id"),
        (dpp.sample(0.5, by="I1"), "feature `I1`: dense is no key to sample by; an int, ids, bytes or text are"),
        (dpp.sample(0.5, by="user"), "in the row filter (where): unknown feature `user`"),
        (dpp.col("I1").is_in([]), "it names no feature; an empty is_in keeps no row at all"),
    ],
)
def test_a_wrong_condition_is_named(small, where, message):
    with pytest.raises(dpp.InvalidRequest) as raised:
        dpp.Plan(dense=dpp.cols("I*"), where=where).check(dpp.Table(small.url))
    assert message in str(raised.value)


def test_samples_are_conditions_like_others(small):
    where = dpp.negative_downsample("label", 0.25, by="request", seed=-3) & ~dpp.sample(0.5)
    plan = dpp.Plan(dense=dpp.cols("I*"), where=where)
    assert dpp.Plan.from_json(plan.to_json()) == plan
    said = plan.explain(dpp.Table(small.url))
    assert said.startswith("where ((label > 0 | sample(0.25 by request, seed -3)) & ~(sample(0.5 by row, seed 0)))")
    assert repr(dpp.sample(0.5)) == "<dpp.Predicate sample(0.5 by row, seed 0)>"
    for wrong in [
        lambda: dpp.sample(1.5),
        lambda: dpp.sample(float("nan")),
        lambda: dpp.sample(0.5, by=dpp.col("C1")),
        lambda: dpp.sample(0.5, seed=0.5),
        lambda: dpp.negative_downsample(dpp.col("label"), 0.5),
    ]:
        with pytest.raises(dpp.InvalidRequest):
            wrong()
    with pytest.raises(dpp.InvalidRequest, match="partitions are not sampled"):
        dpp.Table(small.url).filter(dpp.sample(0.5, by="ds")).features


def test_what_is_no_condition_is_refused_at_once():
    with pytest.raises(dpp.InvalidRequest, match="where is a condition"):
        dpp.Plan(dense=dpp.col("I1"), where="label is not null")


def test_apply_takes_every_row():
    plan = dpp.Plan(dense=dpp.col("price"), where=dpp.col("label").is_not_null())
    assert plan.apply({"price": [1.0, 2.0]}, output="numpy").dense.tolist() == [[1.0], [2.0]]
