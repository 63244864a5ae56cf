"""One pass of a loader: the rest of an epoch, batch by batch, and the line that tells a human how it went."""

from __future__ import annotations

import json

from dpp import _dpp
from dpp.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dpp.batch import Batch

    Make = Callable[[_dpp.Batch], Batch]


class Pass:
    """The rest of one epoch. `at_end` is called once, when the epoch's last batch has been used."""

    def __init__(self, batches: _dpp.Batches, make: Make, at_end: Callable[[], None]) -> None:
        self._batches: _dpp.Batches | None = batches
        self._make = make
        self._at_end = at_end
        self._is_cut_short = False

    def __iter__(self) -> Pass:
        return self

    def __next__(self) -> Batch:
        rows = self._reading().next()
        if rows is None:
            raise self._finish()
        return self._make(rows)

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self._batches is None

    def state(self) -> str | None:
        """The loader's state as of the batch in use, where the loader itself is ahead of it."""
        return None

    def close(self) -> None:
        """Stop reading. Whoever goes on with a pass that had not ended is told so."""
        self._is_cut_short = self._is_cut_short or self._batches is not None
        self._batches = None

    def _reading(self) -> _dpp.Batches:
        if self._is_cut_short:
            raise InvalidRequest("this pass was cut short: its loader was closed, or moved to another state or epoch")
        if self._batches is None:
            raise StopIteration
        return self._batches

    def _finish(self) -> StopIteration:
        self._batches = None
        self._at_end()
        return StopIteration()


class DevicePass(Pass):
    """A pass whose batches are copied to a CUDA device on a stream of their own, the next one while the trainer uses one.

    The next batch is taken when it is ready and never waited for, so that the trainer has the one that is there.
    """

    def __init__(
        self, batches: _dpp.Batches, make: Make, at_end: Callable[[], None], loader: _dpp.Loader, device: Any
    ) -> None:
        from torch import cuda

        super().__init__(batches, make, at_end)
        self._loader = loader
        self._device = device
        self._cuda = cuda
        self._stream = cuda.Stream(device)
        self._ahead: Batch | None = None
        self._failure: Exception | None = None
        self._state: str | None = None

    def __next__(self) -> Batch:
        batch, self._ahead, self._state = self._ahead, None, None
        if batch is None:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            rows = self._reading().next()
            if rows is None:
                raise self._finish()
            batch = self._copied(rows)
        current = self._cuda.current_stream(self._device)
        current.wait_stream(self._stream)
        batch.record_stream(current)
        self._copy_ahead()
        return batch

    def state(self) -> str | None:
        return self._state

    def close(self) -> None:
        super().close()
        self._ahead = self._failure = self._state = None

    def _copy_ahead(self) -> None:
        if self._batches is None:
            return
        before = self._loader.state()
        try:
            _, rows = self._batches.try_next()
            if rows is not None:
                self._state = before
                self._ahead = self._copied(rows)
        except Exception as failure:  # belongs to the next batch, not to the one that is handed out
            self._failure = failure

    def _copied(self, rows: _dpp.Batch) -> Batch:
        with self._cuda.stream(self._stream):
            return self._make(rows).pin_memory().to(self._device, non_blocking=True)


class Reporter:
    """Writes one line at the end of an epoch, from what the loader's sums grew by since its pass began."""

    def __init__(self, loader: _dpp.Loader, who: str) -> None:
        self._loader = loader
        self._who = who
        self._epoch = json.loads(loader.state())["epoch"]
        self._before = json.loads(loader.stats())

    def __call__(self) -> None:
        import sys

        print(epoch_line(self._who, self._epoch, self._before, json.loads(self._loader.stats())), file=sys.stderr)


def epoch_line(who: str, epoch: int, before: dict[str, Any], after: dict[str, Any]) -> str:
    """What a pass over `epoch` did, in one line."""
    grown = {name: value - (before.get(name) or 0) for name, value in after.items() if isinstance(value, (int, float))}
    seconds = grown["elapsed_seconds"]
    waited = min(grown["stall_seconds"], seconds)
    rate = grown["rows"] / seconds if seconds > 0 else 0.0
    share = waited / seconds if seconds > 0 else 0.0
    return (
        f"{who}: epoch {epoch}: {grown['rows']:,} rows in {grown['batches']:,} batches, {seconds:.1f} s, {rate:,.0f} rows/s; "
        f"waited {waited:.1f} s for data ({share:.0%}){_mostly(before, after)}; read {_bytes(grown['read_bytes'])}"
    )


def _mostly(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What was waited for most, where the sums are split by cause."""
    causes = after.get("stall_by_cause") or {}
    earlier = before.get("stall_by_cause") or {}
    grown = {cause: seconds - earlier.get(cause, 0.0) for cause, seconds in causes.items() if cause != "nobody"}
    worst = max(grown, key=grown.__getitem__, default=None)
    return f", mostly for {worst}" if worst is not None and grown[worst] > 0 else ""


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
