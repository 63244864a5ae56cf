"""The commands that the wheel brings, and their exit statuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(sys.executable).parent


def run(name: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([SCRIPTS / name, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", ["dpp", "dpp-worker", "dpp-fleet"])
def test_help(name):
    found = run(name, "--help")
    assert found.returncode == 0 and "Usage: dpp" in found.stdout and found.stderr == ""


def test_asked_wrongly():
    found = run("dpp", "tabel")
    assert found.returncode == 2 and "tabel" in found.stderr and "Traceback" not in found.stderr


def test_a_table_that_is_not_there(tmp_path):
    found = run("dpp", "table", "inspect", str(tmp_path / "nothing"))
    assert found.returncode == 2 and "nothing" in found.stderr and len(found.stderr.splitlines()) == 1


def test_inspect(small):
    found = run("dpp", "table", "inspect", small.url, "--json")
    assert found.returncode == 0, found.stderr
    assert "emb" in json.dumps(json.loads(found.stdout))


def test_a_cache_on_disk_is_refused_by_name(tmp_path):
    found = run("dpp-worker", "--listen", "127.0.0.1:0", "--cache-disk", f"{tmp_path}=1GiB")
    assert found.returncode == 2, found.stderr
    assert "built without" in found.stderr and "cargo build --release -p dpp-worker" in found.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_stops_when_told(processes, stop):
    worker = processes.worker()
    worker.process.send_signal(stop)
    assert worker.process.wait(timeout=30) == 0
