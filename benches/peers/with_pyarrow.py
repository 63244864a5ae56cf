"""pyarrow and numpy inside a torch IterableDataset: in the trainer's process, or in two of torch's DataLoader's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from workloads import FIRST, W1, W2, WORKLOADS, hashed


def read(name: str, paths: list[Path], repeat: int) -> Iterator[tuple]:
    yield from DataLoader(_Rows(name, paths * repeat), batch_size=None)


def read_in_workers(name: str, paths: list[Path], repeat: int) -> Iterator[tuple]:
    yield from DataLoader(_Rows(name, paths * repeat), batch_size=None, num_workers=2)


class _Rows(IterableDataset):
    def __init__(self, name: str, paths: list[Path]) -> None:
        self.name, self.paths = name, paths

    def __iter__(self) -> Iterator[tuple]:
        worker = get_worker_info()
        paths = self.paths[worker.id :: worker.num_workers] if worker else self.paths
        columns, to_tensors = {"w1": (W1.dense + W1.ids, _w1), "w2": (W2_COLUMNS, _w2), "w3": (["dense", "sparse"], _w3)}[self.name]
        for path in paths:
            file = pq.ParquetFile(path, pre_buffer=True)
            for rows in file.iter_batches(WORKLOADS[self.name].batch_rows, columns=columns, use_threads=False):
                yield tuple(torch.from_numpy(tensor) for tensor in to_tensors(rows))


def _filled(rows: pa.RecordBatch, names: list[str], dtype: type) -> np.ndarray:
    """[names, rows], 0 for null."""
    filled = np.empty((len(names), rows.num_rows), dtype)
    for place, name in zip(filled, names):
        place[:] = pc.fill_null(rows.column(name), 0).to_numpy(zero_copy_only=False)
    return filled


def _w1(rows: pa.RecordBatch) -> tuple:
    dense = _filled(rows, W1.dense, np.float32)
    np.log1p(np.maximum(dense, 0, out=dense), out=dense)
    ids = hashed(_filled(rows, W1.ids, np.int64).reshape(-1))
    return np.ascontiguousarray(dense.T), ids, np.ones(len(ids), np.int32)


W2_COLUMNS = [f"D{i}" for i in W2.dense] + [f"S{i}" for i in W2.lists]


def _w2(rows: pa.RecordBatch) -> tuple:
    lists = {i: _Lists.of(rows.column(f"S{i}")) for i in W2.lists}
    return _wide(_filled(rows, [f"D{i}" for i in W2.dense], np.float32), lists)


def _wide(dense: np.ndarray, lists: dict[int, _Lists]) -> tuple:
    """From dense values [features, rows] and lists of all rows."""
    at = [W2.dense.index(i) for i in W2.bucketed]
    buckets = [np.searchsorted(W2.borders[i], dense[k], side="right") for i, k in zip(W2.bucketed, at)]
    dense = (dense - W2.mean[W2.dense][:, None]) * (1 / W2.std[W2.dense][:, None])
    np.clip(dense, -5, 5, out=dense)
    firsts = [lists[i].first(FIRST) for i in W2.lists]
    both = [_intersection(lists[i], lists[j]) for i, j in W2.pairs]
    ones = np.ones(dense.shape[1] * len(buckets), np.int32)
    values = [hashed(np.concatenate([part.ids for part in parts])) for parts in (firsts, both)]
    lengths = [np.concatenate([part.lengths for part in parts]) for parts in (firsts, both)]
    return (
        np.ascontiguousarray(dense.T),
        np.concatenate([values[0], *buckets, values[1]]),
        np.concatenate([lengths[0], ones, lengths[1]]).astype(np.int32),
    )


def _w3(rows: pa.RecordBatch) -> tuple:
    row, slot, kept, values = _wanted(rows.column("dense"), DENSE_SLOTS)
    dense = np.zeros((len(W2.dense), rows.num_rows), np.float32)
    dense[slot, row] = values.to_numpy(zero_copy_only=False)[kept]
    row, slot, kept, items = _wanted(rows.column("sparse"), LIST_SLOTS)
    bounds, ids = items.offsets.to_numpy(), items.values.to_numpy()
    by_slot = np.argsort(slot, kind="stable")
    row, kept = row[by_slot], kept[by_slot]
    ends = np.cumsum(np.bincount(slot, minlength=len(W2.lists)))
    lists = {}
    for i, begin, end in zip(W2.lists, [0, *ends], ends):
        lengths = np.zeros(rows.num_rows, np.int64)
        starts, lengths_there = bounds[kept[begin:end]], np.diff(bounds)[kept[begin:end]]
        lengths[row[begin:end]] = lengths_there
        taken = np.cumsum(lengths_there)
        index = np.repeat(starts - (taken - lengths_there), lengths_there)
        lists[i] = _Lists(ids[index + np.arange(len(index))], lengths)
    return _wide(dense, lists)


def _slots(wanted: list[int], stored: int) -> np.ndarray:
    """Place of every key among those wanted, or -1."""
    slots = np.full(stored, -1, np.int32)
    slots[wanted] = np.arange(len(wanted))
    return slots


DENSE_SLOTS = _slots(W2.dense, W2.stored_dense)
LIST_SLOTS = _slots(W2.lists, W2.stored_lists)


def _wanted(column: pa.MapArray, slots: np.ndarray):
    """Row and slot of every wanted entry, which entries they are, and the values of all."""
    offsets = column.offsets.to_numpy()
    first, length = int(offsets[0]), int(offsets[-1] - offsets[0])
    slot = slots[column.keys.slice(first, length).to_numpy()]
    kept = np.nonzero(slot >= 0)[0]
    row = np.repeat(np.arange(len(column)), np.diff(offsets))[kept]
    return row, slot[kept], kept, column.items.slice(first, length)


class _Lists:
    """Ids of all rows, end to end, and how many each row has."""

    def __init__(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        self.ids, self.lengths = ids, lengths

    @classmethod
    def of(cls, column: pa.ListArray) -> _Lists:
        offsets = column.offsets.to_numpy()
        return cls(column.values.to_numpy()[offsets[0] : offsets[-1]], np.diff(offsets))

    def first(self, most: int) -> _Lists:
        kept = np.minimum(self.lengths, most)
        starts = np.cumsum(self.lengths) - self.lengths
        ends = np.cumsum(kept)
        index = np.repeat(starts - (ends - kept), kept) + np.arange(ends[-1])
        return _Lists(self.ids[index], kept)

    def keyed(self) -> np.ndarray:
        """A word per id that is the same for the same id in the same row."""
        rows = np.repeat(np.arange(len(self.lengths), dtype=np.uint64), self.lengths)
        return self.ids.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + rows * np.uint64(0xD6E8FEB86659FD93)


def _intersection(a: _Lists, b: _Lists) -> _Lists:
    keys = a.keyed()
    _, firsts = np.unique(keys, return_index=True)
    kept = np.sort(firsts[np.isin(keys[firsts], b.keyed())])
    rows = np.repeat(np.arange(len(a.lengths)), a.lengths)[kept]
    return _Lists(a.ids[kept], np.bincount(rows, minlength=len(a.lengths)))
