"""Ranks: which one this process is, and that all of them open the same job. torch.distributed is asked if it is there."""

from __future__ import annotations

import sys

from dpp._settings import count
from dpp.errors import Error, InvalidRequest, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def place_among_ranks(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """(rank, world size): as given, else torch.distributed's when it is initialised, else 0 of 1."""
    if (rank is None) != (world_size is None):
        raise InvalidRequest("give rank and world_size together, or neither")
    if rank is None or world_size is None:
        rank, world_size = _initialised_place() or (0, 1)
    rank, world_size = count("rank", rank), count("world_size", world_size, least=1)
    if rank >= world_size:
        raise InvalidRequest(f"rank {rank} of world_size {world_size}: ranks go from 0 to {world_size - 1}")
    return rank, world_size


def open_together(
    place: tuple[int, int], wanted: dict[str, str], open_first: Callable[[], bytes], open_as: Callable[[bytes], None]
) -> None:
    """Open the same job on every rank: rank 0 describes the table, the others take its description.

    `wanted` is what ranks must ask for alike. Raises on every rank when one fails. A collective when `place` is
    torch.distributed's and there are several ranks; else every process describes the table by itself, and whoever starts
    ranks without torch.distributed gives them one `snapshot=`.
    """
    if place[1] == 1 or place != _initialised_place():
        open_first()
        return
    failure, offer = None, [None]
    if place[0] == 0:
        failure, described = _attempt(open_first)
        offer = [(wanted, described)]
    _distributed().broadcast_object_list(offer, src=0)
    theirs, described = offer[0]
    if place[0] != 0 and described is not None:
        differing = [name for name in wanted if wanted[name] != theirs[name]]
        if differing:
            failure = InvalidRequest(f"rank {place[0]} and rank 0 were given different settings: {' and '.join(differing)}")
        else:
            failure, _ = _attempt(lambda: open_as(described))
    messages: list[Any] = [None] * place[1]
    _distributed().all_gather_object(messages, None if failure is None else str(failure))
    if failure is not None:
        raise failure
    for rank, message in enumerate(messages):
        if message is not None:
            raise Unavailable(f"rank {rank} could not open its loader: {message}")


def agreement(place: tuple[int, int]) -> Agreement | None:
    """How ranks of torch.distributed tell one another numbers; None for any other place."""
    return Agreement() if place[1] > 1 and place == _initialised_place() else None


class Agreement:
    """The greatest of all ranks' numbers at each place, over a gloo group of its own, made when first asked."""

    def __init__(self) -> None:
        self._group: Any = None
        self._numbers: Any = None  # kept, so that no thread of gloo is the last to drop it

    def __call__(self, numbers: list[int]) -> list[int]:
        import torch

        distributed = _distributed()
        if self._group is None:
            self._group = distributed.new_group(backend="gloo")
        self._numbers = torch.tensor(numbers, dtype=torch.int64)
        distributed.all_reduce(self._numbers, op=distributed.ReduceOp.MAX, group=self._group)
        return self._numbers.tolist()


def _attempt(work: Callable[[], Any]) -> tuple[Error | None, Any]:
    try:
        return None, work()
    except Error as error:
        return error, None


def _initialised_place() -> tuple[int, int] | None:
    distributed = _distributed()
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed.get_rank(), distributed.get_world_size()


def _distributed() -> Any:
    """torch.distributed, when someone imported it."""
    return sys.modules.get("torch.distributed")
