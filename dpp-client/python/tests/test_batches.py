"""Batches hold what pyarrow wrote, transformed as numpy does it, in every kind of output; and nothing is copied."""

from __future__ import annotations

import gc

import numpy as np
import pyarrow as pa
import pytest
import torch

import dpp
from reference import sigrid_hash

PLAN = dpp.Plan(
    dense={
        "I1": dpp.col("I1").fill_null(-2).clamp(min=-3, max=8),
        "I2": dpp.col("I2"),
        "log": dpp.col("I2").fill_null(0).clamp(min=0).log1p(),
    },
    sparse={
        **dpp.cols("C*").first_x(3).sigrid_hash(salt=5, max_value={"C1": 1000, "C2": 1 << 40}),
        "S1": dpp.col("S1"),
    },
    labels=dpp.col("label"),
    vectors=dpp.col("emb"),
    extras=[dpp.col("ts"), dpp.col("request"), dpp.col("blob"), dpp.col("I1"), dpp.row_id()],
    missing=-7.0,
)


def load(small, output="numpy", batch_size=37, plan=PLAN) -> list[dpp.Batch]:
    with dpp.DataLoader(small.url, plan, batch_size=batch_size, output=output) as loader:
        return list(loader)


def jagged(batches: list[dpp.Batch], key: str) -> list[list[int]]:
    """The ids of every row."""
    rows = []
    for batch in batches:
        one = batch.sparse[key]
        rows += [one.values[start:end].tolist() for start, end in zip(one.offsets[:-1], one.offsets[1:])]
        assert np.array_equal(one.lengths, np.diff(one.offsets))
    return rows


