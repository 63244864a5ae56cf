"""A saved state brings exactly the rows that had not been consumed, in this process or another, for other ranks and batches."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import dpp

PLAN = dpp.Plan(dense=dpp.cols("I*"), sparse=dpp.cols("C*"), labels=dpp.col("label"), extras=dpp.row_id())
SHUFFLE = dpp.Shuffle(splits="epoch", rows=16)


def load(small, **settings) -> dpp.DataLoader:
    settings = {"batch_size": 23, "shuffle": SHUFFLE, "seed": 3, "output": "numpy"} | settings
    return dpp.DataLoader(small.url, PLAN, **settings)


def prints(batches) -> list[int]:
    return [batch.fingerprint() for batch in batches]


def rows(batches) -> list[int]:
    return [row for batch in batches for row in batch.extras["row_id"].tolist()]


@pytest.mark.parametrize("shuffle", [False, True, SHUFFLE, dpp.Shuffle(splits=2)])
def test_every_row_comes_once_an_epoch_and_epochs_differ_by_shuffle(small, shuffle):
    loader = load(small, shuffle=shuffle)
    first, second = rows(loader), rows(loader)
    assert sorted(first) == sorted(second) == list(range(small.num_rows))
    assert (first == list(range(small.num_rows))) == (shuffle is False)
    assert rows(load(small, shuffle=shuffle)) == first


def test_the_seed_decides(small):
    assert rows(load(small, seed=1)) != rows(load(small, seed=2))


def test_every_step_can_be_resumed(small):
    whole = load(small)
    expected = prints(whole)
    steps = len(whole)
    assert steps == len(expected)
    running = load(small)
    states = [running.state_dict()] + [running.state_dict() for _ in running]
    for step, state in enumerate(states):
        resumed = load(small)
        resumed.load_state_dict(json.loads(json.dumps(state)))
        if step == steps:
            assert state["epoch"] == 1 and state["rows_consumed"] == 0
            continue
        assert prints(resumed) == expected[step:], step


def test_prefetched_batches_are_not_consumed(small):
    loader = load(small, prefetch_batches=8)
    passing = iter(loader)
    next(passing)
    assert loader.state_dict()["rows_consumed"] == 23


def test_resuming_goes_on_into_the_next_epoch(small):
    whole = load(small)
    both = prints(whole) + prints(whole)
    loader = load(small)
    passing = iter(loader)
    for _ in range(3):
        next(passing)
    resumed = load(small)
    resumed.load_state_dict(loader.state_dict())
    assert prints(resumed) + prints(resumed) == both[3:]


def test_set_epoch(small):
    epochs = load(small)
    first, second = prints(epochs), prints(epochs)
    loader = load(small)
    loader.set_epoch(1)
    assert prints(loader) == second
    loader.set_epoch(0)
    assert prints(loader) == first
    state = load(small)
    passing = iter(state)
    next(passing)
    resumed = load(small)
    resumed.load_state_dict(state.state_dict())
    resumed.set_epoch(0)
    assert prints(resumed) == first[1:]
    resumed.load_state_dict(state.state_dict())
    resumed.set_epoch(1)
    assert prints(resumed) == second


@pytest.mark.parametrize(("world_size", "batch_size"), [(1, 10), (2, 23), (3, 5), (5, 64)])
def test_other_ranks_and_batches_go_on_in_the_same_order(small, world_size, batch_size):
    expected = rows(load(small, world_size=2, rank=0, batch_size=23, lanes=1, round_rows=46))  # rank 0's own half
    order = rows(load(small, batch_size=46))  # one rank reads the flat order as it is
    loader = load(small, batch_size=46)
    passing = iter(loader)
    consumed = rows([next(passing) for _ in range(2)])
    assert consumed == order[:92] and expected[:23] == order[:23]
    state = loader.state_dict()
    ranks = []
    for rank in range(world_size):
        resumed = load(small, world_size=world_size, rank=rank, batch_size=batch_size)
        resumed.load_state_dict(state)
        ranks.append([rows([batch]) for batch in resumed])
    assert len({len(steps) for steps in ranks}) == 1
    assert [row for step in zip(*ranks) for share in step for row in share] == order[92:]


def test_a_new_process_goes_on(small):
    loader = load(small)
    passing = iter(loader)
    for _ in range(4):
        next(passing)
    state, expected = loader.state_dict(), prints(passing)
    code = f"""
import json, sys, dpp
plan = dpp.Plan.from_json({PLAN.to_json()!r})
loader = dpp.DataLoader({small.url!r}, plan, batch_size=23, shuffle=dpp.Shuffle(splits="epoch", rows=16), seed=3, output="numpy")
loader.load_state_dict(json.loads(sys.stdin.read()))
print(json.dumps([batch.fingerprint() for batch in loader]))
"""
    found = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(state), capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(found.stdout) == expected


def test_a_state_of_another_order_is_refused_by_name(small, tmp_path):
    state = load(small).state_dict()
    for differs, other in (("seed", load(small, seed=4)), ("shuffle", load(small, shuffle=False))):
        with pytest.raises(dpp.InvalidRequest, match=differs):
            other.load_state_dict(state)
    fewer = dpp.Table(small.url).filter(dpp.col("ds") > "2026-11-01")
    other = dpp.DataLoader(fewer, PLAN, batch_size=23, shuffle=SHUFFLE, seed=3, output="numpy")
    with pytest.raises(dpp.InvalidRequest, match="snapshot"):
        other.load_state_dict(state)


@pytest.mark.parametrize("state", [{}, {"version": 1}, {"anything": object()}, [1], "x", None])
def test_what_is_no_state_is_refused(small, state):
    with pytest.raises(dpp.InvalidRequest, match="state"):
        load(small).load_state_dict(state)


def test_a_state_of_another_version_is_refused(small):
    loader = load(small)
    with pytest.raises(dpp.InvalidRequest, match="version 99"):
        loader.load_state_dict(loader.state_dict() | {"version": 99})


def test_a_pass_ends_when_a_newer_begins(small):
    loader = load(small)
    older = iter(loader)
    next(older)
    newer = iter(loader)
    assert next(newer).num_rows == 23
    with pytest.raises(dpp.InvalidRequest, match="this pass is over"):
        next(older)
    assert len(list(newer)) == len(loader) - 1


def test_drop_last(small):
    loader = load(small, drop_last=True)
    assert len(loader) == small.num_rows // 23
    assert [batch.num_rows for batch in loader] == [23] * len(loader)
    assert loader.state_dict()["epoch"] == 1
