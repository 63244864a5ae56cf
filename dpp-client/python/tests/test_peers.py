"""The readers that dpp is measured against do the same work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parents[3] / "benches" / "peers"
COMPARE = PEERS / "compare.py"
ROWS = 4_000


def test_pyarrow_and_dpp_hand_over_the_same_rows_ids_and_sums(tmp_path: Path) -> None:
    command = [sys.executable, str(COMPARE), "w1", "w2", "--data", str(tmp_path), "--rows", str(ROWS)]
    command += ["--readers", "dpp", "pyarrow", "--rounds", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr  # unequal sums are an error of the command
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["workload"], line["reader"]) for line in lines] == [
        ("w1", "dpp"), ("w1", "pyarrow"), ("w2", "dpp"), ("w2", "pyarrow"),
    ]
    assert all(line["rows"] == ROWS and line["n_ids"] > ROWS for line in lines)


def test_an_encrypted_table_on_s3_is_the_same_rows_to_all(tmp_path: Path) -> None:
    command = [sys.executable, str(PEERS / "encrypted.py"), "--data", str(tmp_path), "--rounds", "1", "--json"]
    command += ["--dense", "30", "--sparse", "20", "--rows", "600", "--share", "0.2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr  # unequal sums are an error of the command
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [line["reader"] for line in lines] == ["dpp TCP", "dpp TLS", "dpp on-box", "pyarrow"]
    assert all(line["rows"] == 600 and line["n_ids"] > 600 for line in lines)
