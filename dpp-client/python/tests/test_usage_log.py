"""What loaders say that they read is what `dpp table rewrite --order-by usage` puts together."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpp
from processes import COMMAND
from s3_server import S3Server

NAMES = [f"f_{number}" for number in range(12)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dpp.Table:
    columns = {name: np.arange(40, dtype=np.float32) + number for number, name in enumerate(NAMES)}
    return dpp.write_table(pa.table({**columns, "id": np.arange(40)}), tmp_path_factory.mktemp("t") / "stored")


def loader(table: dpp.Table, names: list[str], **settings: object) -> dpp.DataLoader:
    plan = dpp.Plan(dense=[dpp.col(name) for name in names], extras=[dpp.row_id()])
    return dpp.DataLoader(table, plan, batch_size=16, output="numpy", **settings)


def logs(folder: Path) -> list[dict]:
    paths = sorted(folder.glob("*.usage.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def rewrite(table: dpp.Table, to: Path, usage: object) -> None:
    command = [str(COMMAND), "table", "rewrite", table.url, str(to), "--order-by", "usage", "--usage", str(usage)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_run_says_what_it_reads_and_how_much(table, tmp_path):
    with loader(table, ["f_7", "f_1"], usage_log=tmp_path, name="ctr v7") as run:
        (log,) = logs(tmp_path)
        assert log == {"run": "ctr v7", "table": table.url, "features": ["f_1", "f_7"], "read_bytes": 0}
        for epochs in (1, 2):
            list(run)
            (log,) = logs(tmp_path)
            assert log["read_bytes"] == run.stats()["read_bytes"] > 0


def test_features_that_runs_read_together_are_put_together(table, tmp_path):
    even, odd = NAMES[::2], NAMES[1::2]
    for name, features in [("a", even), ("b", odd), ("c", even[:3])]:
        loader(table, features, usage_log=tmp_path / "usage", name=name).close()
    assert len(logs(tmp_path / "usage")) == 3
    rewrite(table, tmp_path / "by_usage", tmp_path / "usage")
    order = pq.read_schema(tmp_path / "by_usage" / "part-00000.parquet").names
    assert sorted(order) == sorted([*NAMES, "id"])
    places = {name: order.index(name) for name in NAMES}
    for together in (even, odd, even[:3]):
        found = sorted(places[name] for name in together)
        assert found == list(range(found[0], found[0] + len(found))), order
    again = dpp.Table(tmp_path / "by_usage")
    prints = [[batch.fingerprint() for batch in loader(one, NAMES)] for one in (table, again)]
    assert prints[0] == prints[1]


def test_only_the_first_rank_says_it(table, tmp_path):
    for rank in (1, 0):
        loader(table, ["f_1"], usage_log=tmp_path, rank=rank, world_size=2).close()
        assert len(logs(tmp_path)) == 1 - rank


def test_a_bucket_takes_it(tmp_path):
    (tmp_path / "ads").mkdir()
    server = S3Server(tmp_path)
    try:
        rows = pa.table({"f_1": np.arange(5, dtype=np.float32)})
        table = dpp.write_table(rows, "s3://ads/t", storage_options=server.options)
        loader(table, ["f_1"], usage_log="s3://ads/usage", name="s3").close()
        (log,) = logs(tmp_path / "ads" / "usage")
        assert (log["run"], log["features"]) == ("s3", ["f_1"])
        assert server.options["secret_access_key"] not in json.dumps(log)
    finally:
        server.end()


def test_a_log_that_can_t_be_written(table, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(dpp.Error, match="file"):
        loader(table, ["f_1"], usage_log=tmp_path / "file" / "below")
    with loader(table, ["f_1"], usage_log=tmp_path / "usage") as run:
        (tmp_path / "usage").rename(tmp_path / "gone")
        (tmp_path / "usage").touch()
        with pytest.warns(UserWarning, match="usage_log was not written"):
            assert sum(batch.num_rows for batch in run) == 40
