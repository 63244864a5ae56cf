"""Loaders of plans with a row filter: exactly the rows that pyarrow keeps, alike on every rank, saved and gone on from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import dpp
from processes import service
from reference import hash128, twang
from test_distributed import ranks, said

EXTRAS = [dpp.row_id()]


def load(url, where, **settings) -> dpp.DataLoader:
    plan = dpp.Plan(dense=dpp.cols("I*"), labels=dpp.col("label"), extras=EXTRAS, where=where)
    return dpp.DataLoader(url, plan, **({"batch_size": 23, "output": "numpy"} | settings))


def rows(batches) -> list[int]:
    return [row for batch in batches for row in batch.extras["row_id"].tolist()]


@pytest.fixture
def kept(small):
    """Rows of the small table with a label above 0."""
    return np.flatnonzero(small.dense("label") > 0).tolist()


def test_survivors_come_in_the_order_of_the_rows(small, kept):
    assert 0 < len(kept) < small.num_rows
    loader = load(small.url, dpp.col("label") > 0)
    batches = list(loader)
    assert rows(batches) == kept
    assert [batch.num_rows for batch in batches[:-1]] == [23] * (len(batches) - 1)
    assert all(batch.valid is None and (batch.labels > 0).all() for batch in batches)
    assert sorted(rows(load(small.url, dpp.col("label") > 0, shuffle=True, on_uneven="pad"))) == kept
    with pytest.raises(TypeError, match="does not know its steps"):
        len(loader)
    with pytest.raises(dpp.InvalidRequest, match="row_id"):
        batches[0].origin()


def drawn(keys: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """Which keys of 64 bits a sample keeps, from its definition."""
    with np.errstate(over="ignore"):
        hashed = hash128(np.uint64(seed % (1 << 64)), keys)
    return (hashed >> np.uint64(11)).astype(np.float64) / 2.0**53 < rate


def test_samples_keep_the_rows_that_their_definition_does_wherever_they_are_read(small, processes):
    with np.errstate(over="ignore"):
        by_row = drawn(twang(np.arange(small.num_rows, dtype=np.uint64)), 0.3, 5)
        ts = small.columns["ts"]
        known = np.array([value is not None for value in ts])
        by_ts = drawn(twang(np.array([value or 0 for value in ts], np.int64).view(np.uint64)), 0.5, -1) & known
    positive = small.dense("label") > 0
    remote = service([processes.worker()])
    for where, kept in [
        (dpp.sample(0.3, seed=5), by_row),
        (dpp.sample(0.5, by="ts", seed=-1), by_ts),
        (dpp.negative_downsample("label", 0.3, seed=5), positive | by_row),
    ]:
        expected = np.flatnonzero(kept).tolist()
        assert 0 < len(expected) < small.num_rows
        here = load(small.url, where)
        assert rows(here) == expected
        assert rows(here) == expected, "the same rows in the next epoch"
        assert rows(load(small.url, where, service=remote)) == expected
        assert sorted(rows(load(small.url, where, shuffle=True, on_uneven="pad"))) == expected


def test_every_step_can_be_resumed(small):
    settings = {"shuffle": dpp.Shuffle(splits="epoch", rows=16), "lanes": 3, "round_rows": 24, "on_uneven": "pad"}
    make = lambda: load(small.url, dpp.col("label") > 0, **settings)  # noqa: E731
    expected = [batch.fingerprint() for batch in make()]
    running = make()
    states = [running.state_dict()] + [running.state_dict() for _ in running]
    assert len(states) == len(expected) + 1 and states[-1]["epoch"] == 1
    for step, state in enumerate(states[:-1]):
        resumed = make()
        resumed.load_state_dict(json.loads(json.dumps(state)))
        assert resumed.state_dict() == state
        assert [batch.fingerprint() for batch in resumed] == expected[step:], step


def test_padded_rows_are_not_valid(small, kept):
    batches = list(load(small.url, dpp.col("label") > 0, lanes=4, round_rows=24, batch_size=24, on_uneven="pad"))
    valid = np.concatenate([batch.valid for batch in batches])
    found = np.concatenate([batch.extras["row_id"] for batch in batches])
    assert valid.dtype == bool and not valid.all()
    assert sorted(found[valid].tolist()) == kept
    labels = np.concatenate([batch.labels for batch in batches])
    assert (labels[~valid] == 0).all() and (labels[valid] > 0).all()
    with pytest.raises(dpp.InvalidRequest, match="unevenly"):
        list(load(small.url, dpp.col("label") > 0, lanes=4, round_rows=24, on_uneven="error"))
    with pytest.raises(dpp.InvalidRequest, match="'drop', 'pad' or 'error'"):
        load(small.url, dpp.col("label") > 0, on_uneven="stop")


def test_states_of_256_lanes_are_small_and_merge(small):
    loader = load(small.url, dpp.col("label") > 0, lanes=256, round_rows=256, batch_size=7, on_uneven="pad")
    passing = iter(loader)
    before = loader.state_dict()
    next(passing)
    state = loader.state_dict()
    assert len(json.dumps(state)) < 8 << 10 and len(state["lanes"]) == 256
    assert dpp.merge_states([state, state]) == state
    with pytest.raises(dpp.InvalidRequest, match="7 rows.*0 rows|0 rows.*7 rows"):
        dpp.merge_states([state, before])
    with pytest.raises(dpp.InvalidRequest, match="255 of its 256 lanes"):
        dpp.merge_states([state | {"lanes": state["lanes"][1:]}])
    with pytest.raises(dpp.InvalidRequest, match=r"row filter \(where\) was"):
        load(small.url, dpp.col("label") < 0).load_state_dict(state)


def test_torch_workers_can_t_share_it(small):
    torch = pytest.importorskip("torch")
    loader = load(small.url, dpp.col("label") > 0, output="torch")
    with pytest.raises(dpp.InvalidRequest, match="num_workers=0"):
        list(torch.utils.data.DataLoader(loader, batch_size=None, num_workers=1))
    assert rows(torch.utils.data.DataLoader(loader, batch_size=None)) == rows(load(small.url, dpp.col("label") > 0))


RANK = """
plan = dpp.Plan(dense=dpp.cols("I*"), labels=dpp.col("label"), extras=dpp.row_id(), where=dpp.col("label") > 0)
def load(batch_size, **settings):
    return dpp.DataLoader(url, plan, batch_size=batch_size, shuffle=True, on_uneven="pad", **settings)
