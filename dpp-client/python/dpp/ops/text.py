"""Ops on text.

Written by `ops_from_rust.py` from `dpp-ops/src/ops/text/`: change it there.
"""

from __future__ import annotations

from dpp._node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from dpp._node import PerFeature


class TextOps(Node):
    """Methods of an expression. Ops on text."""

    __slots__ = ()

    def lower(self) -> Self:
        """Every character in lower case. text `[rows] → [rows]`.

        - Unicode's full mapping, without locale, final sigma included; the length in bytes may change. A later version
          of Unicode may map letters that are new in it.
        - Null stays null. Empty in, empty out. No parameters, no errors.
        - Source: TorchArrow `str.lower`; Rust's `str::to_lowercase`.
        """
        return self._apply("lower")

    def split(self, separator: str | None = None) -> Self:
        """The tokens of every text, each hashed to an id. text `[rows]` → id_list `[rows]`.

        - Tokens lie between separators, or between runs of Unicode white space where no separator is given; empty ones
          are left out. Their bytes are neither folded nor normalised: `lower` comes first.
        - id = XXH3 64-bit of the token's UTF-8, seed 0, read as i64; `sigrid_hash` brings it into a table's range.
        - Null → empty list; text without tokens too.
        - Errors: an empty separator.
        - Source: TorchArrow `str.split`; the hash is ours.
        """
        return self._apply("split", separator=separator)

    def token_ngram(self, n: PerFeature[int], separator: str | None = None) -> Self:
        """`split(separator)`, then `ngram(n)`. text `[rows]` → id_list `[rows]`.

        - For every window of n' = min(n, tokens) neighbouring tokens one id: their hashes folded with h128.
        - Null → empty list; text without tokens too.
        - Errors: n ≤ 0; an empty separator.
        - Source: ours.
        """
        return self._apply("token_ngram", n=n, separator=separator)
