"""Ranks of torch.distributed, each a process: data parallel training, checkpoints for other world sizes, one snapshot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import dpp

SECONDS = 240

START = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
from datetime import timedelta
import torch, torch.distributed
import dpp
folder, rank, world_size, url = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
torch.set_num_threads(1)
torch.distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/meet-{world_size}", rank=rank, world_size=world_size, timeout=timedelta(seconds=120)
)
plan = dpp.Plan(
    dense=dpp.cols("I*").fill_null(0), sparse=dpp.cols("C*").sigrid_hash(0, 50), labels=dpp.col("label").fill_null(0), extras=dpp.row_id()
)
def say(**what):
    print(json.dumps(what), flush=True)
def leave():
    # Threads of gloo outlive the group, and the one that did the last collective takes the GIL to drop its tensors. From an
    # interpreter that is ending it gets a forced unwind instead, and aborts (pytorch issue 190489). So none of them ends here.
    torch.distributed.barrier()
    os._exit(0)
"""


def ranks(folder: Path, world_size: int, urls: list[str], code: str) -> list[subprocess.CompletedProcess]:
    """Runs `code` on every rank, each with its table."""
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-X",
                "faulthandler",  # a rank that aborts says where its threads were
                "-c",
                START + textwrap.dedent(code),
                str(folder),
                str(rank),
                str(world_size),
                urls[rank % len(urls)],
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
        )
        for rank in range(world_size)
    ]
    try:
        outputs = [process.communicate(timeout=SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *output)
        for process, output in zip(processes, outputs)
    ]


def said(completed: subprocess.CompletedProcess) -> dict:
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


TRAIN = """
from torch.nn.parallel import DistributedDataParallel
torch.manual_seed(1)
model = DistributedDataParallel(torch.nn.Linear(2, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
loader = dpp.DataLoader(url, plan, global_batch_size=40, shuffle=True)
rows, losses = [], []
for epoch in range(2):
    for batch in loader:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(batch.dense.clamp(-1, 1)), batch.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        rows.append(batch.extras["row_id"].tolist())
say(rows=rows, weights=[p.tolist() for p in model.module.parameters()], losses=losses, place=[loader._place[0], loader._place[1]])
leave()
"""


def test_data_parallel_training_on_two_ranks(small, tmp_path):
    found = [said(rank) for rank in ranks(tmp_path, 2, [small.url], TRAIN)]
    assert [rank["place"] for rank in found] == [[0, 2], [1, 2]]
    assert found[0]["weights"] == found[1]["weights"]
    assert len(found[0]["rows"]) == len(found[1]["rows"]) == 2 * 6
    for epoch in (slice(0, 6), slice(6, 12)):
        rows = [row for rank in found for step in rank["rows"][epoch] for row in step]
        assert sorted(rows) == list(range(small.num_rows))
    plan = dpp.Plan(extras=dpp.row_id())
    flat = dpp.DataLoader(small.url, plan, batch_size=40, shuffle=True, output="numpy", lanes=2)
    steps = [batch.extras["row_id"].tolist() for _ in range(2) for batch in flat]
    assert [one + other for one, other in zip(found[0]["rows"], found[1]["rows"])] == steps


SAVE = """
import torch.distributed.checkpoint
model = torch.nn.Linear(2, 1)
loader = dpp.DataLoader(url, plan, batch_size=20, shuffle=True)
rows = []
for step, batch in enumerate(loader):
    rows += batch.extras["row_id"].tolist()
    if step == 2:
        break
torch.distributed.checkpoint.save({"model": model.state_dict(), "data": loader}, checkpoint_id=f"{folder}/checkpoint")
say(rows=rows, state=loader.state_dict())
leave()
"""

LOAD = """
import torch.distributed.checkpoint
model = torch.nn.Linear(2, 1)
loader = dpp.DataLoader(url, plan, batch_size=7, shuffle=True)
torch.distributed.checkpoint.load({"model": model.state_dict(), "data": loader}, checkpoint_id=f"{folder}/checkpoint")
state = loader.state_dict()
say(rows=[batch.extras["row_id"].tolist() for batch in loader], state=state)
leave()
"""


def test_a_distributed_checkpoint_is_loaded_by_another_world_size(small, tmp_path):
    saved = [said(rank) for rank in ranks(tmp_path, 2, [small.url], SAVE)]
    loaded = [said(rank) for rank in ranks(tmp_path, 3, [small.url], LOAD)]
    assert saved[0]["state"] == saved[1]["state"] and saved[0]["state"]["rows_consumed"] == 3 * 40
    assert all(rank["state"] == saved[0]["state"] for rank in loaded)
    before = [row for rank in saved for row in rank["rows"]]
    after = [row for step in zip(*(rank["rows"] for rank in loaded), strict=True) for part in step for row in part]
    plan = dpp.Plan(extras=dpp.row_id())
    flat = dpp.DataLoader(small.url, plan, batch_size=40, shuffle=True, output="numpy", lanes=2)
    order = [row for batch in flat for row in batch.extras["row_id"].tolist()]
    assert after == order[120:]
    assert sorted(before + after) == list(range(small.num_rows))


OPEN = """
try:
    dpp.DataLoader(url, plan, batch_size=20)
    say(opened=True)
except dpp.Error as error:
    say(kind=type(error).__name__, message=str(error))
leave()
"""


READ = """
loader = dpp.DataLoader(url, plan, batch_size=20)
say(snapshot=loader.snapshot_hash, rows=[row for batch in loader for row in batch.extras["row_id"].tolist()])
leave()
"""


def test_all_ranks_read_the_snapshot_of_rank_0(small, tmp_path):
    other = tmp_path / "other"  # a copy to which a file has come
    for path in [*dpp.Table(small.url).snapshot().paths, "ds=2026-12-01/part-0.parquet"]:
        (other / path).parent.mkdir(parents=True)
        (other / path).symlink_to(Path(small.url) / path.replace("2026-12-01", "2026-11-01"))
    expected = dpp.Table(small.url).snapshot()
    assert dpp.Table(str(other)).snapshot() != expected
    found = [said(rank) for rank in ranks(tmp_path, 2, [small.url, str(other)], READ)]
    assert [rank["snapshot"] for rank in found] == [expected.hash] * 2
    assert sorted(found[0]["rows"] + found[1]["rows"]) == list(range(small.num_rows))


FILTERED = """
try:
    dpp.DataLoader(dpp.Table(url).filter(dpp.col("ds") != f"2026-11-0{1 + rank}"), plan, batch_size=20)
except dpp.Error as error:
    say(kind=type(error).__name__, message=str(error))
leave()
"""


def test_ranks_that_want_different_rows_are_told(small, tmp_path):
    found = [said(rank) for rank in ranks(tmp_path, 2, [small.url], FILTERED)]
    assert [rank["kind"] for rank in found] == ["Unavailable", "InvalidRequest"]
    assert all("rank 1 and rank 0 were given different settings: filter" in rank["message"] for rank in found)


def test_one_rank_that_finds_no_table_stops_all(small, tmp_path):
    found = [said(rank) for rank in ranks(tmp_path, 2, [f"{tmp_path}/nothing", small.url], OPEN)]
    assert found[0]["kind"] == "NotFound"
    assert found[1]["kind"] == "Unavailable" and found[1]["message"].startswith("rank 0 could not open its loader: ")
