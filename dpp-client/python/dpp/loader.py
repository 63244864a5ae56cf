"""The loader: a table and a plan in, batches out, in an order that no machine's speed or failure changes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import partial

from dpp import _children, _dpp, _passes, _ranks, _settings, _tensors
from dpp._settings import Shuffle, count, count_or_none
from dpp.batch import Batch, Layout
from dpp.errors import Error, InvalidRequest
from dpp.plan import Plan
from dpp.service import Service
from dpp.table import Table, _url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["DataLoader", "Shuffle"]


class DataLoader:
    """Batches of a table's rows. One pass is one epoch, the next pass the next epoch.

    batch_size         rows of this rank's batch; or global_batch_size, rows of all ranks' batches together
    service            None: on-box. "host:port,host:port", "unix:/path", "dns://name:port" or "fleet://host:port": from workers, called as
                       DPP_TLS_… and DPP_TOKEN_FILE say, or as a `dpp.Service` says
    name               the run, as the fleet shows it
    priority           0 to 99: beside other runs on busy workers, this one gets 1 + priority shares of their threads
    rank, world_size   by default torch.distributed's when it is initialised, else 0 of 1
    shuffle, seed      False, True (splits over the epoch and rows in windows) or a `Shuffle`
    lanes, round_rows  the order's geometry; by default the first world size and global batch. A loaded state brings its own
    drop_last          leave the last step out when it is short
    on_uneven          with a row filter, what happens when lanes end unevenly: "drop" ends the epoch with the shortest lane,
                       "pad" goes on until all are empty (`batch.valid` is false for padded rows), "error" raises
    prefetch_batches   batches made ready ahead of the one in use
    max_memory_bytes   of frames and batches that wait for the trainer; by default 1 GiB, or more if it must be. Too little
                       raises and says the least that works. Beside it the process keeps up to 192 MiB a core (at most 3 GiB) to fill again
    threads            compute threads on-box; by default one a core
    worker_timeout_seconds  how long to wait for a worker that answers before failing
    output             "torch", "numpy" or "arrow": what a batch's tensors are
    id_dtype           "int64", or "int32" for sparse values: an id that does not fit raises and names its key
    pin_memory         tensors in page-locked memory of this process
    device             where tensors go; to a CUDA device the next batch is copied while the trainer uses one
    usage_log          a folder or prefix, reached by the table's storage_options: rank 0 writes a small file there that says
                       which features this run reads, when the loader is made and at the end of every epoch. `dpp table
                       rewrite --order-by usage` puts together what runs read together
    verbose            one line on stderr at the end of every epoch

    Wrong arguments, a table that is not there and a plan that does not fit it raise here, before any row is read. With
    output="torch" the loader is a `torch.utils.data.IterableDataset` that yields whole batches and prefetches by itself.

    With several ranks of torch.distributed, making a loader is a collective: rank 0 describes the table and all read its
    snapshot, each from the URL it was given; it raises on all of them when one can't. In `torch.utils.data.DataLoader(loader, batch_size=None, num_workers=k)` each worker process takes
    the steps of every k-th stripe: the same batches in another order, none twice. Positions then belong to the workers:
    `state_dict` raises here, and torchdata's StatefulDataLoader saves and loads them, with equal k.

    A plan with a row filter (`where`) gives batches of rows that it keeps, as many on every rank; `len()` is not known then,
    and torch workers can't share them. Ranks of torch.distributed read their own lanes and agree on every step by a small
    all-reduce within `next`, so all must take as many steps. Without torch.distributed, with a global batch other than
    round_rows, or with lanes that do not divide by the world size, every rank reads all lanes and needs no agreement.
    """

    _loader: _dpp.Loader | None
    _pass: _passes.Pass | None
    _epoch: int | None  # of the pass that began here, in a child
    _layout: Layout
    _agree: _ranks.Agreement | None

    def __new__(cls, *arguments: Any, output: str = "torch", **settings: Any) -> DataLoader:
        return object.__new__(_torch_dataset(cls) if output == "torch" else cls)

    def __init__(
        self,
        table: Table | str | os.PathLike[str],
        plan: Plan,
        *,
        batch_size: int | None = None,
        global_batch_size: int | None = None,
        service: str | Service | None = None,
        name: str = "",
        priority: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        shuffle: bool | Shuffle = False,
        seed: int = 0,
        lanes: int | None = None,
        round_rows: int | None = None,
        drop_last: bool = False,
        on_uneven: str = "drop",
        prefetch_batches: int = 4,
        max_memory_bytes: int | None = None,
        threads: int | None = None,
        worker_timeout_seconds: int = 60,
        output: str = "torch",
        id_dtype: str = "int64",
        pin_memory: bool = False,
        device: Any = None,
        usage_log: str | os.PathLike[str] | None = None,
        verbose: bool = False,
    ) -> None:
        self._table = table if isinstance(table, Table) else Table(table)
        if not isinstance(plan, Plan):
            raise InvalidRequest(f"plan is a dpp.Plan, not {plan!r}")
        self._service = _settings.service_or_none(service)
        if self._service is not None:
            _settings.refuse_what_stays_here(self._table, threads)
        self._plan = plan
        self._target = _tensors.Target(output, id_dtype, bool(pin_memory), device)
        self._threads = count_or_none("threads", threads)
        self._is_verbose = bool(verbose)
        self._usage_log = None if usage_log is None else _url("usage_log", usage_log)
        # Made within a torch worker for a rank that its maker chose, it takes all steps of that rank.
        self._has_children = rank is None or _children.this_child() is None
        self._ledger = _children.Ledger()
        self._place = _ranks.place_among_ranks(rank, world_size)
        self._settings = {
            "batch": _settings.batch_rows(batch_size, global_batch_size),
            "rank": self._place[0],
            "world_size": self._place[1],
            "shuffle": _settings.shuffle_form(shuffle),
            "seed": count("seed", seed),
            "lanes": count_or_none("lanes", lanes),
            "round_rows": count_or_none("round_rows", round_rows),
            "drop_last": bool(drop_last),
            "on_uneven": _settings.uneven_rule(on_uneven),
            "prefetch_batches": count("prefetch_batches", prefetch_batches, least=1),
            "max_memory_bytes": count_or_none("max_memory_bytes", max_memory_bytes),
            "run_name": str(name),
            "priority": count("priority", priority),
            "worker_timeout_seconds": count("worker_timeout_seconds", worker_timeout_seconds, least=1),
        }
        self._is_closed = False
        self._start_unopened(None, None)
        self._open_with_all_ranks()
        self._log_usage()

    def __iter__(self) -> Iterator[Batch]:
        """Begin the next epoch, or go on with the one that a loaded state was saved in."""
        loader, child = self._here(), self._child()
        if child is None:
            self._ledger.forget(None)
        else:
            self._target.check_child()
            epoch = self._ledger.next_epoch(child)
            if epoch is not None:
                loader.set_epoch(epoch)
            self._epoch = json.loads(loader.state())["epoch"]
            self._ledger.begin(child, self._epoch)
        batches = loader.start_epoch()
        report = _passes.Reporter(loader, self._who(child)) if self._is_verbose else _nothing

        def at_end() -> None:
            report()
            self._log_usage_if_it_can()

        make = partial(_make, self._layout, self._target)
        if self._target.prefetches:
            self._pass = _passes.DevicePass(batches, make, at_end, loader, self._target.device)
        else:
            self._pass = _passes.Pass(batches, make, at_end)
        return self._pass

    def __len__(self) -> int:
        """Steps of a whole epoch, the same for every rank. `TypeError` with a row filter: nobody knows before reading."""
        steps = self._opened().num_steps
        if steps is None:
            raise TypeError("a loader whose plan has a row filter (where) does not know its steps before it has read them")
        return steps

    @property
    def num_rows(self) -> int:
        """Rows of the snapshot, over all ranks, before a row filter."""
        return self._opened().num_rows

    @property
    def snapshot_hash(self) -> str:
        """Names the exact files that this run reads."""
        return self._opened().snapshot_hash

    @property
    def dense_names(self) -> list[str]:
        """Names of `batch.dense`'s columns."""
        return list(self._layout.dense_names)

    @property
    def label_names(self) -> list[str]:
        """Names of `batch.labels`' columns."""
        return list(self._layout.label_names)

    @property
    def sparse_names(self) -> list[str]:
        """Keys of `batch.sparse`."""
        return list(self._layout.sparse_names)

    def state_dict(self) -> dict[str, Any]:
        """Where the run stands: what was consumed, not what was prefetched. Small, versioned, JSON-able."""
        loader, child = self._opened(), self._child()
        if child is None and self._ledger.children:
            raise InvalidRequest(
                f"{self._ledger.children} torch DataLoader workers iterate this loader, each from a position of its own: save "
                "the state of a torchdata StatefulDataLoader, or use num_workers=0 (this loader prefetches by itself)"
            )
        state = json.loads(self._pass and self._pass.state() or loader.state())
        if child is None:
            return state
        if self._epoch is not None and state["epoch"] > self._epoch:
            # This child's part of the epoch is over, and other children's may not be.
            state |= {"epoch": self._epoch, "rows_consumed": loader.num_rows}
        return _children.mark_state(state, child)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was saved, by whatever rank, world size and batch size. Before iterating.

        A state of another snapshot, seed, shuffle or row filter raises `InvalidRequest` naming what differs.
        """
        if not isinstance(state, Mapping):
            raise InvalidRequest(f"a state is what state_dict() returned, not {type(state).__name__}")
        child = self._child()
        try:
            text = json.dumps(_children.unmark_state(dict(state), child))
        except (TypeError, ValueError) as error:
            if isinstance(error, Error):
                raise
            raise InvalidRequest(f"a state is what state_dict() returned: {error}") from None
        self._here().load_state(text)
        self._leave_pass()
        self._ledger.forget(child)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass, from its beginning; the epoch the run stands in keeps its position."""
        epoch, child = count("epoch", epoch), self._child()
        self._opened().set_epoch(epoch)
        self._leave_pass()
        if child is None:
            self._ledger.choose(epoch)
        else:
            self._ledger.forget(child)

    def stats(self) -> dict[str, Any]:
        """What this loader did so far: rows, bytes, requests, retries, seconds; `stall_by_cause` splits the seconds waited."""
        return json.loads(self._opened().stats())

    def close(self) -> None:
        """Stop reading and give threads and connections back. Closing twice is fine, iterating after is an error."""
        if self._pass is not None:
            self._pass.close()
        self._pass = self._loader = None
        self._is_closed = True

    def __enter__(self) -> DataLoader:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __repr__(self) -> str:
        place = "on-box" if self._service is None else f"from {self._service.url}"
        return f"<dpp.DataLoader {self._table!r} {place}>"

    def __reduce__(self) -> Any:
        """Settings and position: the copy opens threads and connections of its own when it is used."""
        state = {name: value for name, value in self.__dict__.items() if name not in ("_loader", "_pass", "_pid", "_agree")}
        loader = self._opened()
        position = self._pass and self._pass.state() or loader.state()
        return _copy, (_plain_class(type(self)), self._target.output, state, position, loader.described())

    def _start_unopened(self, position: str | None, described: bytes | None) -> None:
        self._loader = self._pass = self._epoch = self._agree = None
        self._position, self._described = position, described

    def _open_with_all_ranks(self) -> None:
        if _children.this_child() is None:
            self._agree = _ranks.agreement(self._place)
            wanted = {"plan": self._plan.to_json(), "filter": json.dumps(self._table._filter)}
            _ranks.open_together(self._place, wanted, self._open_first, self._open_as)
        else:
            self._open()

    def _open_first(self) -> bytes:
        self._open()
        return self._opened().described()

    def _open_as(self, described: bytes) -> None:
        self._described = described
        self._open()

    def _open(self) -> None:
        child, settings, threads = self._child(), self._settings, self._threads
        if child is not None:
            _children.check_count(child)
            settings = settings | {"child": child._asdict()}
            if threads is None and self._service is None:
                threads = _children.threads_of(child)
        self._loader = _dpp.Loader(
            self._table._handle,
            self._plan.to_json(),
            json.dumps(settings),
            self._service and self._service._handle,
            threads,
            self._described,
            self._agree,
        )
        self._layout = Layout(json.loads(self._loader.layout()))
        self._pid = os.getpid()
        if self._position is not None:
            self._loader.load_state(self._position)
        self._described = None  # the loader has it now

    def _opened(self) -> _dpp.Loader:
        """The loader, perhaps of the process before a fork: it can be looked at, and not iterated."""
        if self._is_closed:
            raise InvalidRequest("this loader is closed")
        if self._loader is None:
            self._open()
        assert self._loader is not None
        return self._loader

    def _here(self) -> _dpp.Loader:
        """The loader of this process: after a fork opened anew, the position kept. Not in the middle of a pass."""
        loader = self._opened()
        if self._pid == os.getpid():
            return loader
        if self._pass is not None and not self._pass.is_over:
            raise InvalidRequest(
                f"this loader is being iterated in process {self._pid} and can't go on after a fork, in process {os.getpid()}: "
                "make the DataLoader in the process that iterates it"
            )
        self._start_unopened(loader.state(), loader.described())
        return self._opened()

    def _log_usage(self) -> None:
        """One rank says it for all, and of torch's worker processes the one that made the loader."""
        if self._usage_log is not None and self._place[0] == 0 and _children.this_child() is None:
            self._opened().log_usage(self._table._handle, self._settings["run_name"], self._usage_log)

    def _log_usage_if_it_can(self) -> None:
        """An epoch is not lost with its log."""
        try:
            self._log_usage()
        except Error as error:
            import warnings

            warnings.warn(f"usage_log was not written: {error}", stacklevel=2)

    def _leave_pass(self) -> None:
        """Nothing that was made ready counts any more; who goes on with the pass is told that it is over."""
        if isinstance(self._pass, _passes.DevicePass):
            self._pass.close()
        self._pass = self._epoch = None

    def _child(self) -> _children.Child | None:
        return _children.this_child() if self._has_children else None

    def _who(self, child: _children.Child | None) -> str:
        rank, world_size = self._place
        ranks = f", rank {rank} of {world_size}" if world_size > 1 else ""
        return f"dpp{ranks}" + ("" if child is None else f", torch worker {child.index} of {child.of}")


def _copy(cls: type[DataLoader], output: str, state: dict[str, Any], position: str, described: bytes) -> DataLoader:
    loader = cls.__new__(cls, output=output)
    loader.__dict__.update(state)
    loader._start_unopened(position, described)
    return loader


def _make(layout: Layout, target: _tensors.Target, rows: _dpp.Batch) -> Batch:
    return target.place(Batch(rows, layout, target))


def _nothing() -> None:
    pass


_torch_classes: dict[type, type] = {}


def _torch_dataset(cls: type) -> type:
    """`cls` as an IterableDataset. Made when first needed, so that importing dpp imports no torch."""
    if cls not in _torch_classes:
        try:
            from torch.utils.data import IterableDataset
        except ImportError:
            return cls  # without torch; the converter says so
        if issubclass(cls, IterableDataset):
            return cls
        _torch_classes[cls] = type(
            cls.__name__, (cls, IterableDataset), {"__module__": cls.__module__, "__doc__": cls.__doc__}
        )
    return _torch_classes[cls]


def _plain_class(cls: type) -> type:
    """The class of which `_torch_dataset` made `cls`: pickle finds that one by its name."""
    return next((plain for plain, made in _torch_classes.items() if made is cls), cls)
