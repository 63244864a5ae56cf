"""What tests share: a small table, the real one, and processes that end with the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import small_table
from processes import Processes


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> small_table.SmallTable:
    return small_table.write(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def jd() -> str:
    """The real table."""
    folder = os.environ.get("DPP_TEST_DATA")
    if folder is None:
        pytest.skip("DPP_TEST_DATA is not set: nothing was tested on the real table")
    return str(Path(folder) / "jd" / "flat")


@pytest.fixture
def processes() -> Iterator[Processes]:
    running = Processes()
    yield running
    running.end()
