"""Ops on numbers: one per row in, one per row out.

Written by `ops_from_rust.py` from `dpp-ops/src/ops/dense/`: change it there.
"""

from __future__ import annotations

from dpp._node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from dpp._node import Number, PerFeature
    from dpp.expressions import Expr


class DenseOps(Node):
    """Methods of an expression. Ops on numbers: one per row in, one per row out."""

    __slots__ = ()

    def abs(self) -> Self:
        """|x|. dense `[rows] → [rows]`; an int becomes dense first.

        - −0 becomes 0; −inf becomes +inf; NaN gives the one canonical NaN.
        - Nulls stay null. Empty in, empty out. No parameters, no errors.
        - Source: IEEE 754.
        """
        return self._apply("abs")

    def add(self, value: PerFeature[Number] | Expr) -> Self:
        """x + value, a + b. dense, dense `[rows] → [rows]`; with ints, or an int and a whole `value`, int `[rows]`; an
        int beside a dense becomes dense first.

        - Without `value` there are two inputs, else one. A row is null if either side is.
        - dense: IEEE 754 in f32, rounded once; NaN gives the one canonical NaN. int: exact, wrapping at 64 bits, so
          that timestamps in seconds keep their resolution.
        - Errors: `value` is no number, or too large for f32.
        - Source: IEEE 754; wrapping as numpy.
        """
        return self._combine("add", value)

    def box_cox(self, lambda1: PerFeature[Number], lambda2: PerFeature[Number] = 0) -> Self:
        """with t = max(x + lambda2, 1e-6): ln t if lambda1 = 0, else (t^lambda1 − 1) / lambda1. dense `[rows] →
        [rows]`; an int becomes dense first.

        - In f32, each step rounded; ln by a kernel of our own, the power by pure-Rust `libm`, both rounded from f64:
          the same bits on every machine.
        - Nulls stay null. Empty in, empty out. NaN gives the one canonical NaN; −inf counts as the floor 1e-6.
        - Errors: lambda1 or lambda2 not finite in f32. lambda1 is 0 as soon as its f32 is.
        - Source: Caffe2 BatchBoxCox.
        """
        return self._apply("box_cox", lambda1=lambda1, lambda2=lambda2)

    def cast_dense(self) -> Self:
        """The nearest f32, ties to even. int `[rows]` → dense `[rows]`; dense passes unchanged.

        - Inserted by itself where an op or an output asks for dense and is given an int.
        - Exact up to 2^24; beyond, neighbours fall together (timestamps in seconds: 128 s).
        - Nulls stay null. Empty in, empty out. No parameters, no errors.
        - Source: ours; the rounding of IEEE 754.
        """
        return self._apply("cast_dense")

    def clamp(self, min: PerFeature[Number] | None = None, max: PerFeature[Number] | None = None) -> Self:
        """min if x < min, max if x > max, else x. dense `[rows] → [rows]`; an int becomes dense first.

        - Either bound may be left out, not both. A bound may be infinite.
        - Nulls stay null. NaN passes, as the one canonical NaN. Empty in, empty out. −0 is not below 0, so it passes
          `min=0`.
        - Errors: min > max; a bound that is NaN, no number or too large for f32; no bound at all.
        - Source: TorchArrow `clamp` (Velox `clamp`).
        """
        return self._apply("clamp", min=min, max=max)

    def clip_log(self) -> Self:
        """ln(max(x, 1e-6)). dense `[rows] → [rows]`; an int becomes dense first.

        - Computed in f64 by a kernel of our own and rounded once: the same bits on every machine.
        - x ≤ 1e-6, negative values and −inf included, give ln(1e-6) = −13.8155; +inf stays; NaN gives the one canonical
          NaN.
        - Nulls stay null. Empty in, empty out. No parameters, no errors.
        - Source: ReAgent preprocessing.
        """
        return self._apply("clip_log")

    def divide(self, value: PerFeature[Number] | Expr, reversed: bool = False) -> Self:
        """x / value, reversed value / x, a / b. dense, dense `[rows] → [rows]`; an int becomes dense first.

        - Without `value` there are two inputs, else one. A row is null if either side is.
        - IEEE 754 in f32, rounded once, ints too: x / 0 = ±inf, 0 / 0 and NaN give the one canonical NaN.
        - Errors: `value` is no number, or too large for f32; `reversed` without `value`.
        - Source: IEEE 754.
        """
        return self._combine("divide", value, reversed=reversed)

    def fill_nan(self, value: PerFeature[Number]) -> Self:
        """value if x is NaN, else x. dense `[rows] → [rows]`; an int becomes dense first.

        - Infinities stay. Nulls stay null: `fill_null` is for those. Empty in, empty out.
        - Errors: `value` is no finite number of f32.
        - Source: Polars `fill_nan`.
        """
        return self._apply("fill_nan", value=value)

    def fill_null(self, value: PerFeature[Number]) -> Self:
        """x if x is there, else value. dense `[rows] → [rows]`, int `[rows] → [rows]`.

        - An int stays an int when `value` is whole; a fraction makes it dense first (`cast_dense`).
        - Nulls: none are left. NaN is a value and stays. Empty in, empty out.
        - Errors: `value` is no number, or too large for f32.
        - Source: NVTabular FillMissing; TorchArrow `fill_null`.
        """
        return self._apply("fill_null", value=value)

    def get_local_hour(self, utc_offset_seconds: PerFeature[int]) -> Self:
        """floor(floor_mod(t + utc_offset_seconds, 86400) / 3600), 0 … 23. int `[rows] → [rows]`, t in seconds since
        the epoch.

        - Exact for every i64; the sum never wraps. Leap seconds are as Unix time has them: none.
        - Nulls stay null. Empty in, empty out.
        - Errors: the offset is no whole number.
        - Source: ours.
        """
        return self._apply("get_local_hour", utc_offset_seconds=utc_offset_seconds)

    def is_present(self) -> Self:
        """1 where there is a value, 0 where it is null. dense, int, bytes or text `[rows] → vector [rows, 1]`.

        - As a dense output it adds the column `output=present`, beside that of the feature itself, of which nulls
          become the plan's `missing`; as a vectors output it is a mask `[rows, 1]`.
        - NaN, zero and empty text are values. Whether a list is empty says `list_len`. Empty in, empty out. No
          parameters, no errors.
        - Source: ours; ReAgent's presence.
        """
        return self._apply("is_present")

    def log(self) -> Self:
        """ln(x). dense `[rows] → [rows]`; an int becomes dense first.

        - Computed in f64 by a kernel of our own and rounded once: the same bits on every machine.
        - log(0) = log(−0) = −inf; x < 0 and NaN give the one canonical NaN; +inf stays.
        - Nulls stay null. Empty in, empty out. No parameters, no errors.
        - Source: TorchArrow `log`; the kernel is ours.
        """
        return self._apply("log")

    def log1p(self) -> Self:
        """ln(1 + x), natural. dense `[rows] → [rows]`; an int becomes dense first.

        - Computed in f64 by a kernel of our own and rounded once: the same bits on every machine.
        - log1p(−1) = −inf; x < −1 and NaN give the one canonical NaN; +inf stays; −0 stays.
        - Nulls stay null. Empty in, empty out. No parameters, no errors.
        - Source: NVTabular LogOp; the kernel is ours.
        """
        return self._apply("log1p")

    def logit(self, eps: PerFeature[Number] = 1e-6) -> Self:
        """with x clamped to [eps, 1 − eps], ln(x / (1 − x)). dense `[rows] → [rows]`; an int becomes dense first.

        - In f32, each step rounded; ln by a kernel of our own, rounded from f64: the same bits on every machine.
        - Nulls stay null. Empty in, empty out. NaN gives the one canonical NaN; ±inf are clamped as any value.
        - Errors: eps not in (0, 0.5), or so small that 1 − eps is 1 in f32.
        - Source: Caffe2 Logit (ReAgent has eps = 1e-5).
        """
        return self._apply("logit", eps=eps)

    def min_max(self, lo: PerFeature[Number], hi: PerFeature[Number]) -> Self:
        """(x − lo) / (hi − lo); 0.5 when lo = hi. dense `[rows] → [rows]`; an int becomes dense first.

        - In f32: two subtractions, one division, each rounded. Values outside the bounds fall outside [0, 1]: `clamp`
          is for those.
        - Nulls stay null. Empty in, empty out. NaN gives the one canonical NaN, also when lo = hi.
        - Errors: lo > hi; a bound not finite in f32; bounds so far apart that hi − lo is not.
        - Source: NVTabular NormalizeMinMax (whose x / 2x is 0.5, and NaN for 0; ours is 0.5).
        """
        return self._apply("min_max", lo=lo, hi=hi)

    def multiply(self, value: PerFeature[Number] | Expr) -> Self:
        """x · value, a · b. dense, dense `[rows] → [rows]`; with ints, or an int and a whole `value`, int `[rows]`; an
        int beside a dense becomes dense first.

        - Without `value` there are two inputs, else one. A row is null if either side is.
        - dense: IEEE 754 in f32, rounded once; NaN gives the one canonical NaN. int: exact, wrapping at 64 bits, so
          that timestamps in seconds keep their resolution.
        - Errors: `value` is no number, or too large for f32.
        - Source: IEEE 754; wrapping as numpy.
        """
        return self._combine("multiply", value)

    def one_hot(self, vocabulary: PerFeature[Iterable[Number]]) -> Self:
        """1 at the place of x in the vocabulary, 0 elsewhere. dense or int `[rows] → vector [rows, len(vocabulary)]`.

        - As a dense output it adds len(vocabulary) columns, named `output=value`; as a vectors output it is one tensor.
        - By equality: of i64 for an int if the whole vocabulary is whole, else of f32, where 0 equals −0 and every
          value is rounded first. Unknown values, null and NaN give a row of zeros. Empty in, empty out.
        - Errors: no vocabulary, or more than 65,536 values; the same value twice; NaN, or too large for f32.
        - Source: Caffe2 OneHot, ReAgent ENUM.
        """
        return self._apply("one_hot", vocabulary=vocabulary)

    def quantile(self, borders: PerFeature[Iterable[Number]]) -> Self:
        """The share of n borders b below x, between them linear: (i − 1 + (x − b[i−1]) / (b[i] − b[i−1])) / (n − 1)
        with i = number of borders ≤ x. dense `[rows] → [rows]`; an int becomes dense first.

        - x below the first border gives 0, from the last on 1. At a doubled border x counts as past it.
        - In f64, rounded once at the end.
        - Nulls stay null. Empty in, empty out. NaN gives the one canonical NaN.
        - Errors: fewer than two borders; a border smaller than the one before, or not finite in f32.
        - Source: ReAgent preprocessing (QUANTILE).
        """
        return self._apply("quantile", borders=borders)

    def sign_log1p(self) -> Self:
        """sign(x)·ln(1 + |x|). dense `[rows] → [rows]`; an int becomes dense first.

        - Computed in f64 by a kernel of our own and rounded once: the same bits on every machine.
        - Odd: sign_log1p(−x) = −sign_log1p(x), −0 stays; ±inf stay; NaN gives the one canonical NaN.
        - Nulls stay null. Empty in, empty out. No parameters, no errors.
        - Source: ours; `log1p` on the positive half.
        """
        return self._apply("sign_log1p")

    def sqrt(self) -> Self:
        """√x. dense `[rows] → [rows]`; an int becomes dense first.

        - Correctly rounded, as IEEE 754 asks: the same bits on every machine.
        - √−0 = −0; x < 0 and NaN give the one canonical NaN; +inf stays.
        - Nulls stay null. Empty in, empty out. No parameters, no errors.
        - Source: IEEE 754.
        """
        return self._apply("sqrt")

    def subtract(self, value: PerFeature[Number] | Expr, reversed: bool = False) -> Self:
        """x − value, reversed value − x, a − b. dense, dense `[rows] → [rows]`; with ints, or an int and a whole
        `value`, int `[rows]`; an int beside a dense becomes dense first.

        - Without `value` there are two inputs, else one. A row is null if either side is.
        - dense: IEEE 754 in f32, rounded once; NaN gives the one canonical NaN. int: exact, wrapping at 64 bits, so
          that timestamps in seconds keep their resolution.
        - Errors: `value` is no number, or too large for f32; `reversed` without `value`.
        - Source: IEEE 754; wrapping as numpy.
        """
        return self._combine("subtract", value, reversed=reversed)

    def z_score(self, mean: PerFeature[Number], std: PerFeature[Number]) -> Self:
        """(x − mean) / std; x − mean when std is 0. dense `[rows] → [rows]`; an int becomes dense first.

        - In f32: one subtraction, then one division, each rounded. std is 0 as soon as its f32 is.
        - Nulls stay null. NaN gives the one canonical NaN. Empty in, empty out.
        - Errors: mean or std not finite in f32; std < 0.
        - Source: NVTabular Normalize.
        """
        return self._apply("z_score", mean=mean, std=std)