def rows(batch):
    return [row if valid else None for row, valid in zip(batch.extras["row_id"].tolist(), batch.valid.tolist())]
"""

SAVE = (
    RANK
    + """
import torch.distributed.checkpoint
loader = load(8, lanes=world_size)
steps, states = [], []
for batch in loader:
    steps.append(rows(batch))
    states.append(loader.state_dict())
    if len(steps) == 2:
        torch.distributed.checkpoint.save({"data": loader}, checkpoint_id=f"{folder}/checkpoint")
say(steps=steps, states=states, wanted=loader.stats()["wanted_bytes"])
leave()
"""
)

LOAD = (
    RANK
    + """
import torch.distributed.checkpoint
loader = load(5)
torch.distributed.checkpoint.load({"data": loader}, checkpoint_id=f"{folder}/checkpoint")
say(steps=[rows(batch) for batch in loader], states=[])
leave()
"""
)


def together(found: list[dict]) -> list[list[int | None]]:
    """Step by step the rows of all ranks."""
    return [sum(parts, []) for parts in zip(*(rank["steps"] for rank in found), strict=True)]


def test_ranks_agree_on_every_step(small, tmp_path, kept):
    saved = [said(rank) for rank in ranks(tmp_path, 2, [small.url], SAVE)]
    assert saved[0]["states"] == saved[1]["states"], "any rank's state is the global state"
    steps = together(saved)
    assert sorted(row for step in steps for row in step if row is not None) == kept
    alone = load(small.url, dpp.col("label") > 0, shuffle=True, lanes=2, round_rows=16, batch_size=16, on_uneven="pad")
    found = [[row if valid else None for row, valid in zip(batch.extras["row_id"].tolist(), batch.valid)] for batch in alone]
    assert steps == found
    assert sum(rank["wanted"] for rank in saved) < 1.5 * alone.stats()["wanted_bytes"]
    loaded = [said(rank) for rank in ranks(tmp_path, 3, [small.url], LOAD)]
    assert sum(together(loaded), []) == sum(steps[2:], [])


# The real table.


@pytest.fixture(scope="module")
def stored(jd: str) -> pa.Table:
    """All rows as pyarrow reads them, in path order, partitions left out."""
    paths = sorted(Path(jd).glob("ds=*/*.parquet"), key=str)
    return pa.concat_tables(pq.ParquetFile(path).read() for path in paths)


def f32(number: float) -> pa.Scalar:
    return pa.scalar(number, pa.float32())


CONDITIONS = [
    # A dense value compares as float32, and so is what it is compared with: pyarrow is given it rounded.
    (dpp.col("bad_comment_rate") > 0.1, pc.field("bad_comment_rate") > f32(0.1)),
    (
        (dpp.col("label") == 1) & ~(dpp.col("user_age") <= 3),
        (pc.field("label") == f32(1)) & ~(pc.field("user_age") <= f32(3)),
    ),
    (
        dpp.col("user_level").is_null() | dpp.col("comment_count").is_in([0, 3]),
        pc.field("user_level").is_null() | (pc.field("comment_count") == f32(0)) | (pc.field("comment_count") == f32(3)),
    ),
]


@pytest.mark.parametrize("number", range(len(CONDITIONS)))
def test_exactly_the_rows_that_pyarrow_keeps(jd, stored, number, processes):
    ours, theirs = CONDITIONS[number]
    numbered = stored.append_column("row", pa.array(np.arange(stored.num_rows)))
    expected = numbered.filter(theirs)["row"].to_pylist()
    plan = dpp.Plan(labels=dpp.col("label"), extras=EXTRAS, where=ours)
    assert 0 < len(expected) < stored.num_rows
    on_box = dpp.DataLoader(jd, plan, batch_size=1000, output="numpy")
    prints = [batch.fingerprint() for batch in on_box]
    on_box.set_epoch(0)
    assert rows(on_box) == expected
    remote = dpp.DataLoader(jd, plan, batch_size=1000, output="numpy", service=service(processes.workers(2)))
    assert [batch.fingerprint() for batch in remote] == prints


def test_one_row_in_a_hundred_costs_few_bytes(stored, tmp_path):
    """The table's rows in one file of small pages, sorted by what is asked for, and stored plainly: a gap between pages is
    only left out where it is worth a request."""
    table = stored.sort_by("ts")
    bound = table["ts"][table.num_rows // 100].as_py()
    plainly = {"compression": "none", "use_dictionary": False, "write_page_index": True, "data_page_size": 4096}
    pq.write_table(table, tmp_path / "part-0.parquet", row_group_size=1 << 20, **plainly)
    read = {}
    for name, where in (("all", None), ("some", dpp.col("ts") < bound)):
        ids = [dpp.col(name) for name in ("brand", "category", "last_brands", "last_skus", "model", "sku", "user")]
        plan = dpp.Plan(dense=dpp.cols("user_*"), sparse=ids, extras=EXTRAS, where=where)
        loader = dpp.DataLoader(str(tmp_path), plan, batch_size=8192, output="numpy")
        read[name] = (sum(batch.num_rows for batch in loader), loader.stats()["read_bytes"])
    assert read["all"][0] == table.num_rows
    assert read["some"][0] == pc.sum(pc.less(table["ts"], bound)).as_py() > 800
    assert read["some"][1] <= 0.3 * read["all"][1], read
