"""A small table with every kind, nulls, empty lists, several files and row groups; and its rows, to compare with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]
ROWS_PER_DAY = [70, 41, 90]
ROW_GROUP_ROWS = 32
WIDTH = 3

SCORED = pa.list_(pa.struct([("id", pa.int64()), ("score", pa.float32())]))
SCHEMA = pa.schema(
    [
        ("label", pa.float32()),
        ("I1", pa.float32()),
        ("I2", pa.float32()),
        ("C1", pa.list_(pa.int64())),
        ("C2", pa.list_(pa.int64())),
        ("S1", SCORED),
        ("emb", pa.list_(pa.float32(), WIDTH)),
        ("ts", pa.int64()),
        ("request", pa.string()),
        ("blob", pa.binary()),
    ]
)


@dataclass
class SmallTable:
    """Where it is, and its rows in snapshot order: one list of Python values per feature."""

    url: str
    columns: dict[str, list] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        return len(self.columns["label"])

    def dense(self, name: str, missing: float = 0.0) -> np.ndarray:
        return np.array([missing if value is None else value for value in self.columns[name]], np.float32)

    def lists(self, name: str) -> list[list]:
        return [[] if value is None else value for value in self.columns[name]]


def write(folder: Path, seed: int = 7) -> SmallTable:
    """Three days; on the last, feature C2 is not there."""
    random = np.random.default_rng(seed)
    table = SmallTable(str(folder), {name: [] for name in SCHEMA.names})
    for day, rows in zip(DAYS, ROWS_PER_DAY):
        columns = {name: column(random, SCHEMA.field(name).type, rows) for name in SCHEMA.names}
        columns["label"] = [float(random.random() < 0.3) for _ in range(rows)]
        schema = SCHEMA
        if day == DAYS[-1]:
            columns["C2"] = [None] * rows
            schema = SCHEMA.remove(SCHEMA.get_field_index("C2"))
        for name, values in columns.items():
            table.columns[name] += values
        part = folder / f"ds={day}" / "part-0.parquet"
        part.parent.mkdir(parents=True)
        written = pa.table(
            {name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema=schema
        )
        pq.write_table(written, part, row_group_size=ROW_GROUP_ROWS)
    return table


def column(random: np.random.Generator, kind: pa.DataType, rows: int) -> list:
    return [
        None if random.random() < 0.2 and kind != pa.list_(pa.float32(), WIDTH) else value(random, kind)
        for _ in range(rows)
    ]


def value(random: np.random.Generator, kind: pa.DataType) -> object:
    if kind == pa.float32():
        return float(np.float32(random.normal() * 10))
    if kind == pa.int64():
        return int(random.integers(-(2**62), 2**62))
    if kind == pa.string():
        return "für-" + "x" * int(random.integers(0, 5))
    if kind == pa.binary():
        return bytes(random.integers(0, 256, int(random.integers(0, 9)), np.uint8))
    if kind == SCORED:
        return [
            {"id": int(random.integers(0, 1 << 40)), "score": float(np.float32(random.random()))}
            for _ in range(random.integers(0, 4))
        ]
    if kind == pa.list_(pa.float32(), WIDTH):
        return [float(np.float32(random.normal())) for _ in range(WIDTH)]
    return [int(random.integers(-(1 << 62), 1 << 62)) for _ in range(random.integers(0, 6))]
