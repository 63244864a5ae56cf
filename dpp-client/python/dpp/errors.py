"""What can go wrong, by what the caller can do about it.

Rust raises these too: `src/errors.rs` picks the class by the fault's name.
"""


class Error(Exception):
    """Anything dpp raises. Raised as such only for a mistake of dpp's own."""

    __module__ = "dpp"


class InvalidRequest(Error, ValueError):
    """Asked wrongly: mend the argument, plan or state that the message names."""

    __module__ = "dpp"


class NotFound(Error, FileNotFoundError):
    """The table, file or bucket that the message names is not there, or has nothing to read."""

    __module__ = "dpp"


class PermissionDenied(Error, PermissionError):
    """It is there, and these credentials may not have it."""

    __module__ = "dpp"


class CorruptData(Error):
    """Stored or received data can't be read as what it claims to be."""

    __module__ = "dpp"


class Changed(Error):
    """A file is not what it was when the run began: take a new snapshot, or restore the file."""

    __module__ = "dpp"


class Unavailable(Error, ConnectionError):
    """Nobody answered, or not in time: worth trying again."""

    __module__ = "dpp"


class UnknownOp(InvalidRequest, AttributeError):
    """An expression has no op of that name."""

    __module__ = "dpp"


def nearest(name: str, known: "list[str]") -> str:
    """`; did you mean …?` for a mistyped name, or nothing when no known name is like it."""
    from difflib import get_close_matches

    found = get_close_matches(name, known, n=2)
    return f"; did you mean {' or '.join(found)}?" if found else ""
