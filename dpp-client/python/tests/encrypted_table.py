"""A small table that pyarrow encrypts, its rows, and a key service as pyarrow's users write one: master keys in a program.

Keys are wrapped as `dpp.KeyFile` wraps them, by an AES-GCM of the tests' own: base64 of the sealed key, the master key's
name authenticated beside it.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

import aes_gcm
import dpp

MASTERS = {name: os.urandom(16) for name in ("footer", "price", "ids", "map")}
COLUMNS = {"price": ["price"], "ids": ["ids.list.element"], "map": ["m.key_value.key", "m.key_value.value"]}
"""Master key → the leaf columns it protects; `plain` and `label` stay readable."""

ROWS = 300
ROWS_PER_GROUP = 100

random = np.random.default_rng(11)
TABLE = pa.table(
    {
        "label": pa.array(random.integers(0, 2, ROWS).astype(np.float32)),
        "price": pa.array([None if row % 7 == 0 else float(row) for row in range(ROWS)], pa.float32()),
        "ids": pa.array([list(range(row, row + row % 4)) for row in range(ROWS)], pa.list_(pa.int64())),
        "m": pa.array([[("age", float(row)), ("height", 2.0 * row)] for row in range(ROWS)], pa.map_(pa.string(), pa.float32())),
        "plain": pa.array(range(ROWS), pa.int64()),
    }
)

PLAN = dpp.Plan(
    dense={"price": dpp.col("price").fill_null(-1), "age": dpp.col("m[age]").fill_null(0)},
    sparse=dpp.col("ids"),
    labels=dpp.col("label"),
    extras=[dpp.col("plain")],
)


class Service(pe.KmsClient):
    """Master keys that count what is asked of them."""

    def __init__(self, masters: dict[str, bytes] = MASTERS) -> None:
        pe.KmsClient.__init__(self)
        self.masters = masters
        self.asked: list[str] = []

    def wrap_key(self, key: bytes, master: str) -> str:
        self.asked.append(master)
        return b64encode(aes_gcm.seal(self.masters[master], key, master.encode())).decode()

    def unwrap_key(self, wrapped: str, master: str) -> bytes:
        self.asked.append(master)
        master = master if isinstance(master, str) else master.decode()
        return aes_gcm.open_(self.masters[master], b64decode(wrapped), master.encode())


def write(
    path: Path, service: pe.KmsClient | None = None, *, uniform: bool = False, maps: bool = True, **style: object
) -> None:
    """The table as one file, encrypted by pyarrow's key management; without its map column if so wished."""
    keys = {master: leaves for master, leaves in COLUMNS.items() if maps or master != "map"}
    columns = {"uniform_encryption": True} if uniform else {"column_keys": keys}
    configuration = pe.EncryptionConfiguration(footer_key="footer", **columns, **style)
    factory = pe.CryptoFactory(lambda _: service or Service())
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), configuration, parquet_file_path=str(path))
    pq.write_table(TABLE if maps else TABLE.drop(["m"]), path, row_group_size=ROWS_PER_GROUP, encryption_properties=properties)


def read(path: Path, service: Service | None = None) -> pa.Table:
    """What pyarrow's key management reads of a file."""
    factory = pe.CryptoFactory(lambda _: service or Service())
    properties = factory.file_decryption_properties(pe.KmsConnectionConfig(), parquet_file_path=str(path))
    return pq.ParquetFile(path, decryption_properties=properties).read()


def key_file(folder: Path, masters: dict[str, bytes] = MASTERS, **more: object) -> Path:
    """A key file that only its owner may read."""
    path = folder / "keys.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"keys": {name: b64encode(key).decode() for name, key in masters.items()}, **more}))
    return path


def check(loader: dpp.DataLoader) -> None:
    """Every row of `TABLE`, in order."""
    batches = list(loader)
    price, age = np.concatenate([batch.dense for batch in batches]).T
    assert price.tolist() == TABLE["price"].fill_null(-1.0).to_pylist()
    assert age.tolist() == [float(row) for row in range(ROWS)]
    ids = [batch.sparse["ids"] for batch in batches]
    assert np.concatenate([one.values for one in ids]).tolist() == [id for row in TABLE["ids"].to_pylist() for id in row]
    assert np.concatenate([one.lengths for one in ids]).tolist() == [len(row) for row in TABLE["ids"].to_pylist()]
    assert np.concatenate([batch.extras["plain"] for batch in batches]).tolist() == list(range(ROWS))
