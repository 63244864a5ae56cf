"""One real table in three layouts: maps, those maps flattened by us, and columns that others wrote. The same rows, the same
batches."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import dpp
from processes import COMMAND

DENSE = {10: "user_age", 11: "user_level", 12: "user_days", 20: "comment_count", 21: "bad_comment_rate"}
LISTS = {
    **{100: "user", 101: "sku", 102: "category", 103: "brand", 104: "model"},
    **{110: "last_skus", 111: "last_categories", 112: "last_brands"},
}
SCORED = {200: "category_share"}
COLUMNS = {"float_features": DENSE, "id_list_features": LISTS, "id_score_list_features": SCORED}
NAMES = {f"{column}[{key}]": name for column, keys in COLUMNS.items() for key, name in keys.items()}

ROWS = 89_187
FEATURES = 17
"""The named ones, label, ts and the partition column."""


def plan(dense: list[str], sparse: list[str]) -> dpp.Plan:
    return dpp.Plan(
        dense=[dpp.col(name) for name in dense],
        sparse=[dpp.col(name) for name in sparse],
        labels=dpp.col("label"),
        extras=[dpp.col("ts"), dpp.row_id()],
    )


NAMED = plan(sorted(DENSE.values()), sorted([*LISTS.values(), *SCORED.values()]))
BY_KEY = plan(
    [f"float_features[{key}]" for key in DENSE],
    [*(f"id_list_features[{key}]" for key in LISTS), *(f"id_score_list_features[{key}]" for key in SCORED)],
)


@pytest.fixture(scope="module")
def maps(jd: str) -> Path:
    return Path(jd).parent / "map"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("names") / "names.json"
    path.write_text(json.dumps(NAMES))
    return path


@pytest.fixture(scope="module")
def named(maps: Path, names: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The maps flattened by us, their features named."""
    folder = tmp_path_factory.mktemp("named")
    run("rewrite", maps, folder, "--names", names)
    return folder


@pytest.fixture(scope="module")
def by_key(maps: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The maps flattened by us, their features called `column[key]`."""
    folder = tmp_path_factory.mktemp("by_key")
    run("rewrite", maps, folder, "--auto")
    return folder


def run(*arguments: object) -> dict:
    command = [str(COMMAND), "table", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def batches(table: dpp.Table, plan: dpp.Plan, **settings: object) -> list[dpp.Batch]:
    with dpp.DataLoader(table, plan, batch_size=4096, output="numpy", **settings) as loader:
        return list(loader)


def check(found: list[dpp.Batch], expected: list[dpp.Batch]) -> None:
    """Byte for byte; the parts first, so that a difference says where it is."""
    assert sum(batch.num_rows for batch in found) == ROWS
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.dense, other.dense)
        assert np.array_equal(one.labels, other.labels)
        assert np.array_equal(one.sparse.lengths, other.sparse.lengths)
        assert np.array_equal(one.sparse.values, other.sparse.values)
        for extra in ("ts", "row_id"):
            assert np.array_equal(one.extras[extra], other.extras[extra]), extra
        assert one.fingerprint() == other.fingerprint()


def test_verify_says_that_they_are_equal(jd, maps, names, named, by_key):
    same = {"same": True, "rows": ROWS, "features": FEATURES, "difference": None}
    for first, second in [(maps, named), (named, jd), (maps, jd)]:
        assert run("verify", first, second, "--names", names) == same, (first, second)
    assert run("verify", maps, by_key) == same


@pytest.mark.parametrize("shuffle", [False, dpp.Shuffle(splits="epoch", rows=512)], ids=["in order", "shuffled"])
def test_the_loader_gives_the_same_batches(jd, maps, named, shuffle):
    settings = {"shuffle": shuffle, "seed": 5}
    expected = batches(dpp.Table(jd), NAMED, **settings)
    check(batches(dpp.Table(named), NAMED, **settings), expected)
    check(batches(dpp.Table(maps, feature_names=NAMES), NAMED, **settings), expected)


def test_features_called_by_column_and_key(maps, by_key):
    assert {feature.name for feature in dpp.Table(by_key).features} == {*NAMES, "label", "ts"}
    check(batches(dpp.Table(by_key), BY_KEY), batches(dpp.Table(maps), BY_KEY))
