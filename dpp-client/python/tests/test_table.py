"""A table is lazy, says what it offers, and names exactly what is read."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpp
import small_table


def test_what_a_table_offers(small):
    table = dpp.Table(small.url)
    assert {feature.name: (feature.kind, feature.width) for feature in table.features} == {
        "C1": ("id_list", 0),
        "C2": ("id_list", 0),
        "I1": ("dense", 0),
        "I2": ("dense", 0),
        "S1": ("id_score_list", 0),
        "blob": ("bytes", 0),
        "emb": ("vector", small_table.WIDTH),
        "label": ("dense", 0),
        "request": ("text", 0),
        "ts": ("int", 0),
    }
    assert [feature.name for feature in table.features] == sorted(small_table.SCHEMA.names)
    assert repr(table.features[0]) == "Feature(name='C1', kind='id_list')"
    assert table.partition_columns == ["ds"]
    assert (table.num_rows, table.num_files) == (small.num_rows, 3)


@pytest.mark.parametrize(
    ("predicate", "days"),
    [
        (dpp.col("ds") >= "2026-11-02", [1, 2]),
        (dpp.col("ds") == "2026-11-02", [1]),
        ((dpp.col("ds") < "2026-11-02") | (dpp.col("ds") > "2026-11-02"), [0, 2]),
        (~(dpp.col("ds") != "2026-11-03"), [2]),
        (dpp.col("ds").is_in(["2026-11-01", "2026-11-03", "x"]), [0, 2]),
    ],
)
def test_a_filter_keeps_partitions(small, predicate, days):
    table = dpp.Table(small.url).filter(predicate)
    assert table.num_rows == sum(small_table.ROWS_PER_DAY[day] for day in days)
    assert table.snapshot().paths == [f"ds={small_table.DAYS[day]}/part-0.parquet" for day in days]


def test_filters_add_up_and_leave_the_table_alone(small):
    table = dpp.Table(small.url)
    later = table.filter(dpp.col("ds") > "2026-11-01").filter(dpp.col("ds") < "2026-11-03")
    assert (later.num_files, table.num_files) == (1, 3)


@pytest.mark.parametrize(
    ("predicate", "says"),
    [(dpp.col("day") == "x", 'filter on "day"'), (dpp.col("ds") > 3, "compares partition column ds")],
)
def test_a_filter_that_cannot_be_meant_is_refused(small, predicate, says):
    with pytest.raises(dpp.InvalidRequest, match=says):
        dpp.Table(small.url).filter(predicate).num_rows


def test_a_filter_that_keeps_nothing_is_an_error_when_read(small):
    with pytest.raises(dpp.NotFound, match="empty"):
        dpp.Table(small.url).filter(dpp.col("ds") == "x").num_rows


def test_filter_takes_predicates_only(small):
    with pytest.raises(dpp.InvalidRequest, match="filter takes a condition"):
        dpp.Table(small.url).filter("ds > 3")


def test_a_snapshot_is_named_by_content(small, tmp_path):
    copied = tmp_path / "copy"
    shutil.copytree(small.url, copied)
    ours, theirs = dpp.Table(small.url).snapshot(), dpp.Table(copied).snapshot()
    assert ours == theirs and len(ours.hash) == 64 and not ours.diff(theirs)
    reference = ours.save(tmp_path / "snapshot.json")
    assert reference == f"{ours.hash}@{tmp_path}/snapshot.json"
    assert dpp.Snapshot.load(reference) == dpp.Snapshot.load(tmp_path / "snapshot.json") == ours


def test_a_table_with_a_snapshot_is_exactly_that(small, tmp_path):
    copied = tmp_path / "copy"
    shutil.copytree(small.url, copied)
    table = dpp.Table(copied)
    reference = table.snapshot().save(f"{tmp_path}/kept/")
    write_rows(copied / "ds=2026-11-09" / "part-0.parquet", 5)
    known = pickle.loads(pickle.dumps(dpp.Table(copied, snapshot=reference)))
    assert known.snapshot() == table.snapshot() != dpp.Table(copied).snapshot()
    assert known.features == table.features
    assert known.filter(dpp.col("ds") == "2026-11-02").num_rows == small_table.ROWS_PER_DAY[1]
    (copied / "ds=2026-11-02" / "part-0.parquet").unlink()
    plan = dpp.Plan(dense=dpp.cols("I*").fill_null(0))
    with pytest.raises(dpp.NotFound, match="ds=2026-11-02/part-0.parquet"), dpp.DataLoader(known, plan, batch_size=50, output="numpy") as loader:
        list(loader)


def test_who_is_given_one_url_reads_the_same_files(small, tmp_path):
    copied = tmp_path / "copy"
    shutil.copytree(small.url, copied)
    first = dpp.Table(copied, snapshot=tmp_path / "run.json").snapshot()
    write_rows(copied / "ds=2026-11-09" / "part-0.parquet", 5)
    assert dpp.Table(copied, snapshot=tmp_path / "run.json").snapshot() == first
    later = dpp.Table(copied).snapshot()
    with pytest.raises(dpp.InvalidRequest, match="never replaced"):
        later.save(tmp_path / "run.json")
    with pytest.raises(dpp.Changed, match=first.hash):
        dpp.Table(copied, snapshot=f"{later.hash}@{tmp_path}/run.json").snapshot()


def test_a_damaged_snapshot_is_refused(small, tmp_path):
    path = tmp_path / "snapshot.json"
    dpp.Table(small.url).snapshot().save(path)
    path.write_text(path.read_text().replace("2026-11-01", "2026-11-09"))
    with pytest.raises(dpp.CorruptData, match="snapshot.json"):
        dpp.Snapshot.load(path)
    with pytest.raises(dpp.NotFound, match="missing.json"):
        dpp.Snapshot.load(tmp_path / "missing.json")


def test_what_lies_between_two_snapshots(small, tmp_path):
    copied = tmp_path / "copy"
    shutil.copytree(small.url, copied)
    before = dpp.Table(copied).snapshot()
    shutil.rmtree(copied / "ds=2026-11-01")
    write_rows(copied / "ds=2026-11-02" / "part-0.parquet", 5)
    write_rows(copied / "ds=2026-11-09" / "part-0.parquet", 5)
    difference = before.diff(dpp.Table(copied).snapshot())
    assert difference
    assert difference.added == ["ds=2026-11-09/part-0.parquet"]
    assert difference.removed == ["ds=2026-11-01/part-0.parquet"]
    assert difference.changed == ["ds=2026-11-02/part-0.parquet"]


def test_tables_can_be_pickled(small):
    table = dpp.Table(small.url).filter(dpp.col("ds") > "2026-11-01")
    assert pickle.loads(pickle.dumps(table)).snapshot() == table.snapshot()


def test_paths_and_urls_are_the_same_table(small):
    assert dpp.Table(Path(small.url)).snapshot() == dpp.Table(f"file://{small.url}").snapshot()


def write_rows(path: Path, rows: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"label": pa.array([0.5] * rows, pa.float32())}), path)
