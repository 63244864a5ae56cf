#!/usr/bin/env python3
"""pyarrow and numpy on a table in map layout: some keys as tensors, batch by batch, as `figures flatten` asks.

One argument, JSON: endpoint (of an S3 server that asks for no signatures), table (bucket/folder), batch_rows, and the keys
wanted, dense and sparse. Each batch becomes a matrix [rows, dense] with 0 for null, and ids and lengths key by key. Prints
rows, CPU seconds (of this process, imports left out) and sums that prove the work.
"""

import json
import sys
import time

import numpy as np
import pyarrow.fs
import pyarrow.parquet as pq


def main() -> None:
    wish = json.loads(sys.argv[1])
    store = pyarrow.fs.S3FileSystem(anonymous=True, endpoint_override=wish["endpoint"].removeprefix("http://"), scheme="http", region="us-east-1")
    found = store.get_file_info(pyarrow.fs.FileSelector(wish["table"], recursive=True))
    paths = sorted(info.path for info in found if info.path.endswith(".parquet"))
    slots = [slots_of(wish[kind]) for kind in ("dense", "sparse")]
    rows, n_ids, sum_dense = 0, 0, 0.0
    begun = time.process_time()
    for path in paths:
        with store.open_input_file(path) as file:
            for batch in pq.ParquetFile(file, pre_buffer=True).iter_batches(
                wish["batch_rows"], columns=["dense", "sparse"], use_threads=False
            ):
                dense = matrix(batch.column("dense"), slots[0], len(wish["dense"]))
                ids, lengths = jagged(batch.column("sparse"), slots[1], len(wish["sparse"]))
                assert lengths.sum() == len(ids)
                rows, n_ids, sum_dense = rows + len(dense), n_ids + len(ids), sum_dense + dense.sum(dtype=np.float64)
    seconds = time.process_time() - begun
    print(json.dumps({"rows": rows, "cpu_seconds": seconds, "n_ids": n_ids, "sum_dense": sum_dense}))


def slots_of(keys: list[int]) -> np.ndarray:
    """Place of every key among those wanted, or -1."""
    slots = np.full(1 << 16, -1, np.int32)
    slots[keys] = np.arange(len(keys))
    return slots


def entries(column, slots: np.ndarray):
    """Row and slot of every wanted entry, which entries they are, and the values of all."""
    offsets = column.offsets.to_numpy()
    first, length = int(offsets[0]), int(offsets[-1] - offsets[0])
    slot = slots[column.keys.slice(first, length).to_numpy()]
    kept = np.nonzero(slot >= 0)[0]
    row = np.repeat(np.arange(len(column), dtype=np.int32), np.diff(offsets))[kept]
    return row, slot[kept], kept, column.items.slice(first, length)


def matrix(column, slots: np.ndarray, width: int) -> np.ndarray:
    row, slot, kept, values = entries(column, slots)
    made = np.zeros((len(column), width), np.float32)
    made[row, slot] = values.to_numpy(zero_copy_only=False)[kept]
    return made


def jagged(column, slots: np.ndarray, width: int):
    row, slot, kept, lists = entries(column, slots)
    bounds = lists.offsets.to_numpy()
    starts = np.zeros((width, len(column)), np.int64)
    lengths = np.zeros((width, len(column)), np.int32)
    starts[slot, row] = bounds[:-1][kept]
    lengths[slot, row] = np.diff(bounds)[kept]
    flat = lengths.ravel()
    ends = np.cumsum(flat, dtype=np.int64)
    index = np.repeat(starts.ravel() - (ends - flat), flat)
    index += np.arange(len(index))
    return lists.values.to_numpy()[index], lengths


if __name__ == "__main__":
    main()
