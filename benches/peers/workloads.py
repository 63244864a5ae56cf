"""The tables that every reader reads, and what becomes of their rows.

w1  click logs: 13 dense features with nulls and 26 int64 ids of a long tail. Dense: 0 for null, at least 0, log1p. Ids: 0 for
    null, hashed to 10⁶. Batches of 8,192 rows.
w2  a wide table of 600 dense features and 300 lists of ids, of which 120 and 60 are wanted. Dense: 0 for null, z-score, within
    ±5. Lists: first 20, hashed to 10⁶; 5 features in 50 buckets; 5 intersections of whole lists, hashed. Batches of 1,024 rows.

w3  the rows of w2 in map layout, and the same wanted: dense map<int32, float>, sparse map<int32, list<int64>>, no entry for null.

All with zstd and dictionaries, as pyarrow writes them. Every reader hands over dense float32 [B, D], ids int64 and lengths
int32, key by key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

FILES = 8
HASH_SIZE = 1_000_000
FIRST = 20
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
HALF = np.uint64(32)


@dataclass(frozen=True)
class Workload:
    rows: int
    row_group_rows: int
    batch_rows: int
    seed: int


WORKLOADS = {
    "w1": Workload(2_000_000, 65_536, 8_192, seed=1),
    "w2": Workload(40_000, 4_096, 1_024, seed=2),
    "w3": Workload(40_000, 4_096, 1_024, seed=2),
}


class W1:
    dense = [f"I{i}" for i in range(1, 14)]
    ids = [f"C{i}" for i in range(1, 27)]


class _Wide:
    """Which of the features are wanted, and their parameters: drawn from a seed."""

    stored_dense, stored_lists = 600, 300

    def __init__(self) -> None:
        draw = np.random.default_rng([20, 2])
        self.dense = sorted(draw.choice(self.stored_dense, 120, replace=False).tolist())
        self.lists = sorted(draw.choice(self.stored_lists, 60, replace=False).tolist())
        self.mean = draw.normal(0, 2, self.stored_dense).astype(np.float32)
        self.std = draw.uniform(0.5, 3, self.stored_dense).astype(np.float32)
        self.bucketed = self.dense[:5]
        levels = np.linspace(-2.4, 2.4, 50).astype(np.float32)
        self.borders = {i: self.mean[i] + self.std[i] * levels for i in self.bucketed}
        self.pairs = list(zip(self.lists[0:10:2], self.lists[1:10:2]))


W2 = _Wide()


def hashed(ids: np.ndarray) -> np.ndarray:
    """sigrid_hash with salt 0: h = id · golden; h ^= h >> 32; h mod size."""
    mixed = ids.view(np.uint64) * GOLDEN
    mixed ^= mixed >> HALF
    mixed -= mixed // np.uint64(HASH_SIZE) * np.uint64(HASH_SIZE)  # numpy's % does one at a time
    return mixed.view(np.int64)


def files(data: Path, name: str, rows: int | None = None) -> list[Path]:
    """The workload's files, written if they are not there yet."""
    work = WORKLOADS[name]
    folder = data / name
    paths = [folder / f"part-{i:03}.parquet" for i in range(FILES)]
    folder.mkdir(parents=True, exist_ok=True)
    make = {"w1": _w1, "w2": _w2, "w3": _w3}[name]
    for i, path in enumerate(paths):
        if not path.exists():
            import pyarrow.parquet

            table = make(np.random.default_rng([20, i, work.seed]), (rows or work.rows) // FILES)
            half = path.with_suffix(".half")
            pyarrow.parquet.write_table(
                table, half, compression="zstd", compression_level=1, row_group_size=work.row_group_rows
            )
            half.rename(path)
    return paths


def _w1(draw: np.random.Generator, rows: int):
    import pyarrow as pa

    columns = {"label": pa.array((draw.random(rows) < 0.25).astype(np.float32))}
    for i, name in enumerate(W1.dense):
        values = np.floor(draw.lognormal(1 + 0.3 * i, 1.5, rows)).astype(np.float32) - np.float32(2)
        columns[name] = pa.array(values, mask=draw.random(rows) < 0.10 + 0.35 * i / 12)
    for i, (name, most) in enumerate(zip(W1.ids, np.geomspace(10, 5_000_000, len(W1.ids)))):
        nulls = 0.4 * i / 25 if i % 3 == 0 else 0.0
        columns[name] = pa.array(_ids(draw, rows, most, i), mask=draw.random(rows) < nulls)
    return pa.table(columns)


def _w2(draw: np.random.Generator, rows: int):
    import pyarrow as pa

    columns = {}
    for i in range(W2.stored_dense):
        values = draw.standard_normal(rows, np.float32) * W2.std[i] + W2.mean[i]
        columns[f"D{i}"] = pa.array(values, mask=draw.random(rows) < 0.40)
    for i in range(W2.stored_lists):
        absent = draw.random(rows) < 0.55
        lengths = np.where(absent, 0, draw.geometric(1 / 15, rows))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        nulls = absent & (draw.random(rows) < 0.8)
        ids = _ids(draw, int(offsets[-1]), 2e6, 0)
        columns[f"S{i}"] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids), mask=pa.array(nulls))
    return pa.table(columns)


def _w3(draw: np.random.Generator, rows: int):
    import pyarrow as pa

    flat = _w2(draw, rows)
    dense = [flat.column(f"D{i}").chunk(0) for i in range(W2.stored_dense)]
    lists = [flat.column(f"S{i}").chunk(0) for i in range(W2.stored_lists)]
    column = np.stack([values.to_numpy(zero_copy_only=False) for values in dense], axis=1)
    offsets, keys, entries = _entries(dense)
    dense_map = pa.MapArray.from_arrays(offsets, keys, pa.array(column[entries]))
    offsets, keys, (row, key) = _entries(lists)
    starts = np.concatenate([[0], np.cumsum([len(ids.values) for ids in lists])])[key]
    starts += np.stack([ids.offsets.to_numpy()[:-1] for ids in lists], axis=1)[row, key]
    lengths = np.stack([np.diff(ids.offsets.to_numpy()) for ids in lists], axis=1)[row, key]
    ends = np.cumsum(lengths)
    index = np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1])
    ids = pa.concat_arrays([ids.values for ids in lists]).to_numpy()[index]
    items = pa.ListArray.from_arrays(pa.array(np.concatenate([[0], ends]).astype(np.int32)), pa.array(ids))
    return pa.table({"dense": dense_map, "sparse": pa.MapArray.from_arrays(offsets, keys, items)})


def _entries(columns: list):
    """A map's offsets and keys, and rows and keys of its entries: one for every value that is not null, row by row."""
    import pyarrow as pa

    valid = np.stack([column.is_valid().to_numpy(zero_copy_only=False) for column in columns], axis=1)
    row, key = np.nonzero(valid)
    offsets = np.concatenate([[0], np.cumsum(valid.sum(axis=1))]).astype(np.int32)
    return pa.array(offsets), pa.array(key.astype(np.int32)), (row, key)


def _ids(draw: np.random.Generator, count: int, most: float, column: int) -> np.ndarray:
    """64-bit ids, the k-th most frequent with a share of about k^-1.1."""
    ranks = ((most**-0.1 - 1) * draw.random(count) + 1) ** -10
    mixed = (ranks.astype(np.uint64) + np.uint64(column * 1_000_003)) * GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))).view(np.int64)
