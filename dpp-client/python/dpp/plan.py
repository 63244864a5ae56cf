"""A plan: which features become which tensors, through which ops."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from dpp import _dpp
from dpp._node import Node
from dpp._sizes import check_sizes, table_sizes
from dpp._tensors import Target
from dpp.batch import Batch, Layout
from dpp.errors import InvalidRequest
from dpp.expressions import Expr, PatternExpr
from dpp.predicates import Predicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from dpp.table import Table

    Rows = Any
    """Whatever has `__arrow_c_stream__` or `__arrow_c_array__`, or a mapping from column to values."""

    Sizes = Mapping[str, int] | Any
    """Rows of each output's embedding table, or the model that has them."""

    Outputs = Expr | Iterable[Expr] | Mapping[str, Expr]
    """One expression, several, or a mapping from output name to expression."""

GROUPS = ("dense", "sparse", "labels", "vectors", "extras")


class Plan:
    """Expressions, sorted into the tensors of a batch.

    dense    columns of `batch.dense`, float32 [B, D]: dense features, ints are cast
    sparse   keys of `batch.sparse`, jagged int64: id lists, with or without scores; ints become lists of one id
    labels   columns of `batch.labels`, float32 [B, L]
    vectors  `batch.vectors[name]`, float32 [B, width] each; images [B, 3, H, W], uint8 or float32
    extras   `batch.extras[name]`, carried exactly: int64, float32, bytes or text, nulls kept

    Each takes an expression, a list of them, or a mapping from output name to expression; an output of a list is named
    by its feature. `missing` is packed for a dense value that is still null.

    `where` keeps the rows for which a condition on features is true, such as `dpp.col("price") > 3`; comparisons with a
    null value are neither true nor false. Dense features compare as float32, with the number rounded to float32; `==` asks
    of a list of ids whether it holds that id, `!=` whether it does not.

    A plan is immutable and names no table: `check` holds it against one. Malformed parts raise `InvalidRequest` here,
    unknown features, kinds that do not fit and impossible parameters when it meets a table.
    """

    __slots__ = ("_json", "_applier")

    _applier: _dpp.Applier | None

    def __init__(
        self,
        *,
        dense: Outputs = (),
        sparse: Outputs = (),
        labels: Outputs = (),
        vectors: Outputs = (),
        extras: Outputs = (),
        where: Predicate | None = None,
        missing: float = 0.0,
    ) -> None:
        nodes = _Nodes()
        document: dict = {"semantics_version": _dpp.SEMANTICS_VERSION, "nodes": nodes.forms}
        given = (dense, sparse, labels, vectors, extras)
        for group, outputs in zip(GROUPS, given):
            named = _named(group, outputs)
            document[group] = [{"name": name, "node": nodes.index(expr)} for name, expr in named]
        document["missing"] = missing
        if where is not None:
            if not isinstance(where, Predicate):
                raise InvalidRequest(f'where is a condition such as dpp.col("label").is_not_null(), not {where!r}')
            document["where"] = where.form
        self._json: str = _dpp.plan_to_json(_dump(document))
        self._applier = None

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that `to_json` wrote; what is wrong with another text is said with its place."""
        if not isinstance(text, str):
            raise InvalidRequest(f"a plan's JSON is text, as to_json() returned it, not {text!r}")
        plan = cls.__new__(cls)
        plan._json = _dpp.plan_to_json(text)
        plan._applier = None
        return plan

    def to_json(self) -> str:
        """The plan as JSON text, one node a line."""
        return self._json

    @property
    def hash(self) -> str:
        """Names the plan's content: 64 hexadecimal digits."""
        return _dpp.plan_hash(self._json)

    def bind(self, table: Table) -> Plan:
        """The plan for this table's features: patterns expanded, kinds fixed. Its JSON is what a served model needs."""
        return Plan.from_json(_dpp.bind_plan(self._json, table._handle))

    def apply(
        self,
        rows: Rows,
        *,
        row_ids: Sequence[int] | None = None,
        output: str = "torch",
        id_dtype: str = "int64",
    ) -> Batch:
        """The tensors of a few rows, in this process: the same bytes as the loader's of the same rows.

        rows      Arrow data (pyarrow, polars, …), or a dict from column to values: numbers, text, bytes, lists of ids,
                  lists of (id, score), lists of floats; None where a value is not known
        row_ids   what `dpp.row_id()` gives; by default 0 … n−1
        output    "torch", "numpy" or "arrow", and `id_dtype` "int64" or "int32", as in `DataLoader`

        `where` is left out: it chooses what to train on, and here every row is wanted.

        Bind the plan to the training table first: kinds and patterns are then the table's, whatever the rows hold, and it
        is compiled once. A plan that is not bound takes kinds from the rows. Columns that the plan does not name are left
        alone; a feature that is missing raises `InvalidRequest`.
        """
        if self._applier is None:
            self._applier = _dpp.Applier(self._json)
        applied = self._applier.apply(rows, None if row_ids is None else list(row_ids))
        layout = Layout(json.loads(applied.layout()))
        return Batch(applied, layout, Target(output, id_dtype, pin_memory=False, device=None))

    def check(self, table: Table, sizes: Sizes | None = None) -> None:
        """Return if the table has what the plan needs, else raise `InvalidRequest` naming op, parameter and feature.

        With `sizes`, a mapping from sparse output to rows of its embedding table, or a model with TorchRec collections,
        every sparse output must end in ids that have a row there: hashed, folded, clamped, looked up or in bins.
        """
        bound = _dpp.bind_plan(self._json, table._handle)
        if sizes is not None:
            check_sizes(json.loads(bound), table_sizes(sizes))

    def explain(self, table: Table | None = None) -> str:
        """The plan as a tree, one line an output, an op or a feature; with a table, patterns expanded and kinds shown."""
        text = self._json if table is None else _dpp.bind_plan(self._json, table._handle)
        return _dpp.explain_plan(text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self._json == other._json

    def __hash__(self) -> int:
        return hash(self._json)

    def __repr__(self) -> str:
        document = json.loads(self._json)
        counts = ", ".join(f"{len(document[group])} {group}" for group in GROUPS if document.get(group))
        return f"<dpp.Plan {counts or 'without outputs'}>"

    def __reduce__(self) -> tuple:
        return Plan.from_json, (self._json,)


class _Nodes:
    """Nodes of a plan, inputs first; equal expressions are one node."""

    def __init__(self) -> None:
        self.forms: list[dict] = []
        self._known: dict[str, int] = {}

    def index(self, expression: Node) -> int:
        places: dict[int, int] = {}
        stack = [expression]
        while stack:
            node = stack[-1]
            waiting = [one for one in node.inputs if id(one) not in places]
            if waiting:
                stack.extend(reversed(waiting))
                continue
            stack.pop()
            places[id(node)] = self._add(_form(node, places))
        return places[id(expression)]

    def _add(self, form: dict) -> int:
        key = _dump(form)
        if key not in self._known:
            self._known[key] = len(self.forms)
            self.forms.append(form)
        return self._known[key]


def _form(node: Node, places: dict[int, int]) -> dict:
    if node.leaf is not None:
        return dict(node.leaf)
    return {"op": node.op, "inputs": [places[id(one)] for one in node.inputs], **node.parameters}


def _named(group: str, outputs: Outputs) -> list[tuple[str, Expr]]:
    if isinstance(outputs, Expr):
        return [(outputs.name, outputs)]
    if isinstance(outputs, Mapping):
        return [_checked(group, name, expression) for name, expression in outputs.items()]
    if isinstance(outputs, Iterable) and not isinstance(outputs, (str, bytes)):
        return [_checked(group, None, expression) for expression in outputs]
    raise InvalidRequest(
        f"{group} takes an expression, a list or a mapping of them, not {outputs!r}; a feature is dpp.col(name)"
    )


def _checked(group: str, name: str | None, expression: object) -> tuple[str, Expr]:
    if not isinstance(expression, Expr):
        raise InvalidRequest(f"{group} takes expressions, not {expression!r}; a feature is dpp.col(name)")
    if isinstance(expression, PatternExpr) and name not in (None, expression.name):
        raise InvalidRequest(
            f"{group} output {name!r} is made of several features, which name their outputs themselves: spread it, "
            f"{{**{expression!r}, …}}"
        )
    if name is not None and not isinstance(name, str):
        raise InvalidRequest(f"{group} has an output named {name!r}; names are text")
    return (expression.name if name is None else name), expression


def _dump(document: dict) -> str:
    """JSON, with the reals that it lacks as text."""
    try:
        return json.dumps(document, allow_nan=False)
    except ValueError:
        return json.dumps(_spelled(document), allow_nan=False)


def _spelled(value: object) -> object:
    if isinstance(value, dict):
        return {name: _spelled(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelled(one) for one in value]
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return "NaN" if value != value else ("Infinity" if value > 0 else "-Infinity")
    return value
