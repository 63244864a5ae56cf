"""torch's DataLoader over several worker processes: the same batches in another order, no row twice; state by torchdata."""

from __future__ import annotations

import json
import multiprocessing.util
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch.utils.data

import dpp

# However few cores there are; and torchdata uses names that torch has deprecated since.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

PLAN = dpp.Plan(
    dense=dpp.cols("I*"),
    sparse=dpp.cols("C*"),
    labels=dpp.col("label"),
    vectors=dpp.col("emb"),
    extras=[dpp.col("request"), dpp.col("ts"), dpp.row_id()],
)


@pytest.fixture(scope="module")
def striped(tmp_path_factory) -> str:
    """A table of 300,000 rows: about four stripes of one split each."""
    folder = tmp_path_factory.mktemp("striped")
    rows = 300_000
    columns = {"I1": pa.array(range(rows), pa.float32()), "C1": pa.array([[row, row % 7] for row in range(rows)])}
    pq.write_table(pa.table(columns), folder / "part-0.parquet", row_group_size=65_536)
    return str(folder)


def load(url: str, **settings) -> dpp.DataLoader:
    plan = dpp.Plan(dense=dpp.col("I1"), sparse=dpp.col("C1"), extras=dpp.row_id())
    return dpp.DataLoader(url, plan, **({"batch_size": 8192, "seed": 3} | settings))


def through(loader, workers: int, **settings) -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(loader, batch_size=None, num_workers=workers, **settings)


def rows(batches) -> list[tuple[int, ...]]:
    return [tuple(batch.extras["row_id"].tolist()) for batch in batches]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_same_batches_in_another_order(striped, workers, shuffle):
    expected = rows(load(striped, shuffle=shuffle))
    found = rows(through(load(striped, shuffle=shuffle), workers))
    assert sorted(found) == sorted(expected)
    assert sorted(row for batch in found for row in batch) == list(range(300_000))
    assert (found == expected) == (workers == 1)


@pytest.mark.parametrize("batch_size", [1000, 70_000])
def test_steps_that_are_no_rounds_are_taken_once(striped, batch_size):
    settings = {"batch_size": batch_size, "round_rows": 8192}
    assert sorted(rows(through(load(striped, **settings), 3))) == sorted(rows(load(striped, **settings)))


def test_ranks_and_drop_last(striped):
    settings = {"world_size": 2, "shuffle": True, "drop_last": True}
    for rank in range(2):
        expected = rows(load(striped, rank=rank, **settings))
        assert sorted(rows(through(load(striped, rank=rank, **settings), 2))) == sorted(expected)


def test_every_tensor_arrives(small):
    loader = dpp.DataLoader(small.url, PLAN, batch_size=23)
    for ours, theirs in zip(loader, through(dpp.DataLoader(small.url, PLAN, batch_size=23), 1), strict=True):
        assert theirs.num_rows == len(theirs) == ours.num_rows and repr(theirs) == repr(ours)
        assert torch.equal(ours.dense.nan_to_num(), theirs.dense.nan_to_num()) and torch.equal(
            ours.labels, theirs.labels
        )
        for key in ours.sparse:
            assert torch.equal(ours.sparse[key].values, theirs.sparse[key].values)
            assert torch.equal(ours.sparse[key].offsets, theirs.sparse[key].offsets)
        assert torch.equal(ours.vectors["emb"], theirs.vectors["emb"])
        assert theirs.extras["request"] == ours.extras["request"]
        assert torch.equal(ours.extras.valid("ts"), theirs.extras.valid("ts"))
        with pytest.raises(dpp.InvalidRequest, match="row_id"):
            theirs.origin()


def write_stats(folder: Path, worker: int) -> None:
    """When the worker ends, what its loader did."""
    loader = torch.utils.data.get_worker_info().dataset
    write = lambda: (folder / f"{worker}.json").write_text(json.dumps(loader.stats()))  # noqa: E731
    multiprocessing.util.Finalize(None, write, exitpriority=1)


@pytest.mark.parametrize("workers", [2, 4])
def test_no_more_bytes_are_read(striped, tmp_path, workers):
    alone = load(striped)
    list(alone)
    list(through(load(striped), workers, worker_init_fn=partial(write_stats, tmp_path)))
    stats = [json.loads((tmp_path / f"{worker}.json").read_text()) for worker in range(workers)]
    assert sum(child["rows"] for child in stats) == 300_000
    assert sum(child["rows"] > 0 for child in stats) == workers
    assert sum(child["read_bytes"] for child in stats) <= 1.1 * alone.stats()["read_bytes"]


