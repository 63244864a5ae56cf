"""Workers in processes of their own give the bytes that the trainer's own process gives, killed or not."""

from __future__ import annotations

import os
import signal
import time

import pytest

import dpp
from processes import service

PLAN = dpp.Plan(
    dense=dpp.cols("I*").fill_null(0).log1p(),
    sparse={**dpp.cols("C*").first_x(3).sigrid_hash(salt=1, max_value=1000), "S1": dpp.col("S1")},
    labels=dpp.col("label"),
    vectors=dpp.col("emb"),
    extras=[dpp.col("ts"), dpp.col("request"), dpp.col("blob"), dpp.row_id()],
)
SETTINGS = {
    "batch_size": 10,
    "shuffle": dpp.Shuffle(splits="epoch", rows=8),
    "seed": 5,
    "output": "numpy",
    "name": "test",
}


def load(small, **settings) -> dpp.DataLoader:
    return dpp.DataLoader(small.url, PLAN, **(SETTINGS | settings))


def prints(batches) -> list[int]:
    return [batch.fingerprint() for batch in batches]


@pytest.mark.parametrize("count", [1, 3])
def test_workers_give_the_same_bytes(small, processes, count):
    remote = load(small, service=service(processes.workers(count)))
    local = load(small)
    assert remote.snapshot_hash == local.snapshot_hash
    for _ in range(2):
        for ours, theirs in zip(local, remote, strict=True):
            assert ours.fingerprint() == theirs.fingerprint()
            assert ours.origin() == theirs.origin()
            assert ours.extras["request"] == theirs.extras["request"]
    assert remote.stats()["read_bytes"] > 0


def test_a_worker_on_a_unix_socket(small, processes, tmp_path):
    worker = processes.worker(listen=f"unix:{tmp_path}/worker")
    assert worker.address == f"unix:{tmp_path}/worker"
    assert prints(load(small, service=worker.address)) == prints(load(small))


def test_workers_are_found_through_the_fleet(small, processes):
    fleet = processes.fleet("--heartbeat-seconds", "0.1")
    processes.workers(2, "--fleet", f"fleet://{fleet.address}")
    assert prints(load(small, service=f"fleet://{fleet.address}")) == prints(load(small))


def test_a_killed_worker_changes_nothing(small, processes):
    workers = processes.workers(3)
    expected = prints(load(small))
    for place in range(1, 4):
        loader = load(small, service=service(workers), prefetch_batches=1)
        passing = iter(loader)
        found = prints(next(passing) for _ in range(place * 4))
        workers[place - 1].kill()
        workers[place - 1] = processes.worker()
        assert found + prints(passing) == expected


def test_when_the_last_worker_dies_the_loader_says_so(small, processes):
    (worker,) = processes.workers(1)
    loader = load(small, service=worker.address, prefetch_batches=1, worker_timeout_seconds=1)
    passing = iter(loader)
    next(passing)
    worker.kill()
    with pytest.raises(dpp.Unavailable, match=worker.address):
        list(passing)
    assert loader.state_dict()["rows_consumed"] >= 10


def test_a_state_moves_between_box_and_workers(small, processes):
    expected = prints(load(small))
    remote = load(small, service=service(processes.workers(2)))
    passing = iter(remote)
    for _ in range(7):
        next(passing)
    local = load(small)
    local.load_state_dict(remote.state_dict())
    assert prints(local) == expected[7:]


@pytest.mark.parametrize(
    ("url", "plan", "kind", "says"),
    [
        ("{small}/nothing-here", PLAN, dpp.NotFound, "nothing-here"),
        ("{small}", dpp.Plan(dense=dpp.col("labels")), dpp.InvalidRequest, "unknown feature `labels`"),
        (
            "{small}",
            dpp.Plan(sparse=dpp.col("C1").sigrid_hash(0, 0)),
            dpp.InvalidRequest,
            "op sigrid_hash, parameter `max_value`",
        ),
    ],
)
def test_a_worker_s_errors_are_typed_as_on_box(small, processes, url, plan, kind, says):
    worker = processes.worker()
    for place in ({}, {"service": worker.address}):
        with pytest.raises(kind, match=says):
            dpp.DataLoader(url.format(small=small.url), plan, batch_size=4, output="numpy", **place)


def test_a_stopped_worker_holds_up_nobody_for_long(small, processes):
    """SIGSTOP: its connections stay and nothing comes. What it was asked arrives from the other, within seconds."""
    workers = processes.workers(2)
    with load(small, service=service(workers), prefetch_batches=1, batch_size=2) as loader:
        seen, longest = [], 0.0
        batches = iter(loader)
        for step in range(len(loader)):
            if step == 5:
                os.kill(workers[0].process.pid, signal.SIGSTOP)
            asked = time.monotonic()
            seen.append(next(batches).fingerprint())
            longest = max(longest, time.monotonic() - asked)
        stats = loader.stats()
    assert seen == prints(load(small, batch_size=2))
    assert longest < 10, (longest, stats)
    assert stats["hedges_won"] > 0 or stats["stall_seconds"] < 2, stats


def test_a_worker_that_lacks_an_op_says_so_when_the_job_opens(small, processes):
    worker = processes.worker()
    plan = dpp.Plan(dense=dpp.op("soft_sign", dpp.col("I1"), scale=2.0))
    with pytest.raises(dpp.InvalidRequest, match="unknown op `soft_sign`"):
        dpp.DataLoader(small.url, plan, service=worker.address, **SETTINGS)
    assert prints(load(small, service=worker.address)) == prints(load(small)), "and serves other jobs"
