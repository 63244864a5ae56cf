"""A table in an S3 bucket is the table it was on disk, on-box and through a worker under its own identity."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import dpp
from processes import Processes, service
from s3_server import S3Server
from small_table import SmallTable

PLAN = dpp.Plan(
    dense=dpp.cols("I*").fill_null(0), sparse=dpp.cols("C*").sigrid_hash(salt=0, max_value=1000), extras=[dpp.row_id(), dpp.col("request")]
)


@pytest.fixture
def s3(tmp_path: Path, small: SmallTable) -> Iterator[S3Server]:
    shutil.copytree(small.url, tmp_path / "ads" / "clicks")
    server = S3Server(tmp_path)
    yield server
    server.end()


def fingerprints(table: dpp.Table, **settings: object) -> list[int]:
    with dpp.DataLoader(table, PLAN, batch_size=64, output="numpy", **settings) as loader:
        return [batch.fingerprint() for batch in loader]


def test_on_box(s3: S3Server, small: SmallTable) -> None:
    table = dpp.Table("s3://ads/clicks/", storage_options=s3.options)
    assert table.snapshot().hash == dpp.Table(small.url).snapshot().hash  # a copy keeps its name
    assert fingerprints(table) == fingerprints(dpp.Table(small.url))
    day = dpp.col("ds") == "2026-11-02"
    assert table.filter(day).num_rows == dpp.Table(small.url).filter(day).num_rows == 41


def test_through_a_worker(s3: S3Server, small: SmallTable, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as environment:
        for name, value in s3.environment.items():
            environment.setenv(name, value)
        worker = processes.worker()
    table = dpp.Table("s3://ads/clicks", storage_options=s3.place)
    assert fingerprints(table, service=service([worker])) == fingerprints(dpp.Table(small.url))
    # the trainer needs no rights of its own: the worker reads and writes the snapshot
    agreed = dpp.Table("s3://ads/clicks", storage_options=s3.place, snapshot="s3://ads/runs/1.json")
    assert fingerprints(agreed, service=service([worker])) == fingerprints(dpp.Table(small.url))
    assert dpp.Snapshot.load("s3://ads/runs/1.json", storage_options=s3.options) == dpp.Table(small.url).snapshot()


def test_secrets_stay_home(s3: S3Server, processes: Processes) -> None:
    with pytest.raises(dpp.InvalidRequest, match="secret_access_key|access_key_id") as raised:
        fingerprints(dpp.Table("s3://ads/clicks", storage_options=s3.options), service="127.0.0.1:1")
    assert "test-secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["s3://nobody/clicks", "s3://ads/nothing"])
def test_what_is_not_there_is_named(s3: S3Server, url: str) -> None:
    with pytest.raises(dpp.NotFound, match=url):
        dpp.Table(url, storage_options=s3.options).snapshot()


def test_an_endpoint_nobody_serves(s3: S3Server) -> None:
    s3.end()
    with pytest.raises(dpp.Unavailable, match="s3://ads/clicks"):
        dpp.Table("s3://ads/clicks", storage_options=s3.options).snapshot()


def test_fitted_artefacts_lie_beside_tables(s3: S3Server) -> None:
    table = dpp.Table("s3://ads/clicks/", storage_options=s3.options)
    fitted = dpp.fit(table, dpp.Plan(sparse=dpp.cols("C*")))
    url = fitted.save("s3://ads/fitted/", storage_options=s3.options)
    assert url == f"s3://ads/fitted/{fitted.digest[:16]}.fit"
    assert dpp.Fitted.load(url, digest=fitted.digest, storage_options=s3.options) == fitted
    plan = dpp.Plan(sparse=dpp.cols("C*").look_up(fitted))
    places = [batch.sparse["C1"].values for batch in dpp.DataLoader(table, plan, batch_size=50, output="numpy")]
    assert min(map(min, places)) == 1 and max(map(max, places)) == len(fitted.ids("C1"))
