"""Rows as a new table: what the loader reads cheaply, from whatever speaks Arrow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from dpp import _dpp
from dpp._settings import count
from dpp.errors import InvalidRequest
from dpp.keys import Encryption, KeyFile
from dpp.table import Table, _options, _url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def write_table(
    rows: Any,
    url: str | os.PathLike[str],
    *,
    partition_by: str | Sequence[str] = (),
    encryption: Encryption | KeyFile | None = None,
    codec: str = "zstd",
    row_group_bytes: int = 128 << 20,
    file_bytes: int = 1 << 30,
    max_memory_bytes: int = 1 << 30,
    auto: bool = False,
    storage_options: Mapping[str, object] | None = None,
) -> Table:
    """Write rows as Parquet files that are cheap to read, and return the new table.

    rows              Arrow data: a pyarrow Table, RecordBatchReader or RecordBatch, a polars DataFrame, … A reader is
                      streamed: its rows are never in memory together
    url               an empty or missing folder, or a prefix of a bucket
    partition_by      columns that become folders `column=value`: texts, integers, booleans or dates; files do not store them
    encryption        a `dpp.Encryption`, or a `dpp.KeyFile` that says how (`footer`, `columns`, `encrypt`)
    codec             "zstd", "lz4", "snappy" or "none"
    row_group_bytes   stored bytes of a row group, about
    file_bytes        stored bytes of a file, about: beyond them the next one begins
    max_memory_bytes  ceiling of what writing takes, beside the batches of `rows`; at least 128 MiB
    auto              choose encodings by measuring the first rows; by default they follow from types
    storage_options   as object_store names them, as for `dpp.Table`

    Rows keep their order within a partition. Pages carry checksums (encrypted ones their tags) and have an index. A file
    appears when it is whole; when writing fails, whole files stay and no half one. Rows of many partitions that come mixed
    make small row groups: sort them by partition.

    `InvalidRequest` names a column that can't be written or partition by, and a place that is not empty.
    """
    by = [partition_by] if isinstance(partition_by, str) else [str(column) for column in partition_by]
    if codec not in CODECS:
        raise InvalidRequest(f"codec is one of {', '.join(CODECS)}, not {codec!r}")
    settings = {
        "codec": codec,
        "row_group_bytes": count("row_group_bytes", row_group_bytes, least=1),
        "memory_bytes": count("max_memory_bytes", max_memory_bytes),
        "file_bytes": count("file_bytes", file_bytes, least=1),
        "partition_by": by,
        "measure": bool(auto),
    }
    keys, locked = None, None
    if isinstance(encryption, Encryption):
        keys, locked = encryption._keys, (encryption._keys._handle, encryption._says)
    elif isinstance(encryption, KeyFile):
        keys, locked = encryption, (encryption._handle, None)
    elif encryption is not None:
        raise InvalidRequest(f"encryption is a dpp.Encryption or a dpp.KeyFile, not a {type(encryption).__name__}")
    _dpp.write_table(rows, _url("url", url), _options(storage_options), json.dumps(settings), locked)
    return Table(url, storage_options=storage_options, decryption=keys)


CODECS = ("zstd", "lz4", "snappy", "none")
