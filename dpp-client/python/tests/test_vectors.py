"""Every vector of op_vectors.json that applies, through Python expressions and `plan.apply`; the others with the reason.

The same groups as `dpp-ops/tests/vectors`; a group that neither test knows is an error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dpp

X = dpp.col("x")


def test_vectors_hold_through_python(capsys):
    folder = os.environ.get("DPP_TEST_DATA")
    if folder is None:
        pytest.skip("NOT TESTED: the ops' vectors, because DPP_TEST_DATA names no folder with op_vectors.json")
    groups = json.loads((Path(folder) / "op_vectors.json").read_text())
    unknown = set(groups) - set(GROUPS) - set(REASONS)
    assert not unknown, f"vectors of {unknown} are new: check them, or say why they do not apply"
    checked = 0
    with capsys.disabled():
        print()
        for name, group in groups.items():
            if name not in GROUPS:
                print(f"  {name}: does not apply, {REASONS[name]}")
                continue
            count = GROUPS[name](group["cases"])
            assert count, f"{name}: no case was checked"
            checked += count
            print(f"  {name}: {count} cases hold" + (f"; {REASONS[name]}" if name in REASONS else ""))
    assert checked >= 90, f"only {checked} cases were checked"


def lists(expression: dpp.Expr, **columns: list) -> list[list[int]]:
    jagged = dpp.Plan(sparse={"y": expression}).apply(columns, output="numpy").sparse["y"]
    return [jagged.values[a:b].tolist() for a, b in zip(jagged.offsets, jagged.offsets[1:])]


def numbers(expression: dpp.Expr, **columns: list) -> list[float]:
    return dpp.Plan(dense={"y": expression}).apply(columns, output="numpy").dense[:, 0].tolist()


def each(check: Callable[[dict], object]) -> Callable[[list], int]:
    """How many cases of a group `check` did not leave out with False."""
    return lambda cases: sum(check(case) is not False for case in cases)


def refuses(make: Callable[[], object]) -> None:
    with pytest.raises(dpp.InvalidRequest):
        make()


def sigrid(case: dict) -> None:
    assert lists(X.sigrid_hash(case["salt"], case["max"]), x=[[case["x"]]]) == [[case["y"]]]


def bins(case: dict) -> None:
    x = case["x"] if isinstance(case["x"], list) else [case["x"]]
    y = case["y"] if isinstance(case["y"], list) else [case["y"]]
    op = X.bucketize(case["borders"])
    if isinstance(y[0], str):
        refuses(lambda: lists(op, x=[1.0]))
    elif isinstance(x[0], list) and all(isinstance(one, int) for row in x for one in row):
        assert lists(op, x=x) == y
    else:  # ragged lists of fractions are no kind of ours: their values are checked as rows
        flat = [float(one) for row in x for one in (row if isinstance(row, list) else [row])]
        assert lists(op, x=flat) == [[one] for row in y for one in (row if isinstance(row, list) else [row])]


def digitize(_: object) -> int:
    x, borders = np.arange(-20, 20) / 4, [-1.5, 0.0, 2.0, 2.5]
    assert lists(X.bucketize(borders), x=x) == [[one] for one in np.digitize(x, borders, right=True)]
    return 1


def first(case: dict) -> None:
    assert lists(X.first_x(case["n"]), x=case["x"]) == case["y"]


def clamp(case: dict) -> None:
    op = X.clamp_list(case["lo"], case["hi"])
    if isinstance(case["y"], str):
        refuses(lambda: lists(op, x=[[1]]))
    else:
        assert lists(op, x=case["x"]) == case["y"]


def slices(case: dict) -> bool | None:
    if case.get("pad"):
        return False

    def filled(rows: list) -> list:
        return [[-1 if one is None else one for one in row] for row in rows]

    end = case.get("stop", case.get("end"))
    assert lists(X.list_slice(case["start"], end), x=filled(case["x"])) == filled(case["y"])


def arrays(case: dict) -> bool | None:
    if case["op"].startswith("slice"):
        assert lists(X.list_slice(1, 4), x=case["x"]) == case["y"]
    elif case["op"].startswith("array_intersect "):
        other = json.loads(case["op"].removeprefix("array_intersect "))
        assert lists(dpp.intersect(X, dpp.col("o")), x=case["x"], o=[other] * len(case["x"])) == case["y"]
    else:
        return False


def ngrams(case: dict) -> bool | None:
    if any(isinstance(one, str) for one in case["x"]):
        return False
    if isinstance(case["y"], str):
        return refuses(lambda: lists(X.ngram(case["n"]), x=[[1]]))
    grams = lists(X.ngram(case["n"]), x=[case["x"], [0]])[0]
    windows = [window for window in case["y"] if window]
    assert grams == [lists(X.ngram(2**62), x=[window])[0][0] for window in windows]


def categorical(_: object) -> int:
    limits, vocabulary = [3, 2, 4], [7, 8, 9, 0, 1, 5, 6, 7, 8]
    own = [vocabulary[:3], vocabulary[3:5], vocabulary[5:]]
    rows = [[row % 11 + 0.3, row % 3 + 0.3, row % 10 + 0.3] for row in range(60)]

    def slot(value: float, known: list[int]) -> int:
        return known.index(round(value)) if round(value) in known else 0

    expected = [[slot(a, own[0]) + 3 * slot(b, own[1]) + 6 * slot(c, own[2])] for a, b, c in rows]
    columns = {name: [row[place] for row in rows] for place, name in enumerate("abc")}
    op = dpp.categorical_ngram([dpp.col(name) for name in "abc"], limits, vocabulary)
    assert lists(op, **columns) == expected
    return 1


def scores(cases: dict) -> int:
    def scored(rows: list) -> list:
        return [[(one, float(one)) for one in row] for row in rows]

    columns = {"a": scored(cases["input_ids"]), "b": scored(cases["matching_ids"])}
    names = [name for name in cases if not name.endswith("_ids")]
    for name in names:
        found = numbers(getattr(dpp, name)(dpp.col("a"), dpp.col("b")), **columns)
        assert found == np.float32(cases[name]).tolist(), name
    return len(names)


def log(case: dict) -> None:
    expected = [0.0 if one is None else float(one) for one in case["y"]]
    found = numbers(X.log(), x=[None if one is None else float(one) for one in case["x"]])
    assert found == np.float32(expected).tolist()


def box_cox(case: dict) -> None:
    for place, (one, two) in enumerate(zip(case["lambda1"], case["lambda2"])):
        found = numbers(X.box_cox(one, two), x=[float(row[place]) for row in case["data"]])
        # the vectors come from a logarithm that misses by an ulp
        assert found == pytest.approx([row[place] for row in case["y_f32"]], rel=1.2e-7, abs=1.2e-7)


def criteo(case: dict) -> bool | None:
    if not isinstance(case["x"][0], (int, float)):
        return False
    x = [None if one is None else float(one) for one in case["x"]]
    assert numbers((X.fill_null(0) + 3).log(), x=x) == np.float32(case["y"]).tolist()


def width_bucket(case: dict) -> bool | None:
    if "bins" not in case:
        return False
    op = X.bucketize(case["bins"], right=False)
    if isinstance(case["y"], str):
        refuses(lambda: lists(op, x=[1.0]))
    else:
        x = float(case["x"]) if isinstance(case["x"], (int, float)) else float(np.finfo(np.float32).max)
        assert lists(op, x=[x]) == [[case["y"]]]


def jagged(cases: list) -> int:
    lookup, dense = cases[0], next(case for case in cases if case["op"] == "from_dense")
    values = {
        key: np.split(lookup[key]["values"], np.cumsum(lookup[key]["lengths"])[:-1]) for key in lookup["keys"]
    }
    found = dpp.Plan(sparse=[dpp.col(key) for key in "ab"]).apply(values, output="numpy").sparse
    assert found.values.tolist() == lookup["values"] and found.offsets.tolist() == lookup["offsets"]
    assert found["b"].lengths.tolist() == lookup["b"]["lengths"] and found["b"].offsets[0] == 0
    found = dpp.Plan(sparse=X).apply({"x": dense["x"]}, output="numpy").sparse
    assert found.lengths.tolist() == dense["lengths"] and found.values.tolist() == dense["values"]
    return 2


GROUPS = {
    "sigrid_hash": each(sigrid),
    "sigrid_hash_derived": each(sigrid),
    "bucketize": each(bins),
    "bucketize_derived": each(bins),
    "caffe2_bucketize": digitize,
    "firstx": each(first),
    "clamp_list": each(clamp),
    "list_slice": each(slices),
    "nvt_list_slice": each(slices),
    "array_ops": each(arrays),
    "ngrams": each(ngrams),
    "ngram_from_categorical": categorical,
    "compute_score": scores,
    "log": each(log),
    "boxcox": each(box_cox),
    "criteo_preproc": each(criteo),
    "width_bucket": each(width_bucket),
    "kjt": jagged,
}

REASONS = {
    "list_slice": "null ids are written as -1: ours have none",
    "nvt_list_slice": "padding is the trainer's",
    "array_ops": "tokens are neither added nor looked up by text: they are hashed",
    "ngrams": "text with nulls is no list of ids",
    "criteo_preproc": "hexadecimal text has no op",
    "width_bucket": "bins of equal width have no op of their own",
    "kjt": "permutations and padding are the trainer's",
    "caffe2_batch_bucket_one_hot": "it averages two bucketings and one-hots them; no such op",
    "bpe_tokenize": "there is no byte-pair vocabulary; tokens are hashed",
    "feature_maps": "maps are read as flat features before any op sees them",
}
