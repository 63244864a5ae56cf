"""Conditions on a row: on partition columns for `Table.filter`, on features for a plan's `where`.

`dpp.col("ds") >= "2026-11-01"`, `dpp.col("label").is_not_null() & (dpp.col("price") > 3)`.
"""

from __future__ import annotations

from datetime import date

from dpp.errors import InvalidRequest


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


def sample(rate: float, *, by: str | None = None, seed: int = 0) -> Predicate:
    """For a plan's `where`: true of a part `rate` of the rows, 0 to 1, drawn by a hash of `seed` and a feature.

    by    an int, list of ids, text or bytes: rows of one value are kept together, and those without a value are not kept;
          None draws by the row's position in the snapshot
    seed  another one keeps other rows

    Nothing else is drawn: the rows are the same in every epoch, run and place, and among those of any higher rate.
    """
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise InvalidRequest(f"rate is a part of the rows, from 0 to 1, not {rate!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not -(1 << 63) <= seed < 1 << 63:
        raise InvalidRequest(f"seed is a whole number of 64 bits, not {seed!r}")
    if by is not None and (not isinstance(by, str) or not by):
        raise InvalidRequest(f"by is the name of a feature, not {by!r}")
    return Predicate({"sample": by, "rate": float(rate), "seed": seed})


def negative_downsample(label: str, rate: float, *, by: str | None = None, seed: int = 0) -> Predicate:
    """For a plan's `where`: true of every row whose `label` is above 0, and of a part `rate` of all others.

    Rows without a label are among the others. `by` and `seed` as in `dpp.sample`. A model trained on this sees the others
    1/rate times too seldom: weigh them, or correct its predictions.
    """
    if not isinstance(label, str) or not label:
        raise InvalidRequest(f"label is the name of a feature, not {label!r}")
    return compare(label, ">", 0) | sample(rate, by=by, seed=seed)


def _join(how: str, left: Predicate, right: Predicate) -> Predicate:
    if not isinstance(right, Predicate):
        return NotImplemented
    # Long chains stay flat: a | b | c | … is one condition, however many there are.
    parts = [part for form in (left.form, right.form) for part in (form[how] if how in form else [form])]
    return Predicate({how: parts})


def written(form: dict) -> str:
    """A condition as one would write it."""
    if "sample" in form:
        return f"sample({form['rate']} by {form['sample'] or 'row'}, seed {form['seed']})"
    if "is_null" in form:
        return f"{form['is_null']} is null"
    if "not" in form:
        return f"~({written(form['not'])})"
    for how, sign in (("all_of", " & "), ("any_of", " | ")):
        if how in form:
            return "(" + sign.join(map(written, form[how])) + ")"
    return f"{form['column']} {form['operator']} {form['value']!r}"
