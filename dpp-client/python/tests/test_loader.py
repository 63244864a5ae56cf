"""The loader as PyTorch users know it: arguments, passes, processes, interruptions."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch

import dpp

PLAN = dpp.Plan(dense=dpp.cols("I*"), sparse=dpp.cols("C*"), labels=dpp.col("label"), extras=dpp.row_id())


def load(small, **settings) -> dpp.DataLoader:
    return dpp.DataLoader(small.url, PLAN, **({"batch_size": 23, "output": "numpy"} | settings))


def rows(batches) -> list[int]:
    return [row for batch in batches for row in batch.extras["row_id"].tolist()]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"batch_size": 0}, "batch_size is a whole number of at least 1, not 0"),
        ({"batch_size": -1}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": 1 << 62}, "batch_size"),
        ({"batch_size": None}, "batch_size .* or global_batch_size"),
        ({"global_batch_size": 64}, "one of the two"),
        ({"rank": 0}, "rank and world_size together"),
        ({"rank": 2, "world_size": 2}, "rank 2 of world_size 2: ranks go from 0 to 1"),
        ({"rank": 0, "world_size": 0}, "world_size"),
        ({"rank": -1, "world_size": 2}, "rank"),
        ({"lanes": 0}, "lanes"),
        ({"lanes": 3, "round_rows": 64}, r"lanes \(3\) must divide round_rows \(64\)"),
        ({"shuffle": 3}, "shuffle is True, False or dpp.Shuffle"),
        ({"seed": -1}, "seed"),
        ({"prefetch_batches": 0}, "prefetch_batches"),
        ({"max_memory_bytes": 0}, "max_memory_bytes"),
        ({"max_memory_bytes": 1}, r"max_memory_bytes 1 is too little: \d+ is the least that works"),
        ({"threads": 0}, "threads"),
        ({"output": "jax"}, "output is one of 'torch', 'numpy', 'arrow', not 'jax'"),
        ({"service": "127.0.0.1:1", "threads": 2}, "threads counts threads on-box"),
        ({"service": "nonsense"}, "nonsense"),
        ({"service": "ftp://x:1"}, "ftp://x:1"),
        ({"service": ""}, "service"),
        ({"worker_timeout_seconds": 0}, "worker_timeout_seconds"),
        ({"id_dtype": "int16"}, "id_dtype is 'int64' or 'int32', not 'int16'"),
        ({"pin_memory": True}, "pin_memory=True needs output='torch'"),
        ({"device": "cpu"}, "device='cpu' needs output='torch'"),
        ({"device": "nowhere", "output": "torch"}, "device='nowhere' is none that torch knows"),
    ],
)
def test_arguments_that_cannot_be_meant(small, settings, says):
    with pytest.raises(dpp.InvalidRequest, match=says):
        load(small, **settings)


@pytest.mark.parametrize("argument", ["on_unequal", "batchsize"])
def test_arguments_that_do_not_exist_are_not_swallowed(small, argument):
    with pytest.raises(TypeError, match=argument):
        load(small, **{argument: 1})


@pytest.mark.parametrize(
    ("arguments", "says"), [({"splits": 0}, "splits"), ({"splits": "day"}, "splits"), ({"rows": 0}, "rows")]
)
def test_shuffles_that_cannot_be_meant(arguments, says):
    with pytest.raises(dpp.InvalidRequest, match=says):
        dpp.Shuffle(**arguments)


def test_a_plan_is_a_plan(small):
    with pytest.raises(dpp.InvalidRequest, match="plan is a dpp.Plan"):
        dpp.DataLoader(small.url, {"dense": []}, batch_size=1, output="numpy")


def test_a_table_may_be_a_path(small):
    assert dpp.DataLoader(small.url, PLAN, batch_size=23, output="numpy").num_rows == small.num_rows


def test_ranks_share_the_steps(small):
    ranks = [load(small, rank=rank, world_size=3, batch_size=20) for rank in range(3)]
    assert {len(rank) for rank in ranks} == {-(-small.num_rows // 60)}
    parts = [list(rank) for rank in ranks]
    assert {len(part) for part in parts} == {len(ranks[0])}
    assert sorted(row for part in parts for row in rows(part)) == list(range(small.num_rows))


def test_a_global_batch_is_shared(small):
    ranks = [load(small, rank=rank, world_size=3, batch_size=None, global_batch_size=64) for rank in range(3)]
    assert [next(iter(rank)).num_rows for rank in ranks] == [21, 21, 22]


def test_rank_and_world_size_come_from_torch_distributed(small, tmp_path):
    code = f"""
