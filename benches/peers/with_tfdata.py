#!/usr/bin/env python3
"""tf.data over TFRecord copies of the tables: in the trainer's process, or by tf.data service with a worker in a process of its own.

A record is an example of a row: a feature by name for every value that is there, lists as they are. The copies lie beside the
tables and are written at first, which takes minutes a million values; a reader parses whole batches, and of an example the
wanted features only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from workloads import FIRST, GOLDEN, HASH_SIZE, W1, W2, WORKLOADS

imports_cpu_seconds = 0.0
"""Of the service's process, before it served: nobody's imports are counted."""


def prepare(name: str, paths: list[Path]) -> None:
    """Writes the copies that are not there yet, which is no part of reading them."""
    for path in paths:
        _copy(name, path)


def read(name: str, paths: list[Path], repeat: int) -> Iterator[tuple]:
    yield from _batches(_tensors(name, paths, repeat))


def read_served(name: str, paths: list[Path], repeat: int) -> Iterator[tuple]:
    with _service() as address:
        every = tf.data.experimental.service.ShardingPolicy.OFF  # one worker takes all files
        served = tf.data.experimental.service.distribute(processing_mode=every, service=address)
        yield from _batches(_tensors(name, paths, repeat).apply(served))


def _batches(tensors: tf.data.Dataset) -> Iterator[tuple]:
    for batch in tensors.prefetch(tf.data.AUTOTUNE):
        yield tuple(tensor.numpy() for tensor in batch)


def _tensors(name: str, paths: list[Path], repeat: int) -> tf.data.Dataset:
    copies = [str(_copy(name, path)) for path in paths] * repeat
    features, to_tensors = {"w1": (_W1_FEATURES, _w1), "w2": (_W2_FEATURES, _w2)}[name]
    records = tf.data.TFRecordDataset(copies, buffer_size=8 << 20).batch(WORKLOADS[name].batch_rows)
    return records.map(
        lambda batch: to_tensors(tf.io.parse_example(batch, features)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=False,
    )


def _number(dtype: tf.DType) -> tf.io.FixedLenFeature:
    return tf.io.FixedLenFeature([], dtype, default_value=0)


_W1_FEATURES = {name: _number(tf.float32) for name in W1.dense} | {name: _number(tf.int64) for name in W1.ids}
_W2_FEATURES = {f"D{i}": _number(tf.float32) for i in W2.dense} | {f"S{i}": tf.io.RaggedFeature(tf.int64) for i in W2.lists}


def _hashed(ids: tf.Tensor) -> tf.Tensor:
    mixed = tf.bitcast(ids, tf.uint64) * tf.constant(GOLDEN)
    mixed = tf.bitwise.bitwise_xor(mixed, tf.bitwise.right_shift(mixed, tf.constant(32, tf.uint64)))
    return tf.bitcast(mixed % tf.constant(HASH_SIZE, tf.uint64), tf.int64)


def _w1(features: dict) -> tuple:
    dense = tf.stack([features[name] for name in W1.dense], axis=1)
    ids = _hashed(tf.concat([features[name] for name in W1.ids], axis=0))
    return tf.math.log1p(tf.maximum(dense, 0)), ids, tf.ones_like(ids, tf.int32)


def _w2(features: dict) -> tuple:
    dense = tf.stack([features[f"D{i}"] for i in W2.dense], axis=1)
    scaled = (dense - W2.mean[W2.dense]) * (1 / W2.std[W2.dense]).astype(np.float32)
    lists = [features[f"S{i}"] for i in W2.lists]
    firsts = [ids[:, :FIRST] for ids in lists]
    at = dict(zip(W2.lists, lists))
    both = [_intersection(at[i], at[j]) for i, j in W2.pairs]
    buckets = [tf.searchsorted(W2.borders[i], features[f"D{i}"], side="right", out_type=tf.int64) for i in W2.bucketed]
    values = [_hashed(tf.concat([ids.flat_values for ids in part], axis=0)) for part in (firsts, both)]
    lengths = [[tf.cast(ids.row_lengths(), tf.int32) for ids in part] for part in (firsts, both)]
    ones = [tf.ones_like(bucket, tf.int32) for bucket in buckets]
    return (
        tf.clip_by_value(scaled, -5, 5),
        tf.concat([values[0], *buckets, values[1]], axis=0),
        tf.concat([*lengths[0], *ones, *lengths[1]], axis=0),
    )


def _intersection(a: tf.RaggedTensor, b: tf.RaggedTensor) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_sparse(tf.sets.intersection(a.to_sparse(), b.to_sparse()))


def _copy(name: str, path: Path) -> Path:
    """The TFRecord file of a Parquet file, written if it is not there yet."""
    copy = path.parents[1] / f"{name}-tfrecord" / path.with_suffix(".tfrecord").name
    if not copy.exists():
        import pyarrow.parquet

        copy.parent.mkdir(exist_ok=True)
        half = copy.with_suffix(".half")
        with tf.io.TFRecordWriter(str(half)) as writer:
            for rows in pyarrow.parquet.ParquetFile(path).iter_batches(1024):
                for example in _examples(rows):
                    writer.write(example)
        half.rename(copy)
    return copy


def _examples(rows) -> Iterator[bytes]:
    import pyarrow as pa

    columns = [(name, pa.types.is_floating(column.type), column.to_pylist()) for name, column in zip(rows.schema.names, rows.columns)]
    for row in range(rows.num_rows):
        example = tf.train.Example()
        for name, is_float, values in columns:
            value = values[row]
            if value is None or value == []:
                continue
            feature = example.features.feature[name]
            several = value if isinstance(value, list) else [value]
            (feature.float_list if is_float else feature.int64_list).value.extend(several)
        yield example.SerializeToString()


@contextmanager
def _service() -> Iterator[str]:
    global imports_cpu_seconds
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address, cpu_seconds = process.stdout.readline().split()
        imports_cpu_seconds = float(cpu_seconds)
        try:
            yield address
        finally:
            process.terminate()


def _serve() -> None:
    """A dispatcher and a worker, until whoever asked ends."""
    times = os.times()
    dispatcher = tf.data.experimental.service.DispatchServer()
    address = dispatcher.target.split("://")[1]
    worker = tf.data.experimental.service.WorkerServer(tf.data.experimental.service.WorkerConfig(dispatcher_address=address))
    print(dispatcher.target, times.user + times.system, flush=True)
    sys.stdin.read()
    del worker, dispatcher


if __name__ == "__main__":
    _serve()
