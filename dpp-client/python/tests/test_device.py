"""Batches that go to a device: copied ahead on a stream of their own, while the state stays at the batch in use."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

import dpp
from dpp import _passes

PLAN = dpp.Plan(
    dense=dpp.cols("I*"), sparse=dpp.cols("C*"), labels=dpp.col("label"), extras=[dpp.col("request"), dpp.row_id()]
)


class Stream:
    """In place of a CUDA stream, where there is no GPU: notes who waited for whom."""

    def __init__(self, device: object) -> None:
        self.waited: list[Stream] = []

    def wait_stream(self, other: Stream) -> None:
        self.waited.append(other)


@pytest.fixture
def no_gpu_needed(monkeypatch) -> Stream:
    """The current stream, of a GPU that is this machine's memory."""
    current = Stream(None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current)
    monkeypatch.setattr(dpp.Batch, "pin_memory", lambda batch: batch)
    monkeypatch.setattr(dpp.Batch, "to", lambda batch, device, non_blocking: batch)
    monkeypatch.setattr(dpp.Batch, "record_stream", lambda batch, stream: None)
    return current


class Ready:
    """A pass's batches, of which the next one is always ready."""

    def __init__(self, batches) -> None:
        self._batches = batches

    def next(self):
        return self._batches.next()

    def try_next(self):
        return True, self._batches.next()


@pytest.fixture
def always_ready(monkeypatch) -> None:
    begin = _passes.DevicePass.__init__
    monkeypatch.setattr(_passes.DevicePass, "__init__", lambda self, batches, *rest: begin(self, Ready(batches), *rest))


@pytest.mark.parametrize("prefetch_batches", [1, 4])
def test_the_state_stays_at_the_batch_in_use(small, no_gpu_needed, always_ready, prefetch_batches):
    settings = {"batch_size": 20, "shuffle": True, "prefetch_batches": prefetch_batches}
    host, device = (
        dpp.DataLoader(small.url, PLAN, **settings),
        dpp.DataLoader(small.url, PLAN, device="cuda", **settings),
    )
    for _ in range(2):
        ahead = 0
        for ours, theirs in zip(host, device, strict=True):
            assert theirs.fingerprint() == ours.fingerprint()
            assert device.state_dict() == host.state_dict()
            ahead += device.stats()["batches"] - host.stats()["batches"]
        assert ahead == len(host) - 1
    assert len(no_gpu_needed.waited) == 2 * len(host)


def test_going_on_from_the_batch_in_use(small, no_gpu_needed, always_ready):
    settings = {"batch_size": 20, "device": "cuda"}
    loader = dpp.DataLoader(small.url, PLAN, **settings)
    passing = iter(loader)
    used = [next(passing) for _ in range(4)]
    resumed = dpp.DataLoader(small.url, PLAN, **settings)
    resumed.load_state_dict(loader.state_dict())
    rows = [row for batch in [*used, *resumed] for row in batch.extras["row_id"].tolist()]
    assert rows == list(range(small.num_rows))
    loader.load_state_dict(loader.state_dict())
    assert len(list(loader)) == len(loader) - 4


def test_an_error_comes_after_the_batches_before_it(small, no_gpu_needed, always_ready):
    plan = dpp.Plan(sparse=dpp.col("C1"), extras=dpp.row_id())
    host = dpp.DataLoader(small.url, plan, batch_size=1, id_dtype="int32")
    device = dpp.DataLoader(small.url, plan, batch_size=1, id_dtype="int32", device="cuda")
    taken = []
    for loader in (host, device):
        taken.append(0)
        with pytest.raises(dpp.InvalidRequest, match="does not fit int32"):
            for _ in loader:
                taken[-1] += 1
    assert taken[0] == taken[1]


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="NOT TESTED: batches prefetched to a GPU; torch sees none here"
)
@pytest.mark.parametrize("prefetch_batches", [1, 4])
def test_batches_on_a_gpu(small, prefetch_batches):
    plan = dpp.Plan(
        dense=dpp.cols("I*"), sparse=dpp.cols("C*"), labels=dpp.col("label"), extras=[dpp.col("request"), dpp.row_id()]
    )
    settings = {"batch_size": 20, "shuffle": True, "prefetch_batches": prefetch_batches}
    host, device = (
        dpp.DataLoader(small.url, plan, **settings),
        dpp.DataLoader(small.url, plan, device="cuda", **settings),
    )
    states = []
    for ours, theirs in zip(host, device, strict=True):
        assert theirs.dense.is_cuda and theirs.sparse.values.is_cuda and theirs.extras["row_id"].is_cuda
        assert torch.equal(ours.dense.nan_to_num(), theirs.dense.cpu().nan_to_num())
        assert torch.equal(ours.sparse["C2"].values, theirs.sparse["C2"].values.cpu())
        assert ours.extras["request"] == theirs.extras["request"]
        assert device.state_dict() == host.state_dict()  # what is used, not what was copied ahead
        states.append(device.state_dict())
    resumed = dpp.DataLoader(small.url, plan, device="cuda", **settings)
    resumed.load_state_dict(states[3])
    assert len(list(resumed)) == len(device) - 4
    pinned = next(iter(dpp.DataLoader(small.url, plan, pin_memory=True, **settings)))
    assert pinned.dense.is_pinned() and pinned.sparse.offsets.is_pinned() and pinned.extras.valid("row_id").is_pinned()
