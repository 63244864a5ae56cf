"""Every op of the registry has one Python face, written from its Rust file, and says the same there as here."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpp
import dpp.ops
from dpp import _dpp

PACKAGE = Path(__file__).parents[1]
# One value for every required parameter, by name.
SAMPLES = {
    "value": 1, "lambda1": 1, "borders": [1, 2], "lo": 0, "hi": 1, "utc_offset_seconds": 0, "table": [1], "n": 1, "k": 1,
    "m": 2, "vocabulary": [1], "mean": 0, "h": 2, "w": 2, "std": 1, "salt": 0, "max_value": 2, "max_len": 1, "limits": [2, 2], "min": 0,
    "artefact": "x.fit",
}  # fmt: skip


def face(op: str) -> object:
    return getattr(dpp.Expr, op, None) or getattr(dpp, op)


def test_the_package_is_what_the_rust_files_say(monkeypatch):
    monkeypatch.syspath_prepend(PACKAGE)
    expected = importlib.import_module("ops_from_rust").generate()
    found = {path.name: path.read_text() for path in (PACKAGE / "dpp" / "ops").glob("*.py")}
    assert found == expected, "run python dpp-client/python/ops_from_rust.py"


def test_every_op_is_a_method_or_a_function_and_nothing_else_is():
    functions = dpp.ops.__all__
    assert sorted([*dpp.ops.METHODS, *functions]) == sorted(_dpp.known_ops())
    assert set(functions) <= set(dpp.__all__), "functions are exported"
    for name in dpp.ops.METHODS:
        assert callable(getattr(dpp.Expr, name)) and name not in functions


def test_the_page_of_ops_has_every_op_and_no_other():
    page = (PACKAGE.parents[1] / "docs" / "ops.md").read_text()
    index, elsewhere = page.split("## TorchArrow")
    named = set(re.findall(r"`(\w+)`", index)) - {"where"}
    assert named == set(_dpp.known_ops())
    here = [cell for row in elsewhere.splitlines() if row.startswith("| `") for cell in row.split("|")[2:3]]
    assert len(here) > 25
    code = "".join(re.findall(r"`([^`]*)`", "".join(here)))
    for method in re.findall(r"\bx\.(\w+)|\)\.(\w+)", code):
        assert "".join(method) in dpp.ops.METHODS
    for function in re.findall(r"\bdpp\.(\w+)", code):
        assert function in dpp.__all__


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> dpp.Table:
    """Two features of every kind."""
    kinds = {
        "dense": pa.array([0.5]),
        "int": pa.array([1]),
        "id_list": pa.array([[1]]),
        "id_score_list": pa.array([[{"id": 1, "score": 0.5}]]),
        "text": pa.array(["x"]),
        "bytes": pa.array([b"x"]),
    }
    folder = tmp_path_factory.mktemp("ops")
    columns = {f"{kind}_{side}": array for kind, array in kinds.items() for side in "ab"}
    pq.write_table(pa.table(columns), folder / "part.parquet")
    return dpp.Table(folder)


@pytest.mark.parametrize("op", sorted(_dpp.known_ops()))
def test_an_op_knows_its_parameters_and_says_its_defaults(op, table):
    signature = inspect.signature(face(op)).parameters
    known = set(_dpp.known_ops()[op])
    assert known <= set(signature), "every parameter has a name in Python"
    assert inspect.getdoc(face(op)), "every op is documented"
    given = {name: SAMPLES[name] for name in known if signature[name].default is signature[name].empty}
    given |= {"min": 0} if "min" in known else {}
    given |= {"digest": "0" * 64, "output": "x"} if op == "look_up" else {}
    given |= {"mean": [0, 0, 0], "std": [1, 1, 1]} if op == "normalize" else {}
    nodes = json.loads(bind(op, given, table).to_json())["nodes"]
    parameters = next(node for node in nodes if node.get("op") == op)
    for name in known - set(given):
        default = signature[name].default
        if default is not None and name != "reversed":
            assert parameters[name] == default, f"default of {name}"


def bind(op: str, parameters: dict, table: dpp.Table) -> dpp.Plan:
    """The bound plan of the op, on inputs of the first kind that it takes and into the first group that takes it."""
    stored = ("dense", "int", "id_list", "id_score_list", "text", "bytes")
    inputs = [(dpp.col(f"{kind}_a"), dpp.col(f"{kind}_b")) for kind in stored]
    image = dpp.col("bytes_a").decode_image()
    pixels = image.resize(4, 4)
    for a, b in [*inputs, (image, image), (pixels, pixels)]:
        if op in dpp.ops.METHODS:
            result = getattr(a, op)(**parameters)
        elif "inputs" in inspect.signature(getattr(dpp, op)).parameters:
            result = getattr(dpp, op)([a, b], **parameters)
        else:
            result = getattr(dpp, op)(a, b, **parameters)
        result = result.center_crop(2, 2) if op == "decode_image" else result
        for group in ("dense", "sparse", "extras", "vectors"):
            try:
                return dpp.Plan(**{group: {"x": result}}).bind(table)
            except dpp.InvalidRequest as error:
                refusal = error
    raise refusal


def test_numbers_and_features_add_up():
    x, y = dpp.col("x"), dpp.col("y")
    assert repr(x + 1) == repr(1 + x) == "dpp.col('x').add(value=1)"
    assert repr(x - 1) == "dpp.col('x').subtract(value=1)"
    assert repr(1 - x) == "dpp.col('x').subtract(value=1, reversed=True)"
    assert repr(2 / x * y) == "dpp.multiply(dpp.col('x').divide(value=2, reversed=True), dpp.col('y'))"
    assert repr(x.subtract(y, reversed=True)) == repr(y - x) == "dpp.subtract(dpp.col('y'), dpp.col('x'))"
    assert repr(-x) == "dpp.col('x').multiply(value=-1)" and repr(abs(x)) == "dpp.col('x').abs()"
    for other in ("1", None, True, [1]):
        with pytest.raises(TypeError):
            x + other


def test_patterns_meet_single_features():
    ratio = dpp.cols("I*") / dpp.col("total")
    other = dpp.col("total") / dpp.cols("I*")
    assert isinstance(ratio, dpp.PatternExpr) and isinstance(other, dpp.PatternExpr)
    assert list({**ratio}) == list({**other}) == ["I*"]


def test_several_features_need_a_name():
    pair = dpp.intersect(dpp.col("a"), dpp.col("b").first_x(2))
    assert repr(pair) == "dpp.intersect(dpp.col('a'), dpp.col('b').first_x(n=2))"
    with pytest.raises(dpp.InvalidRequest, match=r"made of several features \(a, b\) needs a name"):
        dpp.Plan(sparse=[pair])
    assert json.loads(dpp.Plan(sparse={"x": pair}).to_json())["sparse"] == [{"name": "x", "node": 3}]
    with pytest.raises(dpp.InvalidRequest, match="op union, input 1: an expression is needed, not 'b'"):
        dpp.union(dpp.col("a"), "b")


def test_equal_parts_are_one_node_whatever_the_depth():
    x = dpp.col("x")
    for _ in range(20_000):
        x = x + x
    nodes = json.loads(dpp.Plan(dense={"x": x}).to_json())["nodes"]
    assert len(nodes) == 20_001


def test_dictionaries_are_looked_up_by_id():
    mapped = dpp.col("x").map_id({7: 1, 9: 2}, default=-1)
    assert mapped.parameters == {"table": [1, 2], "keys": [7, 9], "default": -1}
    assert dpp.cols("x*").map_id({"x1": [1], "x2": [2]}).parameters["table"] == {"x1": [1], "x2": [2]}


def test_an_op_of_ones_own_is_called_by_name(table):
    negated = dpp.op("negate", dpp.col("dense_a"), scale=2)
    assert repr(negated) == "dpp.col('dense_a').negate(scale=2)"
    with pytest.raises(dpp.InvalidRequest, match="unknown op `negate`"):
        dpp.Plan(dense=negated).bind(table)
    with pytest.raises(dpp.InvalidRequest, match="needs at least one input"):
        dpp.op("negate")