import sys, torch.distributed, dpp
rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", init_method="file://{tmp_path}/meet", rank=rank, world_size=2)
plan = dpp.Plan(extras=dpp.row_id())
loader = dpp.DataLoader({small.url!r}, plan, batch_size=23, output="numpy")
print([row for batch in loader for row in batch.extras["row_id"].tolist()])
torch.distributed.destroy_process_group()
"""
    ranks = [
        subprocess.Popen([sys.executable, "-c", code, str(rank)], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        found = [json.loads(rank.communicate(timeout=120)[0]) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert found == [rows(load(small, rank=rank, world_size=2)) for rank in range(2)]
    assert sorted(found[0] + found[1]) == list(range(small.num_rows))


def test_without_torch_the_loader_says_what_is_missing(small):
    code = f"""
import sys
sys.modules["torch"] = None
import dpp
dpp.DataLoader({small.url!r}, dpp.Plan(dense=dpp.cols("I*")), batch_size=3)
"""
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert failed.stderr.splitlines()[-1].startswith("dpp.InvalidRequest: output='torch' needs torch")


def test_it_is_an_iterable_dataset_of_torch(small):
    loader = load(small, output="torch")
    assert isinstance(loader, torch.utils.data.IterableDataset) and isinstance(loader, dpp.DataLoader)
    assert type(loader).__name__ == "DataLoader" and type(loader) is type(load(small, output="torch"))
    through = torch.utils.data.DataLoader(loader, batch_size=None, num_workers=0)
    assert rows(through) == list(range(small.num_rows))
    assert not isinstance(load(small), torch.utils.data.IterableDataset)


def test_a_context_manager_closes(small):
    with load(small) as loader:
        passing = iter(loader)
        next(passing)
    with pytest.raises(dpp.InvalidRequest, match="cut short"):
        next(passing)
    with pytest.raises(dpp.InvalidRequest, match="closed"):
        iter(loader)
    loader.close()


def test_stats(small):
    loader = load(small)
    list(loader)
    stats = loader.stats()
    assert (stats["rows"], stats["batches"]) == (small.num_rows, len(loader))
    assert 0 < stats["first_batch_seconds"] and 0 <= stats["stall_seconds"] <= stats["elapsed_seconds"]
    assert stats["read_bytes"] > 0 and stats["requests"] > 0
    causes = stats["stall_by_cause"]
    assert set(causes) == {"storage", "decode", "transform", "network", "client", "nobody"}
    assert sum(causes.values()) - causes["nobody"] == pytest.approx(stats["stall_seconds"], rel=0.01, abs=0.001)


def test_the_least_memory_that_works_works(small):
    with pytest.raises(dpp.InvalidRequest) as refused:
        load(small, max_memory_bytes=1)
    least = int(re.search(r"(\d+) is the least", str(refused.value))[1])
    loader = load(small, max_memory_bytes=least)
    assert rows(loader) == list(range(small.num_rows))
    assert 0 < loader.stats()["most_buffered_bytes"] <= least


@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_a_pickled_loader_goes_on_where_it_stood(small, output):
    loader = load(small, output=output)
    passing = iter(loader)
    next(passing)
    copy = pickle.loads(pickle.dumps(loader))
    assert type(copy) is type(loader) and copy.state_dict() == loader.state_dict()
    assert rows(copy) == rows(passing)
    assert (len(copy), copy.num_rows, copy.dense_names) == (len(loader), loader.num_rows, loader.dense_names)


def test_a_pass_that_gave_nothing_was_none(small):
    loader = load(small, shuffle=True)
    iter(loader)
    assert rows(loader) == rows(load(small, shuffle=True))


def test_ids_as_int32(small):
    hashed = dpp.Plan(sparse=dpp.cols("C*").sigrid_hash(salt=0, max_value=1 << 31))
    for output in ("numpy", "torch", "arrow"):
        settings = {"batch_size": 64, "output": output}
        wide = dpp.DataLoader(small.url, hashed, **settings)
        narrow = dpp.DataLoader(small.url, hashed, id_dtype="int32", **settings)
        for ours, theirs in zip(wide, narrow, strict=True):
            assert "int32" in str(getattr(theirs.sparse.values, "dtype", None) or theirs.sparse.values.type)
            assert ours.sparse["C2"].values.tolist() == theirs.sparse["C2"].values.tolist()


def test_an_id_that_is_no_int32_names_its_key(small):
    plan = dpp.Plan(sparse={"narrow": dpp.col("C2").sigrid_hash(0, 10), "wide": dpp.col("C1")})
    loader = dpp.DataLoader(small.url, plan, batch_size=64, id_dtype="int32", output="numpy")
    with pytest.raises(dpp.InvalidRequest, match=r'id -?\d+ of sparse key "wide" does not fit int32.*id_dtype="int64"'):
        next(iter(loader))


def test_verbose_says_how_each_epoch_went(small, capfd):
    loader = load(small, verbose=True)
    list(loader), next(iter(loader)), list(loader)
    said = capfd.readouterr().err.splitlines()
    assert [line.split(": ")[:2] for line in said] == [["dpp", "epoch 0"], ["dpp", "epoch 2"]]
    for line in said:
        assert re.search(
            r"201 rows in 9 batches, [\d.]+ s, [\d,]+ rows/s; waited [\d.]+ s for data \(\d+%\).*; read ", line
        )
    list(load(small, verbose=True, rank=1, world_size=2))
    assert capfd.readouterr().err.startswith("dpp, rank 1 of 2: epoch 0: ")
    list(load(small))
    assert capfd.readouterr().err == ""


def test_a_device_that_needs_no_stream(small):
    plan = dpp.Plan(dense=dpp.cols("I*"), sparse=dpp.cols("C*"))
    batches = list(dpp.DataLoader(small.url, plan, batch_size=64, device="meta"))
    assert [batch.num_rows for batch in batches] == [64, 64, 64, 9]
    assert all(batch.dense.device.type == batch.sparse.values.device.type == "meta" for batch in batches)


def test_tables_and_plans_made_before_a_fork_serve_after(small):
    table = dpp.Table(small.url)
    assert table.num_rows == small.num_rows
    idle = load(small)
    used = load(small)
    list(used)
    assert in_child(
        lambda: rows(dpp.DataLoader(table, PLAN, batch_size=23, output="numpy")) == list(range(small.num_rows))
    )
    assert in_child(lambda: rows(idle) == list(range(small.num_rows)))
    assert in_child(lambda: rows(used) == list(range(small.num_rows)) and used.state_dict()["epoch"] == 2)
    assert rows(idle) == list(range(small.num_rows))


def test_a_pass_does_not_go_on_after_a_fork(small):
    loader = load(small)
    passing = iter(loader)
    next(passing)

    def refused() -> bool:
        for go_on in (lambda: next(passing), lambda: iter(loader)):
            with pytest.raises(dpp.InvalidRequest, match="after a fork"):
                go_on()
        return True

    assert in_child(refused)
    assert in_child(lambda: rows(load(small)) == list(range(small.num_rows)))
    assert len(list(passing)) == len(loader) - 1


def in_child(check) -> bool:
    """Whether `check` holds in a forked process; one that hangs is killed and does not."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(30)
            status = 0 if check() else 1
        except BaseException as error:  # the child must not go on as a second pytest
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("secret", ["secret_access_key", "AWS_SESSION_TOKEN", "aws_sse_customer_key_base64"])
def test_secrets_do_not_travel_to_workers(secret):
    table = dpp.Table(
        "s3://ads/clicks", storage_options={"access_key_id": "a", "secret_access_key": "b", secret: "do-not-print"}
    )
    with pytest.raises(dpp.InvalidRequest, match="is a secret") as refused:
        dpp.DataLoader(table, PLAN, batch_size=1, service="127.0.0.1:1", output="numpy")
    assert "do-not-print" not in str(refused.value)