def test_names_and_shapes(small):
    loader = dpp.DataLoader(small.url, PLAN, batch_size=37, output="numpy")
    assert loader.dense_names == ["I1", "I2", "log"]
    assert loader.label_names == ["label"]
    assert loader.sparse_names == ["C1", "C2", "S1"]
    assert (loader.num_rows, len(loader)) == (small.num_rows, -(-small.num_rows // 37))
    batch = next(iter(loader))
    assert (batch.num_rows, len(batch)) == (37, 37)
    assert (batch.dense.shape, batch.dense.dtype, batch.dense.flags.c_contiguous) == ((37, 3), np.float32, True)
    assert (batch.labels.shape, batch.labels.dtype) == ((37, 1), np.float32)
    assert (batch.sparse.lengths.shape, batch.sparse.lengths.dtype) == ((3 * 37,), np.int32)
    assert (batch.sparse.offsets.shape, batch.sparse.offsets.dtype) == ((3 * 37 + 1,), np.int32)
    assert (batch.sparse.values.dtype, batch.sparse.weights.dtype) == (np.int64, np.float32)
    assert (batch.vectors["emb"].shape, batch.vectors["emb"].dtype) == ((37, 3), np.float32)
    assert batch.extras["ts"].dtype == np.int64 and batch.extras["I1"].dtype == np.float32
    assert repr(batch) == "<dpp.Batch 37 rows, dense [37, 3], 3 sparse keys, 1 vectors, 5 extras>"


def test_dense_values(small):
    dense = np.concatenate([batch.dense for batch in load(small)])
    assert np.array_equal(dense[:, 0], np.clip(small.dense("I1", -2), -3, 8))
    assert np.array_equal(dense[:, 1], small.dense("I2", -7))
    np.testing.assert_allclose(dense[:, 2], np.log1p(np.maximum(small.dense("I2"), 0), dtype=np.float64), rtol=1e-6)
    assert np.array_equal(np.concatenate([batch.labels[:, 0] for batch in load(small)]), small.dense("label", -7))


def test_ids_are_hashed_as_numpy_hashes_them(small):
    batches = load(small)
    for key, max_value in (("C1", 1000), ("C2", 1 << 40)):
        expected = [sigrid_hash(np.array(ids[:3], np.int64), 5, max_value).tolist() for ids in small.lists(key)]
        assert jagged(batches, key) == expected


def test_ids_without_ops_are_as_written_and_scores_go_with_them(small):
    batches = load(small)
    assert jagged(batches, "S1") == [[pair["id"] for pair in row] for row in small.lists("S1")]
    weights = np.concatenate([batch.sparse["S1"].weights for batch in batches])
    assert weights.tolist() == [np.float32(pair["score"]) for row in small.lists("S1") for pair in row]
    assert all((batch.sparse["C1"].weights == 1).all() for batch in batches)


def test_unscored_ids_have_no_weights(small):
    batch = load(small, plan=dpp.Plan(sparse=dpp.col("C1")))[0]
    assert batch.sparse.weights is None and batch.sparse["C1"].weights is None


def test_vectors(small):
    found = np.concatenate([batch.vectors["emb"] for batch in load(small)])
    assert np.array_equal(found, np.array(small.columns["emb"], np.float32))


@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_extras_are_carried_exactly(small, output):
    batches = load(small, output)
    assert [value for batch in batches for value in batch.extras["request"]] == small.columns["request"]
    assert [value for batch in batches for value in batch.extras["blob"]] == small.columns["blob"]
    assert [value for batch in batches for value in batch.extras["row_id"].tolist()] == list(range(small.num_rows))
    for name in ("ts", "I1", "request", "blob"):
        valid = [flag for batch in batches for flag in batch.extras.valid(name).tolist()]
        assert valid == [value is not None for value in small.columns[name]], name
    for name in ("ts", "I1"):
        found = [value for batch in batches for value in batch.extras[name].tolist()]
        assert found == [value or 0 for value in small.columns[name]], name
    assert list(batches[0].extras) == ["ts", "request", "blob", "I1", "row_id"]
    with pytest.raises(KeyError):
        batches[0].extras["label"]


def test_the_origin_of_every_row(small):
    found = [origin for batch in load(small) for origin in batch.origin()]
    expected = []
    for day, rows in (("2026-11-01", 70), ("2026-11-02", 41), ("2026-11-03", 90)):
        expected += [(f"ds={day}/part-0.parquet", row // 32, row % 32) for row in range(rows)]
    assert found == expected


def test_torch_has_the_same_values(small):
    for ours, theirs in zip(load(small), load(small, "torch"), strict=True):
        assert ours.fingerprint() == theirs.fingerprint()
        assert theirs.dense.dtype is torch.float32 and theirs.sparse.values.dtype is torch.int64
        assert np.array_equal(ours.dense, theirs.dense.numpy())
        assert np.array_equal(ours.sparse.values, theirs.sparse.values.numpy())
        assert np.array_equal(ours.sparse["S1"].offsets, theirs.sparse["S1"].offsets.numpy())
        assert np.array_equal(ours.vectors["emb"], theirs.vectors["emb"].numpy())


def test_arrow_has_the_same_values_and_nulls(small):
    for ours, theirs in zip(load(small), load(small, "arrow"), strict=True):
        assert theirs.dense.type == pa.list_(pa.float32(), 3)
        assert np.array_equal(ours.dense.ravel(), theirs.dense.flatten().to_numpy())
        assert theirs.sparse["C2"].values.to_pylist() == ours.sparse["C2"].values.tolist()
        assert theirs.sparse["C2"].offsets.to_pylist() == ours.sparse["C2"].offsets.tolist()
        assert theirs.sparse["C2"].offsets.type == pa.int32()
        expected = [
            value if valid else None
            for value, valid in zip(ours.extras["ts"].tolist(), ours.extras.valid("ts").tolist())
        ]
        assert theirs.extras["ts"].to_pylist() == expected
        assert theirs.extras.valid("ts").to_pylist() == ours.extras.valid("ts").tolist()


def test_empty_groups_and_empty_values(small):
    plan = dpp.Plan(sparse={"none": dpp.col("C1").first_x(0)}, labels=dpp.col("label"))
    for output in ("numpy", "torch", "arrow"):
        batch = load(small, output, plan=plan)[0]
        assert len(batch.dense) == 37 and len(batch.sparse.values) == 0 and len(batch.sparse["none"].values) == 0
        assert batch.vectors == {} and len(batch.extras) == 0
    assert load(small, "torch", plan=plan)[0].dense.shape == (37, 0)
    assert len(load(small, plan=dpp.Plan(dense=dpp.col("I1")))[0].sparse) == 0


def test_tensors_share_the_batch_s_memory(small):
    batch = next(iter(dpp.DataLoader(small.url, PLAN, batch_size=64, output="torch")))
    raw = batch._rows
    for ours, lent in (
        (batch.dense, raw.dense()),
        (batch.sparse.values, raw.values()),
        (batch.vectors["emb"], raw.vector(0)),
    ):
        address = np.asarray(lent).ctypes.data
        assert ours.data_ptr() == address == np.from_dlpack(lent).ctypes.data == torch.from_dlpack(lent).data_ptr()
        assert pa.py_buffer(lent).address == address
    assert batch.sparse["C2"].values.untyped_storage().data_ptr() == batch.sparse.values.untyped_storage().data_ptr()


def test_tensors_outlive_the_batch_and_the_loader(small):
    loader = dpp.DataLoader(small.url, PLAN, batch_size=64, output="torch")
    batch = next(iter(loader))
    kept, view = batch.dense, memoryview(batch._rows.dense())
    expected = kept.clone()
    loader.close()
    del batch, loader
    gc.collect()
    torch.empty(1 << 20).fill_(1)
    assert torch.equal(kept, expected) and view.tolist() == expected.tolist()


def test_a_lent_tensor_is_read_only_for_numpy_and_on_the_host(small):
    lent = next(iter(dpp.DataLoader(small.url, PLAN, batch_size=64, output="numpy")))._rows.dense()
    assert not np.asarray(lent).flags.writeable and memoryview(lent).readonly
    assert (
        lent.__dlpack_device__() == (1, 0)
        and lent.shape == (64, 3)
        and lent.dtype == "float32"
        and lent.nbytes == 64 * 3 * 4
    )
    with pytest.raises(BufferError, match="host memory"):
        lent.__dlpack__(dl_device=(2, 0))
    copied = torch.from_dlpack(lent, copy=True)
    assert copied.data_ptr() != torch.from_dlpack(lent).data_ptr() and torch.equal(copied, torch.from_dlpack(lent))


def test_a_capsule_that_nobody_takes_is_freed(small):
    lent = next(iter(dpp.DataLoader(small.url, PLAN, batch_size=64, output="numpy")))._rows.dense()
    for _ in range(1000):
        lent.__dlpack__()
    assert "dltensor" in repr(lent.__dlpack__(max_version=(1, 0), copy=False))


def test_moving_a_batch(small):
    batch = load(small, "torch")[0]
    moved = batch.to("cpu")
    assert torch.equal(moved.dense, batch.dense) and moved.num_rows == batch.num_rows
    meta = batch.to("meta", non_blocking=True)
    assert meta.dense.device.type == meta.sparse.offsets.device.type == meta.extras["ts"].device.type == "meta"
    assert meta.sparse["C1"].values.shape == batch.sparse["C1"].values.shape
    assert meta.extras["request"] == batch.extras["request"] and meta.origin() == batch.origin()
    with pytest.raises(dpp.InvalidRequest, match="output='torch'"):
        load(small, "numpy")[0].to("cpu")


def test_an_unknown_key_is_named(small):
    with pytest.raises(KeyError, match="no sparse key 'C9'; there are C1, C2, S1"):
        load(small)[0].sparse["C9"]


def test_torchrec_is_asked_for_only_when_needed(small, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchrec", None)
    with pytest.raises(dpp.InvalidRequest, match="pip install torchrec"):
        load(small, "torch")[0].sparse.to_torchrec()


@pytest.mark.filterwarnings("ignore")  # torchrec's own
def test_torchrec_s_own_class(small):
    try:
        import torchrec
    except Exception as error:  # its libraries fit one torch, and fail in their own ways with others
        pytest.skip(f"NOT TESTED: torchrec's KeyedJaggedTensor: {error!r}")
    batch = load(small, "torch")[0]
    tensor = batch.sparse.to_torchrec()
    assert isinstance(tensor, torchrec.KeyedJaggedTensor)
    assert (tensor.keys(), tensor.stride()) == (["C1", "C2", "S1"], batch.num_rows)
    assert tensor.values().data_ptr() == batch.sparse.values.data_ptr()
    assert tensor.weights().data_ptr() == batch.sparse.weights.data_ptr()
    for key in tensor.keys():
        assert torch.equal(tensor[key].values(), batch.sparse[key].values)
        assert torch.equal(tensor[key].lengths(), batch.sparse[key].lengths)
        assert torch.equal(tensor[key].offsets(), batch.sparse[key].offsets)


def test_torchrec_receives_the_same_memory(small, monkeypatch):
    class Fake:
        def __init__(self, **given):
            self.given = given

    module = type(torch)("torchrec")
    module.KeyedJaggedTensor = Fake
    monkeypatch.setitem(__import__("sys").modules, "torchrec", module)
    batch = load(small, "torch")[0]
    given = batch.sparse.to_torchrec().given
    assert given["keys"] == ["C1", "C2", "S1"]
    assert given["values"].data_ptr() == batch.sparse.values.data_ptr()
    assert given["lengths"] is batch.sparse.lengths and given["weights"] is batch.sparse.weights
