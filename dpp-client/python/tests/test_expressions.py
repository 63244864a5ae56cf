"""Expressions are trees that say what they were built from; comparisons are conditions on partitions."""

from __future__ import annotations

import copy
import pickle
from datetime import date

import numpy as np
import pytest

import dpp


def test_an_expression_shows_how_it_was_made():
    assert repr(dpp.col("I1").fill_null(0).clamp(min=1)) == "dpp.col('I1').fill_null(value=0).clamp(min=1)"
    assert repr(dpp.cols("C*").first_x(3)) == "dpp.cols('C*').first_x(n=3)"
    assert repr(dpp.row_id()) == "dpp.row_id()"


def test_ops_leave_the_expression_they_are_called_on_alone():
    base = dpp.col("I1")
    base.log1p()
    assert base.op is None and base.name == "I1"


def test_a_pattern_is_a_mapping_of_one():
    pattern = dpp.cols("C*").first_x(3)
    assert list({**pattern, "x": dpp.col("x")}) == ["C*", "x"]
    assert pattern["C*"] is pattern and len(pattern) == 1
    with pytest.raises(KeyError):
        pattern["D*"]


def test_an_unknown_op_is_named_with_its_neighbours():
    with pytest.raises(dpp.InvalidRequest, match="unknown op 'sigrid_has'; did you mean sigrid_hash?"):
        dpp.col("C1").sigrid_has(1, 2)
    with pytest.raises(AttributeError):
        dpp.cols("C*").nothing_like_it


def test_an_unknown_parameter_is_an_error_of_python():
    with pytest.raises(TypeError, match="maximum"):
        dpp.col("C1").sigrid_hash(salt=0, maximum=3)


def test_parameters_become_plain():
    bucketized = dpp.col("I1").bucketize(np.array([1.5, 2.0]))
    assert bucketized.parameters == {"borders": [1.5, 2.0], "right": True}
    assert dpp.col("I1").fill_null(np.int64(3)).parameters == {"value": 3}
    assert dpp.cols("I*").fill_null({"I1": np.float32(0.5)}).parameters == {"value": {"I1": 0.5}}
    with pytest.raises(dpp.InvalidRequest, match="op fill_null, parameter 'value'"):
        dpp.col("I1").fill_null(object())


@pytest.mark.parametrize("name", ["", 3, None])
def test_names_are_text(name):
    with pytest.raises(dpp.InvalidRequest, match="takes a name"):
        dpp.col(name)
    with pytest.raises(dpp.InvalidRequest, match="takes a name"):
        dpp.cols(name)


def test_comparisons_are_predicates():
    ds = dpp.col("ds")
    assert (ds >= "2026-11-01").form == {"column": "ds", "operator": ">=", "value": "2026-11-01"}
    assert (ds != date(2026, 11, 1)).form["value"] == "2026-11-01"
    assert [(ds < 1).form["operator"], (ds <= 1).form["operator"], (ds > 1).form["operator"]] == ["<", "<=", ">"]
    assert ds.is_in(["a", "b"]).form == {"any_of": [(ds == "a").form, (ds == "b").form]}
    joined = (ds == "a") & ~(dpp.col("hour") == 7) | (ds == "b")
    assert repr(joined) == "<dpp.Predicate ((ds == 'a' & ~(hour == 7)) | ds == 'b')>"


def test_predicates_are_not_joined_by_and():
    with pytest.raises(TypeError, match="&, | and ~"):
        bool((dpp.col("ds") == "a") and (dpp.col("ds") == "b"))


def test_only_partition_columns_compare_and_only_with_plain_values():
    with pytest.raises(dpp.InvalidRequest, match="only a partition column"):
        dpp.col("I1").log1p() > 3
    with pytest.raises(dpp.InvalidRequest, match="only a partition column"):
        dpp.cols("I*") == 3
    for value in (None, True, [1]):
        with pytest.raises(TypeError, match="compares with text, a number or a date"):
            dpp.col("ds") == value
    with pytest.raises(TypeError, match="several values"):
        dpp.col("ds").is_in("abc")


def test_expressions_can_be_copied_and_pickled():
    expression = dpp.cols("C*").first_x(3).sigrid_hash(0, 10)
    for made in (copy.deepcopy(expression), pickle.loads(pickle.dumps(expression))):
        assert repr(made) == repr(expression)
