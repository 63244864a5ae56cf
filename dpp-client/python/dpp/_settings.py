"""What users choose for a loader, checked at the door, in the words that Rust reads."""

from __future__ import annotations

from dpp.errors import InvalidRequest
from dpp.service import ADDRESS, Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dpp.table import Table


class Shuffle:
    """How rows are shuffled, by a seeded hash, so that the same seed gives the same order.

    splits  "epoch" permutes splits over the whole epoch, n within blocks of n splits, None not at all
    rows    rows are permuted within windows of that many; None not at all
    """

    __slots__ = ("splits", "rows")

    def __init__(self, splits: str | int | None = "epoch", rows: int | None = None) -> None:
        if splits is not None and splits != "epoch" and not is_count(splits, least=1):
            raise InvalidRequest(f"Shuffle(splits=…) is 'epoch', a number of splits or None, not {splits!r}")
        if rows is not None and not is_count(rows, least=1):
            raise InvalidRequest(f"Shuffle(rows=…) is a number of rows or None, not {rows!r}")
        self.splits = splits
        self.rows = rows

    def __repr__(self) -> str:
        return f"dpp.Shuffle(splits={self.splits!r}, rows={self.rows!r})"


def batch_rows(batch_size: int | None, global_batch_size: int | None) -> dict[str, int]:
    """`dpp_client::BatchRows`."""
    if (batch_size is None) == (global_batch_size is None):
        raise InvalidRequest("give batch_size (rows per rank) or global_batch_size (rows of all ranks), one of the two")
    if batch_size is not None:
        return {"per_rank": count("batch_size", batch_size, least=1)}
    return {"global": count("global_batch_size", global_batch_size, least=1)}


def shuffle_form(shuffle: bool | Shuffle) -> dict[str, Any]:
    """`dpp_client::Shuffle`."""
    if isinstance(shuffle, bool):
        shuffle = Shuffle("epoch", WINDOW_ROWS) if shuffle else Shuffle(None, None)
    if not isinstance(shuffle, Shuffle):
        raise InvalidRequest(f"shuffle is True, False or dpp.Shuffle(…), not {shuffle!r}")
    splits: Any = "off" if shuffle.splits is None else shuffle.splits
    if not isinstance(splits, str):
        splits = {"blocks": splits}
    return {"splits": splits, "rows": shuffle.rows or 0}


def uneven_rule(on_uneven: object) -> str:
    """`dpp_client::OnUneven`."""
    if on_uneven in ("drop", "pad", "error"):
        return str(on_uneven)
    raise InvalidRequest(f"on_uneven is 'drop', 'pad' or 'error', not {on_uneven!r}")


def refuse_what_stays_here(table: Table, threads: int | None) -> None:
    """Workers have threads and keys of their own. Secret storage options, Rust refuses."""
    if threads is not None:
        raise InvalidRequest("threads counts threads on-box: leave it out with a service, whose workers have their own")
    if table._keys is not None:
        raise InvalidRequest(
            "decryption= holds this process's keys, and with a service the workers decrypt, with keys of their own "
            "(dpp-worker --keys): leave it out"
        )


def service_or_none(service: object) -> Service | None:
    """An address stands for the service there, called as the environment says."""
    if isinstance(service, str):
        return Service(service)
    if service is None or isinstance(service, Service):
        return service
    raise InvalidRequest(f"{ADDRESS}, not {service!r}")


def count(name: str, value: object, least: int = 0) -> int:
    """`value` as a whole number, or an error that names it."""
    if not is_count(value, least):
        raise InvalidRequest(f"{name} is a whole number of at least {least}, not {value!r}")
    return int(value)  # type: ignore[call-overload]


def count_or_none(name: str, value: object, least: int = 1) -> int | None:
    """`count`, where None stands for a default."""
    return None if value is None else count(name, value, least)


def is_count(value: object, least: int) -> bool:
    """Whether `value` is a whole number of at least `least`."""
    try:
        number = value.__index__()  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        return False
    return not isinstance(value, bool) and least <= number < 1 << 63


WINDOW_ROWS = 8192
"""Rows of a window that shuffle=True permutes."""
