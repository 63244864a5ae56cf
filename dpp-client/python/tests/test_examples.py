"""The Python examples run, each as its first lines say, on a synthesised table."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from processes import COMMAND

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("examples") / "table"
    subprocess.run(
        [COMMAND, "table", "synth", folder, "--rows", "20000", "--days", "4"],
        check=True,
        capture_output=True,
        timeout=240,
    )
    return str(folder)


@pytest.mark.parametrize(
    ("example", "needs", "says"),
    [
        ("1_look_at_a_table.py", [], "20,000 rows in"),
        ("2_stop_and_continue.py", [], "continued with row"),
        ("5_lightning.py", ["lightning"], "every row once"),
        ("6_hugging_face.py", ["transformers", "accelerate"], "every row once"),
    ],
)
def test_an_example(table, example, needs, says):
    missing = [package for package in needs if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"NOT TESTED: examples/{example}: {', '.join(missing)} is not installed")
    ran = subprocess.run([sys.executable, EXAMPLES / example, table], capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0 and says in ran.stdout, ran.stdout + ran.stderr
