"""Importing dpp is quick, and brings nothing heavy."""

from __future__ import annotations

import subprocess
import sys


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=60)


def test_frameworks_are_not_imported():
    heavy = "{'torch', 'numpy', 'pyarrow', 'pandas', 'asyncio', 'typing', 'dataclasses'}"
    found = run("-c", f"import sys, dpp; print(sorted({heavy} & set(sys.modules)))")
    assert found.stdout == "[]\n"


def test_a_plan_and_a_table_import_no_frameworks(small):
    code = f"""
import sys, dpp
table = dpp.Table({small.url!r}).filter(dpp.col("ds") > "2026-11-01")
plan = dpp.Plan(dense=dpp.cols("I*").fill_null(0), sparse=dpp.cols("C*").first_x(3))
plan.check(table); plan.explain(table); table.features
print(sorted({{"torch", "numpy", "pyarrow"}} & set(sys.modules)))
"""
    assert run("-c", code).stdout == "[]\n"


def test_import_takes_less_than_50_ms():
    """Of processor time, so that what else a machine does is not counted: import waits for nothing but its own files."""
    code = "import time; began = time.process_time(); import dpp; print((time.process_time() - began) * 1000)"
    assert min(float(run("-c", code).stdout) for _ in range(9)) < 50


def test_every_public_name_has_a_docstring():
    import dpp

    missing = [name for name in dpp.__all__ if name != "__version__" and not getattr(dpp, name).__doc__]
    assert missing == []