@pytest.mark.parametrize("persistent", [False, True])
def test_every_pass_is_the_next_epoch(striped, persistent):
    alone = load(striped, shuffle=True)
    epochs = [sorted(rows(alone)) for _ in range(4)]
    loader = load(striped, shuffle=True)
    shared = through(loader, 2, persistent_workers=persistent)
    assert [sorted(rows(shared)) for _ in range(2)] == epochs[:2]
    loader.set_epoch(3)
    assert sorted(rows(shared)) == epochs[3]
    next(iter(shared))
    loader.set_epoch(0)
    assert sorted(rows(shared)) == epochs[0]


def test_a_pass_left_in_the_middle_is_given_up(striped):
    alone = load(striped, shuffle=True)
    epochs = [sorted(rows(alone)) for _ in range(2)]
    shared = through(load(striped, shuffle=True), 2)
    next(iter(shared))
    assert sorted(rows(shared)) == epochs[1]


def test_a_loaded_state_is_gone_on_from(striped):
    alone = load(striped, shuffle=True)
    passing = iter(alone)
    for _ in range(11):
        next(passing)
    loader = load(striped, shuffle=True)
    loader.load_state_dict(alone.state_dict())
    shared = through(loader, 2)
    assert sorted(rows(shared)) == sorted(rows(passing))
    assert sorted(rows(shared)) == sorted(rows(alone))


def test_the_outer_state_means_nothing_then(striped):
    loader = load(striped)
    passing = iter(through(loader, 2))
    next(passing)
    with pytest.raises(dpp.InvalidRequest, match="2 torch DataLoader workers.*StatefulDataLoader.*num_workers=0"):
        loader.state_dict()
    list(passing)
    with pytest.raises(dpp.InvalidRequest, match="StatefulDataLoader"):
        loader.state_dict()
    next(iter(loader))
    assert loader.state_dict()["rows_consumed"] == 8192


@pytest.mark.parametrize(("context", "passes"), [("spawn", 2), ("forkserver", 1)])
def test_other_ways_to_start_a_process(striped, context, passes):
    shared = through(load(striped, shuffle=True), 2, multiprocessing_context=context)
    alone = load(striped, shuffle=True)
    for _ in range(passes):
        assert sorted(rows(shared)) == sorted(rows(alone))


def test_pinned_and_device_memory_are_the_trainer_s(small):
    loader = dpp.DataLoader(small.url, PLAN, batch_size=23, device="meta")
    with pytest.raises(dpp.InvalidRequest, match="pin_memory=True to torch's DataLoader"):
        list(through(loader, 1))


def test_a_loader_made_in_a_worker_for_a_chosen_rank_takes_all_of_it(small):
    class Made(torch.utils.data.IterableDataset):
        def __iter__(self):
            worker = torch.utils.data.get_worker_info()
            place = {"rank": worker.id, "world_size": worker.num_workers}
            return iter(dpp.DataLoader(small.url, PLAN, batch_size=10, **place))

    found = rows(torch.utils.data.DataLoader(Made(), batch_size=None, num_workers=2))
    assert sorted(row for batch in found for row in batch) == list(range(small.num_rows))


# State through torchdata.


@pytest.fixture
def stateful():
    found = pytest.importorskip("torchdata.stateful_dataloader", reason="NOT TESTED: torchdata is not installed")
    return partial(found.StatefulDataLoader, batch_size=None)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("taken", [0, 1, 20, 36, 37])
def test_torchdata_goes_on_from_every_place(striped, stateful, workers, taken):
    """37 batches: before the first, in the middle, before and on the last."""
    make = lambda: stateful(load(striped, shuffle=True), num_workers=workers)  # noqa: E731
    first = make()
    passing = iter(first)
    before = [rows([next(passing)])[0] for _ in range(taken)]
    state = first.state_dict()
    after = rows(passing)
    resumed = make()
    resumed.load_state_dict(state)
    if taken == 37 and workers == 0:
        assert sorted(rows(resumed)) == sorted(rows(first))  # on the last batch a loader stands in the next epoch
        return
    assert rows(resumed) == after
    assert sorted(row for batch in before + after for row in batch) == list(range(300_000))
    assert sorted(rows(resumed)) == sorted(rows(first))  # the next epoch, in both


@pytest.mark.parametrize("workers", [0, 2])
def test_torchdata_goes_on_after_the_end(striped, stateful, workers):
    make = lambda: stateful(load(striped, shuffle=True), num_workers=workers)  # noqa: E731
    first = make()
    assert len(rows(first)) == 37
    state = first.state_dict()
    resumed = make()
    resumed.load_state_dict(state)
    assert sorted(rows(resumed)) == sorted(rows(first))


def test_a_worker_s_state_is_its_own(striped, stateful):
    first = stateful(load(striped), num_workers=2)
    passing = iter(first)
    next(passing)
    workers = first.state_dict()["_snapshot"]["_worker_snapshots"]
    state = workers["worker_1"]["dataset_state"]
    with pytest.raises(dpp.InvalidRequest, match="torch worker 1 of 2, and this is no torch worker.*num_workers=2"):
        load(striped).load_state_dict(state)
