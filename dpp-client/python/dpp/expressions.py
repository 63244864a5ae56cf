"""Expressions: from features of a table, through ops, to a value per row.

An expression is a small immutable tree; nothing is read or checked until a plan that holds it meets a table. Ops with
one feature input are methods (`dpp.ops`), ops with several are functions of this package, and `+ - * /` are ops too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dpp._node import Node, join
from dpp.errors import InvalidRequest, UnknownOp, nearest
from dpp.ops import METHODS, Methods
from dpp.predicates import Predicate, compare, is_null, is_one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from dpp._node import Number, PerFeature
    from dpp.fitting import Fitted


class Expr(Methods):
    """One value per row, of one feature or several. Made by `dpp.col`, `dpp.row_id`, methods and functions."""

    __slots__ = ()

    def map_id(
        self,
        table: PerFeature[Iterable[int]] | Mapping[int, int],
        default: PerFeature[int] = 0,
        keys: PerFeature[Iterable[int]] | None = None,
    ) -> Self:
        if isinstance(table, Mapping) and keys is None and not any(isinstance(key, str) for key in table):
            table, keys = list(table.values()), list(table)  # type: ignore[assignment]
        return super().map_id(table, default, keys)  # type: ignore[arg-type]

    map_id.__doc__ = f"{Methods.map_id.__doc__}    - A dictionary id → value may be given as `table`, without keys.\n"

    def look_up(
        self,
        artefact: Fitted | PerFeature[str],
        digest: PerFeature[str] | None = None,
        output: PerFeature[str] | None = None,
    ) -> Self:
        if isinstance(artefact, (str, Mapping)):
            if digest is None:
                raise InvalidRequest("look_up takes a dpp.Fitted, or an artefact's URL with its digest")
            return super().look_up(artefact, digest, self.name if output is None else output)
        if artefact.url is None:
            raise InvalidRequest("look_up refers to an artefact by its URL: fitted.save(url) first")
        names = {name: name for name in artefact.vocabularies} if self.many else self.name
        return super().look_up(artefact.url, artefact.digest, names if output is None else output)

    look_up.__doc__ = f"{Methods.look_up.__doc__}    - A saved `dpp.Fitted` may be given alone; `output` is then the feature's.\n"

    # Arithmetic, with numbers and other expressions.

    def __add__(self, other: Number | Expr) -> Self:
        return self._arithmetic("add", other)

    __radd__ = __add__

    def __sub__(self, other: Number | Expr) -> Self:
        return self._arithmetic("subtract", other)

    def __rsub__(self, other: Number) -> Self:
        return self._arithmetic("subtract", other, reversed=True)

    def __mul__(self, other: Number | Expr) -> Self:
        return self._arithmetic("multiply", other)

    __rmul__ = __mul__

    def __truediv__(self, other: Number | Expr) -> Self:
        return self._arithmetic("divide", other)

    def __rtruediv__(self, other: Number) -> Self:
        return self._arithmetic("divide", other, reversed=True)

    def __neg__(self) -> Self:
        return self * -1

    def __abs__(self) -> Self:
        return self.abs()

    def _arithmetic(self, op: str, other: object, reversed: bool = False) -> Any:
        if isinstance(other, (bool, str, bytes)) or not (isinstance(other, Node) or hasattr(other, "__float__")):
            return NotImplemented
        return self._combine(op, other, reversed)

    # Conditions on partition columns, for Table.filter.

    def __eq__(self, value: object) -> Predicate:  # type: ignore[override]
        return compare(self._column(), "==", value)

    def __ne__(self, value: object) -> Predicate:  # type: ignore[override]
        return compare(self._column(), "!=", value)

    def __lt__(self, value: object) -> Predicate:
        return compare(self._column(), "<", value)

    def __le__(self, value: object) -> Predicate:
        return compare(self._column(), "<=", value)

    def __gt__(self, value: object) -> Predicate:
        return compare(self._column(), ">", value)

    def __ge__(self, value: object) -> Predicate:
        return compare(self._column(), ">=", value)

    def is_in(self, values: Iterable[object]) -> Predicate:
        """Whether the feature or partition column equals one of `values`; of a list of ids, whether it holds one."""
        return is_one_of(self._column(), values)

    def is_null(self) -> Predicate:
        """Whether the feature or partition column has no value."""
        return is_null(self._column())

    def is_not_null(self) -> Predicate:
        """Whether the feature or partition column has a value."""
        return ~is_null(self._column())

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> object:
        # Only reached for names that do not exist. Protocols probe for dunder names; those are not meant as ops.
        if name.startswith("_"):
            raise AttributeError(name)
        raise UnknownOp(f"unknown op {name!r}{nearest(name, METHODS)} (ops: {', '.join(METHODS)})") from None

    def _column(self) -> str:
        if self.leaf is None or "feature" not in self.leaf:
            raise InvalidRequest(
                f"only a partition column can be compared, as in dpp.col('ds') >= '2026-11-01', not {self!r}"
            )
        return self.leaf["feature"]


class PatternExpr(Expr, Mapping):  # type: ignore[misc]
    """One expression over every feature that a pattern matches. Made by `dpp.cols`.

    In a plan's mapping it is spread: `{**dpp.cols("C*").first_x(20), "x": dpp.col("x")}`.
    """

    __slots__ = ()

    many = True

    def __getitem__(self, pattern: str) -> PatternExpr:
        if pattern != self.name:
            raise KeyError(pattern)
        return self

    def __iter__(self) -> Iterator[str]:
        return iter((self.name,))

    def __len__(self) -> int:
        return 1


def col(name: str) -> Expr:
    """The feature, or for `Table.filter` the partition column, of that name."""
    return Expr({"feature": _name("col", name)})


def cols(pattern: str) -> PatternExpr:
    """Every feature whose name matches: `*` stands for any characters, `?` for one.

    One output per matching feature, named by it, sorted by name. A pattern that matches nothing is an error.
    """
    return PatternExpr({"pattern": _name("cols", pattern)})


def row_id() -> Expr:
    """Position of the row in the snapshot, 0 … N−1: int."""
    return Expr({"row_id": True})


def op(name: str, *inputs: Expr, **parameters: object) -> Expr:
    """The op `name` on expressions, by its name: for ops that workers and loaders of your own know beside dpp's.

    Parameters are numbers, text, true or false, or lists of numbers, or with `cols(...)` a mapping from each feature's
    name to its value. Whether the op exists and takes them is said when the plan meets a table.
    """
    return join(_name("op", name), inputs, **parameters)


def _name(function: str, name: object) -> str:
    if not isinstance(name, str) or not name:
        raise InvalidRequest(f"dpp.{function} takes a name, not {name!r}")
    return name
