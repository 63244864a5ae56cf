"""Bad input is a typed error that names the thing; nothing hangs, and no traceback comes from inside."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpp

PLAN = dpp.Plan(dense=dpp.cols("I*"), labels=dpp.col("label"))


def load(url, **settings) -> dpp.DataLoader:
    return dpp.DataLoader(url, PLAN, **({"batch_size": 8, "output": "numpy"} | settings))


@pytest.mark.parametrize("open_table", [load, lambda url: dpp.Table(url).num_rows], ids=["loader", "table"])
def test_a_directory_that_is_not_there(open_table, tmp_path):
    with pytest.raises(dpp.NotFound, match="no-such-table") as refused:
        open_table(str(tmp_path / "no-such-table"))
    assert isinstance(refused.value, FileNotFoundError) and isinstance(refused.value, dpp.Error)


def test_an_empty_table(tmp_path):
    with pytest.raises(dpp.NotFound, match=f"{tmp_path}.* is empty"):
        load(tmp_path)


def test_a_table_without_rows(tmp_path):
    pq.write_table(
        pa.table({"label": pa.array([], pa.float32()), "I1": pa.array([], pa.float32())}), tmp_path / "a.parquet"
    )
    try:
        loader = load(tmp_path)
    except dpp.NotFound as refused:
        assert "empty" in str(refused)
    else:
        assert (len(loader), list(loader)) == (0, [])


def test_a_file_that_is_not_parquet(small, tmp_path):
    shutil.copytree(small.url, tmp_path / "table")
    (tmp_path / "table" / "ds=2026-11-02" / "part-1.parquet").write_bytes(b"not what it says" * 100)
    with pytest.raises(dpp.CorruptData, match=r"part-1\.parquet"):
        load(tmp_path / "table")


def test_a_file_that_changes_under_the_run(small, tmp_path):
    shutil.copytree(small.url, tmp_path / "table")
    loader = load(tmp_path / "table")
    part = tmp_path / "table" / "ds=2026-11-02" / "part-0.parquet"
    pq.write_table(pa.table({"label": pa.array([0.5] * 100, pa.float32())}), part)
    with pytest.raises(dpp.Changed, match=r"ds=2026-11-02/part-0\.parquet"):
        list(loader)


def test_a_file_that_goes_under_the_run(small, tmp_path):
    shutil.copytree(small.url, tmp_path / "table")
    loader = load(tmp_path / "table")
    (tmp_path / "table" / "ds=2026-11-03" / "part-0.parquet").unlink()
    with pytest.raises(dpp.NotFound, match=r"ds=2026-11-03/part-0\.parquet"):
        list(loader)


def test_damaged_pages_are_an_error_of_the_file(small, tmp_path):
    shutil.copytree(small.url, tmp_path / "table")
    part = tmp_path / "table" / "ds=2026-11-01" / "part-0.parquet"
    content = bytearray(part.read_bytes())
    content[4:2000] = b"\xff" * 1996
    part.write_bytes(content)
    with pytest.raises(dpp.CorruptData, match=r"ds=2026-11-01/part-0\.parquet"):
        list(load(tmp_path / "table"))


def test_after_an_error_the_pass_is_over(small, tmp_path):
    shutil.copytree(small.url, tmp_path / "table")
    loader = load(tmp_path / "table")
    (tmp_path / "table" / "ds=2026-11-01" / "part-0.parquet").unlink()
    passing = iter(loader)
    with pytest.raises(dpp.NotFound):
        next(passing)
    with pytest.raises(StopIteration):
        next(passing)
    assert loader.state_dict()["rows_consumed"] == 0


@pytest.mark.parametrize(("url", "says"), [("ftp://host/x", "ftp"), ("s3://", "s3://"), ("", "empty")])
def test_a_url_that_cannot_be_opened(url, says):
    with pytest.raises(dpp.InvalidRequest, match=says):
        dpp.Table(url)


def test_an_unknown_storage_option_is_named_and_its_value_is_not():
    with pytest.raises(dpp.InvalidRequest, match="regoin") as refused:
        dpp.Table("s3://bucket/x", storage_options={"regoin": "do-not-print"})
    assert "do-not-print" not in str(refused.value)


def test_a_bucket_that_nobody_serves():
    with closed_port() as port:
        options = {
            "endpoint": f"http://127.0.0.1:{port}",
            "allow_http": True,
            "region": "x",
            "access_key_id": "a",
            "secret_access_key": "b",
        }
        table = dpp.Table("s3://ads/clicks/", storage_options=options)
        began = time.monotonic()
        with pytest.raises(dpp.Unavailable, match="s3://ads/clicks") as refused:
            table.num_rows
    assert time.monotonic() - began < 60
    assert isinstance(refused.value, ConnectionError)


@pytest.mark.parametrize(
    "form",
    ["127.0.0.1:{port}", "fleet://127.0.0.1:{port}", "127.0.0.1:{port},127.0.0.1:{port}", "unix:/no/such/socket"],
)
def test_an_address_that_nobody_answers(small, form):
    with closed_port() as port:
        service = form.format(port=port)
        began = time.monotonic()
        with pytest.raises(dpp.Unavailable) as refused:
            load(small.url, service=service, worker_timeout_seconds=1)
    assert time.monotonic() - began < 20
    assert (str(port) in str(refused.value)) or "/no/such/socket" in str(refused.value)


def test_no_traceback_comes_from_inside(tmp_path):
    code = f"import dpp\ndpp.Table({str(tmp_path / 'nothing')!r}).num_rows"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("dpp.NotFound: no table at ")
    assert failed.stderr.count("Traceback") == 1 and "panicked" not in failed.stderr and ".rs" not in failed.stderr


def test_every_error_is_a_dpp_error_under_its_public_name():
    for name in ("InvalidRequest", "NotFound", "PermissionDenied", "CorruptData", "Changed", "Unavailable"):
        kind = getattr(dpp, name)
        assert issubclass(kind, dpp.Error) and kind.__module__ == "dpp" and str(kind("words")) == "words"


def test_a_directory_that_may_not_be_read(small, tmp_path):
    import os

    if os.geteuid() == 0:
        pytest.skip("root may read everything: permissions were not tested")
    shutil.copytree(small.url, tmp_path / "table")
    Path(tmp_path / "table" / "ds=2026-11-01" / "part-0.parquet").chmod(0)
    with pytest.raises(dpp.PermissionDenied, match=r"part-0\.parquet"):
        load(tmp_path / "table")


class closed_port:
    """A port of loopback that is bound and does not listen: connections are refused, and nobody else takes it."""

    def __enter__(self) -> int:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        return self.socket.getsockname()[1]

    def __exit__(self, *raised: object) -> None:
        self.socket.close()
