"""The tree under an expression: leaves, ops on them, and their form in a plan. No op is known here by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dpp.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, TypeVar, Union

    from dpp.expressions import Expr

    Number = int | float
    T = TypeVar("T")
    PerFeature = Union[T, Mapping[str, T]]
    """One value, or with `cols(...)` a mapping from each feature's name to its value."""


class Node:
    """One value per row: a leaf of the table, or an op on other nodes. Immutable."""

    __slots__ = ("leaf", "op", "inputs", "parameters")

    many = False
    """Whether it stands for several features, those of a pattern."""

    def __init__(
        self,
        leaf: dict | None,
        op: str | None = None,
        inputs: tuple[Node, ...] = (),
        parameters: dict | None = None,
    ) -> None:
        self.leaf = leaf
        self.op = op
        self.inputs = inputs
        self.parameters = parameters or {}

    @property
    def name(self) -> str:
        """Name of an output made of this expression: its feature's, or its pattern. Several features have none."""
        leaves = {_leaf_name(leaf): leaf for leaf in self._leaves()}
        patterns = [name for name, leaf in leaves.items() if "pattern" in leaf]
        if len(leaves) > 1 and not patterns:
            raise InvalidRequest(
                f"an output made of several features ({', '.join(leaves)}) needs a name: {{'name': {self!r}}}"
            )
        return (patterns or list(leaves))[0]

    def __repr__(self) -> str:
        if self.leaf is not None:
            call = {"feature": "col", "pattern": "cols"}
            found = [(call[key], name) for key, name in self.leaf.items() if key in call]
            return f"dpp.{found[0][0]}({found[0][1]!r})" if found else "dpp.row_id()"
        given = [f"{name}={value!r}" for name, value in self.parameters.items()]
        if len(self.inputs) == 1:
            return f"{self.inputs[0]!r}.{self.op}({', '.join(given)})"
        return f"dpp.{self.op}({', '.join([*map(repr, self.inputs), *given])})"

    def _apply(self, op: str, **parameters: object) -> Self:
        """`op` on this alone. A parameter of None counts as left out."""
        return join(op, (self,), **parameters)  # type: ignore[return-value]

    def _combine(self, op: str, other: object, reversed: bool = False, **parameters: object) -> Self:
        """`op` on this and another expression, or a number that the plan carries."""
        if isinstance(other, Node):
            return join(op, (other, self) if reversed else (self, other), **parameters)  # type: ignore[return-value]
        return self._apply(op, value=other, reversed=True if reversed else None, **parameters)

    def _leaves(self) -> list[dict]:
        """Every leaf once, in the order of first use."""
        found, seen, stack = [], set(), [self]
        while stack:
            node = stack.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            stack.extend(reversed(node.inputs))
            if node.leaf is not None:
                found.append(node.leaf)
        return found


def join(op: str, inputs: Iterable[Any], **parameters: object) -> Expr:
    """`op` on expressions; over every feature of a pattern when one of them is."""
    nodes = tuple(inputs)
    for position, node in enumerate(nodes):
        if not isinstance(node, Node):
            raise InvalidRequest(
                f"op {op}, input {position}: an expression is needed, not {node!r}; a feature is dpp.col(name)"
            )
    if not nodes:
        raise InvalidRequest(f"op {op} needs at least one input")
    first = next((node for node in nodes if node.many), nodes[0])
    given = {name: plain(op, name, value) for name, value in parameters.items() if value is not None}
    return type(first)(None, op, nodes, given)  # type: ignore[return-value]


def plain(op: str, name: str, value: object) -> object:
    """A parameter as JSON has it: numbers of numpy become Python's, sequences become lists."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping) and not isinstance(value, Node):
        return {str(feature): plain(op, name, one) for feature, one in value.items()}
    if hasattr(value, "tolist"):
        return plain(op, name, value.tolist())
    if isinstance(value, Iterable) and not isinstance(value, (Node, bytes)):
        return [plain(op, name, one) for one in value]
    raise InvalidRequest(f"op {op}, parameter {name!r}: {value!r} is no number, list of numbers or mapping by feature")


def _leaf_name(leaf: dict) -> str:
    return leaf.get("feature") or leaf.get("pattern") or "row_id"
