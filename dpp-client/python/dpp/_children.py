"""Worker processes of torch's DataLoader: each is a child that takes the steps of every k-th stripe of its rank.

A child has a loader of its own, opened in its own process, and a position of its own. Parent and children share one
array, through which each pass finds its epoch and the parent knows that its own position means nothing.
"""

from __future__ import annotations

import os
import sys
from collections import namedtuple

from dpp.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Child = namedtuple("Child", ["index", "of"])
Child.__doc__ = """Child `index` of `of`, counted from 0."""


def this_child() -> Child | None:
    """Which torch worker this process is, if it is one."""
    data = sys.modules.get("torch.utils.data")
    worker = None if data is None else data.get_worker_info()
    return None if worker is None else Child(worker.id, worker.num_workers)


def threads_of(child: Child) -> int:
    """A child's share of the cores, so that children together compute on each once."""
    return max(1, len(os.sched_getaffinity(0)) // child.of)


class Ledger:
    """In memory that parent and children share: how many children iterate, and which epoch each begins next."""

    def __init__(self) -> None:
        from multiprocessing.sharedctypes import RawArray

        # The number of children; then for each its next epoch + 1, or 0 to go on where the parent stands.
        self._cells = RawArray("q", 1 + MOST_CHILDREN)

    @property
    def children(self) -> int:
        """Children that iterate or did; 0 when the parent itself does."""
        return self._cells[0]

    def next_epoch(self, child: Child) -> int | None:
        """The epoch that the child's next pass is over; None: of the position that it brought along."""
        return self._cells[1 + child.index] - 1 if self._cells[1 + child.index] else None

    def begin(self, child: Child, epoch: int) -> None:
        """A child begins a pass. Every child begins every pass, so they count alike without asking each other."""
        self._cells[0] = child.of
        self._cells[1 + child.index] = epoch + 2

    def choose(self, epoch: int) -> None:
        """The next pass of every child is over `epoch`."""
        self._cells[1:] = [epoch + 1] * MOST_CHILDREN

    def forget(self, child: Child | None) -> None:
        """A child, or whoever starts next, goes on where its loader stands."""
        if child is None:
            self._cells[:] = [0] * len(self._cells)
        else:
            self._cells[1 + child.index] = 0

    def __getstate__(self) -> Any:
        from multiprocessing.context import get_spawning_popen

        return {"_cells": None if get_spawning_popen() is None else self._cells}

    def __setstate__(self, state: Any) -> None:
        self.__init__()  # type: ignore[misc]
        if state["_cells"] is not None:  # a copy for no process that is being started shares nothing
            self._cells = state["_cells"]


def check_count(child: Child) -> None:
    """Refuses more children than the ledger has room for."""
    if child.of > MOST_CHILDREN:
        raise InvalidRequest(f"num_workers={child.of}: a loader is shared by {MOST_CHILDREN} torch workers at the most")


def mark_state(state: dict[str, Any], child: Child) -> dict[str, Any]:
    """A child's state, which only the same child of as many can go on from."""
    return state | {"torch_worker": child.index, "torch_workers": child.of}


def unmark_state(state: dict[str, Any], child: Child | None) -> dict[str, Any]:
    """The state as Rust knows it; an error when it was another child's."""
    state = dict(state)
    if "torch_worker" not in state:
        return state
    saved = Child(state.pop("torch_worker"), state.pop("torch_workers", None))
    if saved != child:
        here = "no torch worker" if child is None else f"torch worker {child.index} of {child.of}"
        raise InvalidRequest(
            f"this state is of torch worker {saved.index} of {saved.of}, and this is {here}: load the state of the whole "
            f"StatefulDataLoader into one with num_workers={saved.of}"
        )
    return state


MOST_CHILDREN = 1024