def test_while_waiting_threads_run_and_ctrl_c_is_heard_within_a_second(processes, small):
    """The worker is stopped, so that the loader waits for it; another thread answers meanwhile, and SIGINT ends the wait."""
    worker = processes.worker()
    code = f"""
import dpp, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children ignore it
plan = dpp.Plan(dense=dpp.cols("I*"))
loader = dpp.DataLoader({small.url!r}, plan, batch_size=8, service={worker.address!r}, output="numpy", prefetch_batches=1)
passing = iter(loader)
next(passing)
print("waiting", flush=True)
sys.stdin.readline()
threading.Thread(target=lambda: print("running" if sys.stdin.readline() else "", flush=True), daemon=True).start()
try:
    list(passing)
    loader.set_epoch(1)
    list(loader)
except KeyboardInterrupt:
    print("heard", flush=True)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "waiting\n"
        os.kill(worker.process.pid, signal.SIGSTOP)
        child.stdin.write("go\n")
        child.stdin.flush()
        wait_until_waiting(child.pid)
        child.stdin.write("still there?\n")
        child.stdin.flush()
        assert child.stdout.readline() == "running\n"
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "heard\n"
        assert time.monotonic() - began < 1
        child.wait(timeout=30)
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def wait_until_waiting(pid: int) -> None:
    """Until the process's main thread, having read its line, sleeps in a futex: it waits for a batch."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/wchan") as wchan, open(f"/proc/{pid}/syscall") as syscall:
            if "futex" in wchan.read() or syscall.read().startswith(("202 ", "232 ", "281 ")):
                return
        time.sleep(0.01)
    raise AssertionError("the loader never waited")
