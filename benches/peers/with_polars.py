"""Polars: a lazy scan of a file at a time, expressions, then numpy and torch; a thread collects the next file meanwhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import torch
from workloads import FIRST, GOLDEN, HASH_SIZE, W1, W2, WORKLOADS, hashed


def read(name: str, paths: list[Path], repeat: int) -> Iterator[tuple]:
    wanted, to_tensors = {"w1": (_w1_wanted, _w1), "w2": (_w2_wanted, _w2)}[name]
    collected: queue.Queue = queue.Queue(1)

    def collect() -> None:
        for path in paths * repeat:
            collected.put(pl.scan_parquet(path).select(wanted()).collect())
        collected.put(None)

    threading.Thread(target=collect, daemon=True).start()
    while (frame := collected.get()) is not None:
        for tensors in to_tensors(frame, WORKLOADS[name].batch_rows):
            yield tuple(torch.from_numpy(tensor) for tensor in tensors)


def _w1_wanted() -> list[pl.Expr]:
    dense = [pl.col(name).fill_null(0).clip(lower_bound=0).log1p().cast(pl.Float32) for name in W1.dense]
    return dense + [_hashed(pl.col(name).fill_null(0)) for name in W1.ids]


def _hashed(ids: pl.Expr) -> pl.Expr:
    mixed = ids.reinterpret(signed=False) * pl.lit(int(GOLDEN), pl.UInt64)
    mixed = mixed ^ (mixed // pl.lit(1 << 32, pl.UInt64))
    return (mixed % pl.lit(HASH_SIZE, pl.UInt64)).reinterpret(signed=True)


def _w1(frame: pl.DataFrame, batch_rows: int) -> Iterator[tuple]:
    dense = frame.select(W1.dense).to_numpy(order="c")
    ids = frame.select(W1.ids).to_numpy(order="fortran").T
    for begin in range(0, len(frame), batch_rows):
        values = np.ascontiguousarray(ids[:, begin : begin + batch_rows]).reshape(-1)
        yield dense[begin : begin + batch_rows], values, np.ones(len(values), np.int32)


def _w2_wanted() -> list[pl.Expr]:
    def scaled(i: int) -> pl.Expr:
        mean, factor = pl.lit(W2.mean[i], pl.Float32), pl.lit(1 / W2.std[i], pl.Float32)
        return ((pl.col(f"D{i}").fill_null(0) - mean) * factor).clip(-5, 5)

    wanted = [scaled(i) for i in W2.dense]
    wanted += [pl.col(f"D{i}").fill_null(0).alias(f"raw {i}") for i in W2.bucketed]
    wanted += [pl.col(f"S{i}").list.head(FIRST) for i in W2.lists]
    return wanted + [pl.col(f"S{i}").list.set_intersection(pl.col(f"S{j}")).alias(f"both {i}") for i, j in W2.pairs]


def _w2(frame: pl.DataFrame, batch_rows: int) -> Iterator[tuple]:
    dense = frame.select([f"D{i}" for i in W2.dense]).to_numpy(order="c")
    for begin in range(0, len(frame), batch_rows):
        part = frame.slice(begin, batch_rows)
        ids, lengths = _jagged(part, [f"S{i}" for i in W2.lists])
        both, both_lengths = _jagged(part, [f"both {i}" for i, _ in W2.pairs])
        buckets = [np.searchsorted(W2.borders[i], part[f"raw {i}"].to_numpy(), side="right") for i in W2.bucketed]
        ones = np.ones(len(part) * len(buckets), np.int32)
        values = np.concatenate([ids, *buckets, both])
        yield dense[begin : begin + batch_rows], values, np.concatenate([lengths, ones, both_lengths])


def _jagged(frame: pl.DataFrame, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    values, lengths = [], []
    for name in names:
        lists = frame[name].rechunk().to_arrow()
        offsets = lists.offsets.to_numpy()
        values.append(lists.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]])
        lengths.append(np.diff(offsets).astype(np.int32))
    return hashed(np.concatenate(values)), np.concatenate(lengths)
