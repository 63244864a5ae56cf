"""Arrow rows written as tables: the loader and pyarrow read what was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import dpp
import encrypted_table
import key_services
import small_table
from encrypted_table import MASTERS, TABLE
from s3_server import S3Server


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def rows(small) -> pa.Table:
    """Every kind, nulls and empty lists; the day is a column."""
    days = [day for day, rows in zip(small_table.DAYS, small_table.ROWS_PER_DAY) for _ in range(rows)]
    columns = {name: pa.array(values, small_table.SCHEMA.field(name).type) for name, values in small.columns.items()}
    return pa.table({"ds": days, **columns})


def test_what_is_given_is_what_others_and_we_read(small, rows, tmp_path):
    table = dpp.write_table(rows, tmp_path / "t", partition_by="ds")
    assert files(tmp_path / "t") == [f"ds={day}/part-00000.parquet" for day in small_table.DAYS]
    assert (table.num_rows, table.partition_columns) == (rows.num_rows, ["ds"])
    assert table.features == dpp.Table(small.url).features
    hive = ds.partitioning(pa.schema([("ds", pa.string())]), flavor="hive")
    found = pq.read_table(tmp_path / "t", partitioning=hive)
    assert found.select(rows.column_names).equals(rows)
    plan = dpp.Plan(
        dense=dpp.cols("I*").fill_null(0), sparse=[dpp.col("C1"), dpp.col("C2"), dpp.col("S1")], labels=dpp.col("label"),
        vectors=[dpp.col("emb")], extras=[dpp.col("ts"), dpp.col("request"), dpp.col("blob"), dpp.row_id()],
    )  # fmt: skip
    loaders = [dpp.DataLoader(one, plan, batch_size=50, output="numpy") for one in (table, dpp.Table(small.url))]
    for ours, theirs in zip(*loaders, strict=True):
        assert ours.fingerprint() == theirs.fingerprint()


@pytest.mark.parametrize("codec", ["zstd", "lz4", "snappy", "none"])
def test_a_stream_is_cut_into_files_and_row_groups(tmp_path, codec):
    def batches():
        for first in range(0, 200_000, 50_000):
            yield pa.record_batch({"id": np.arange(first, first + 50_000), "x": np.random.default_rng(first).random(50_000, np.float32)})

    schema = pa.schema([("id", pa.int64()), ("x", pa.float32())])
    reader = pa.RecordBatchReader.from_batches(schema, batches())
    table = dpp.write_table(reader, tmp_path / "t", codec=codec, row_group_bytes=200_000, file_bytes=500_000)
    assert table.num_files > 1 and table.num_rows == 200_000
    found = pa.concat_tables(pq.read_table(tmp_path / "t" / name, page_checksum_verification=True) for name in files(tmp_path / "t"))
    assert found["id"].to_pylist() == list(range(200_000))
    stored = pq.read_metadata(tmp_path / "t" / "part-00000.parquet")
    assert stored.num_row_groups > 1 and stored.row_group(0).column(0).has_offset_index
    assert stored.row_group(0).column(1).compression == {"lz4": "LZ4", "none": "UNCOMPRESSED"}.get(codec, codec.upper())


def test_one_batch_with_measured_encodings(rows, tmp_path):
    (batch, *_) = rows.to_batches()
    assert pq.read_table(dpp.write_table(batch, tmp_path / "t", auto=True).url).equals(pa.table(batch))


def test_an_s3_bucket(rows, tmp_path):
    (tmp_path / "ads").mkdir()
    server = S3Server(tmp_path)
    try:
        table = dpp.write_table(rows, "s3://ads/clicks", partition_by=["ds"], storage_options=server.options)
        assert (table.num_rows, table.num_files) == (rows.num_rows, 3)
        with pytest.raises(dpp.InvalidRequest, match="not empty"):
            dpp.write_table(rows, "s3://ads/clicks", storage_options=server.options)
    finally:
        server.end()


@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("plaintext_footer", [False, True])
def test_pyarrow_reads_what_is_encrypted(tmp_path, uniform, plaintext_footer):
    columns = {} if uniform else {"price": "price", "ids": "ids", "m": "map"}
    encryption = dpp.Encryption(dpp.Keys(MASTERS), footer="footer", columns=columns, plaintext_footer=plaintext_footer)
    table = dpp.write_table(TABLE, tmp_path / "t", encryption=encryption)
    path = tmp_path / "t" / "part-00000.parquet"
    assert encrypted_table.read(path).equals(TABLE)
    encrypted_table.check(dpp.DataLoader(table, encrypted_table.PLAN, batch_size=64, output="numpy"))
    with pytest.raises(Exception, match="(?i)encrypt|decrypt|key"):
        pq.ParquetFile(path).read()
    assert repr(encryption) == "dpp.Encryption(dpp.Keys(footer, ids, map, price), footer='footer')"


def test_a_key_file_says_how(tmp_path):
    keys = dpp.KeyFile(encrypted_table.key_file(tmp_path, footer="footer", columns={"price": "price"}))
    table = dpp.write_table(TABLE, tmp_path / "t", encryption=keys)
    assert encrypted_table.read(tmp_path / "t" / "part-00000.parquet").equals(TABLE)
    assert table.num_rows == TABLE.num_rows


def test_a_key_service_wraps(tmp_path, monkeypatch):
    service = key_services.vault(dict(MASTERS))
    monkeypatch.setenv("VAULT_TOKEN", key_services.TOKEN)
    encryption = dpp.Encryption(dpp.Vault(service.url), footer="footer", columns={"price": "price"})
    table = dpp.write_table(TABLE, tmp_path / "t", encryption=encryption)
    encrypted_table.check(dpp.DataLoader(table, encrypted_table.PLAN, batch_size=64, output="numpy"))
    assert {"footer", "price"} == set(service.asked)
    service.end()


def test_a_source_that_fails_is_said_and_leaves_nothing(tmp_path):
    def batches():
        yield pa.record_batch({"id": [1, 2]})
        raise ValueError("the source broke off")

    reader = pa.RecordBatchReader.from_batches(pa.schema([("id", pa.int64())]), batches())
    with pytest.raises(dpp.InvalidRequest, match="the source broke off"):
        dpp.write_table(reader, tmp_path / "t")
    assert files(tmp_path / "t") == []


@pytest.mark.parametrize(
    ("rows", "settings", "says"),
    [
        ({"x": [1]}, {}, "rows are Arrow data"),
        (pa.table({"x": [1]}), {"partition_by": "ds"}, 'no column "ds"'),
        (pa.table({"x": [1.0], "y": [1]}), {"partition_by": "x"}, '"x" is Float64'),
        (pa.table({"x": [1]}), {"codec": "lzo"}, "codec is one of"),
        (pa.table({"x": [1]}), {"max_memory_bytes": 1000}, "1000 bytes of memory are too few"),
        (pa.table({"x": [1]}), {"encryption": dpp.Keys({})}, "encryption is a dpp.Encryption"),
        (pa.table({"x": [1]}), {"encryption": dpp.Encryption(dpp.Keys(MASTERS), footer="footer", columns={"y": "ids"})}, "column y"),
    ],
)
def test_wrong_wishes_are_named(tmp_path, rows, settings, says):
    with pytest.raises(dpp.InvalidRequest, match=says):
        dpp.write_table(rows, tmp_path / "t", **settings)
    assert not (tmp_path / "t").exists() or files(tmp_path / "t") == []
