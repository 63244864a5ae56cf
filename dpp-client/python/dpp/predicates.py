"""Conditions on a row: on partition columns for `Table.filter`, on features for a plan's `where`.

`dpp.col("ds") >= "2026-11-01"`, `dpp.col("label").is_not_null() & (dpp.col("price") > 3)`.
"""

from __future__ import annotations

from datetime import date


class Predicate:
    """True or false of a partition or row: made by comparing `dpp.col(...)`, joined by `&`, `|` and `~`.

    A null value satisfies neither a comparison nor its negation.
    """

    __slots__ = ("form",)

    def __init__(self, form: dict) -> None:
        self.form = form

    def __and__(self, other: Predicate) -> Predicate:
        """Both hold."""
        return _join("all_of", self, other)

    def __or__(self, other: Predicate) -> Predicate:
        """At least one holds."""
        return _join("any_of", self, other)

    def __invert__(self) -> Predicate:
        """It does not hold."""
        return Predicate({"not": self.form})

    def __bool__(self) -> bool:
        raise TypeError(
            "a predicate is neither true nor false here: join predicates with &, | and ~, not with and, or, not"
        )

    def __repr__(self) -> str:
        return f"<dpp.Predicate {written(self.form)}>"


def compare(column: str, operator: str, value: object) -> Predicate:
    """`column operator value`. Text compares as text, numbers as numbers, dates as the text that Hive writes."""
    if isinstance(value, date):
        value = value.isoformat()
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(
            f"{column!r} compares with text, a number or a date, not with {type(value).__name__}"
        )
    return Predicate({"column": column, "operator": operator, "value": value})


def is_one_of(column: str, values: object) -> Predicate:
    """Whether the column equals one of the values; of none for no values."""
    if isinstance(values, str):
        raise TypeError(f"is_in takes several values, not the text {values!r}")
    return Predicate({"any_of": [compare(column, "==", value).form for value in values]})  # type: ignore[attr-defined]


def is_null(column: str) -> Predicate:
    """Whether the value is null; never unknown."""
    return Predicate({"is_null": column})


def _join(how: str, left: Predicate, right: Predicate) -> Predicate:
    if not isinstance(right, Predicate):
        return NotImplemented
    # Long chains stay flat: a | b | c | … is one condition, however many there are.
    parts = [part for form in (left.form, right.form) for part in (form[how] if how in form else [form])]
    return Predicate({how: parts})


def written(form: dict) -> str:
    """A condition as one would write it."""
    if "is_null" in form:
        return f"{form['is_null']} is null"
    if "not" in form:
        return f"~({written(form['not'])})"
    for how, sign in (("all_of", " & "), ("any_of", " | ")):
        if how in form:
            return "(" + sign.join(map(written, form[how])) + ")"
    return f"{form['column']} {form['operator']} {form['value']!r}"
