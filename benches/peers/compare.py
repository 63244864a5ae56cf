#!/usr/bin/env python3
"""dpp beside what one would use instead, on the same rows: rows per CPU-second over all processes.

    .venv/bin/python -m pip install polars==2.1.0
    .venv/bin/python benches/peers/compare.py w1 w2 --data build/peers --repeat 5 --rounds 3

Beside tf.data service, on fewer rows, as the copies take long to write, by a Python of its own:

    python3.11 -m venv build/tensorflow && build/tensorflow/bin/python -m pip install tensorflow-cpu==2.21.0 pyarrow==26.0.1
    .venv/bin/python benches/peers/compare.py w1 w2 --data build/peers-few --rows 200000 --repeat 5 \
        --readers dpp "dpp remote" "tf.data service" --tensorflow build/tensorflow/bin/python

Readers run one after another, each in a process of its own, round after round, so that what else the machine does meets all of
them; medians are printed. CPU-seconds are those of the process and all its children, from the reader's first call to its last
batch, imports left out. Rows, numbers of ids and sums must be the same for all, or there is an error and no figure; dpp hashes
ids with sigrid_hash and the others with one multiplication, which costs them less, so sums of ids are compared among these.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import workloads

READERS = {
    "dpp": "with_dpp.read",
    "dpp remote": "with_dpp.read_remote",
    "Polars": "with_polars.read",
    "pyarrow": "with_pyarrow.read",
    "torch DataLoader": "with_pyarrow.read_in_workers",
    "tf.data service": "with_tfdata.read_served",
    "tf.data": "with_tfdata.read",
}
"""`dpp remote`: through a worker process on a Unix socket; `torch DataLoader`: pyarrow in two processes; those of tf.data read
TFRecord copies, the service's worker in a process of its own."""

OURS = ("dpp", "dpp remote")

BY_TENSORFLOW = ("tf.data service", "tf.data")

USUAL = [reader for reader in READERS if reader not in BY_TENSORFLOW]

UNABLE = {("Polars", "w3"): "it has no access to the keys of a map"} | {
    (reader, "w3"): "the copies of w2 are what it would read" for reader in BY_TENSORFLOW
}

SAME_SUM = 1e-6
"""By how much sums of dense values may differ, relative to the sum: log1p's last digits are everybody's own."""


def main() -> None:
    asked = arguments()
    if asked.child:
        print(json.dumps(measure(asked.child, asked.workloads[0], asked.data, asked.repeat)))
        return
    for name in asked.workloads:
        workloads.files(asked.data, name, asked.rows)
        for reader in asked.readers:
            if why := UNABLE.get((reader, name)):
                print(f"{name}: {reader} is left out: {why}", file=sys.stderr)
        able = [reader for reader in asked.readers if (reader, name) not in UNABLE]
        lines: dict[str, list[dict]] = {reader: [] for reader in able}
        for _ in range(asked.rounds):
            for reader in able:
                lines[reader].append(run(reader, name, asked))
        check(name, lines)
        report(name, lines, asked.json)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="+", choices=workloads.WORKLOADS)
    parser.add_argument("--data", type=Path, default=Path("build/peers"), help="folder of the tables, written at first")
    parser.add_argument("--rows", type=int, help="rows of a table that is written [default: the workload's]")
    parser.add_argument("--repeat", type=int, default=1, help="times the files are read: more dilutes the start")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--readers", nargs="+", choices=READERS, default=USUAL, help="[default: all but tf.data's]")
    parser.add_argument("--tensorflow", default=sys.executable, help="a Python with tensorflow and pyarrow, for tf.data")
    parser.add_argument("--json", action="store_true", help="a line of JSON per workload and reader")
    parser.add_argument("--child", choices=READERS, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(reader: str, name: str, asked: argparse.Namespace) -> dict:
    python = asked.tensorflow if reader in BY_TENSORFLOW else sys.executable
    command = [python, __file__, name, "--child", reader, "--data", str(asked.data), "--repeat", str(asked.repeat)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{name}: {reader} failed, as said above; --readers leaves it out")
    return json.loads(done.stdout.splitlines()[-1])


def measure(reader: str, name: str, data: Path, repeat: int) -> dict:
    module, function = READERS[reader].split(".")
    try:
        float64 = float64_of(reader)
        module = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        sys.exit(f"{missing.name} is not installed: {sys.executable} -m pip install {missing.name}")
    paths = workloads.files(data, name)
    if prepare := getattr(module, "prepare", None):
        prepare(name, paths)
    rows, n_ids, sum_ids, sum_dense, first = 0, 0, 0, 0.0, None
    cpu, wall = cpu_seconds(), time.perf_counter()
    for dense, ids, lengths in getattr(module, function)(name, paths, repeat):
        first = first or time.perf_counter() - wall
        assert len(ids) == int(lengths.sum())
        rows, n_ids = rows + len(dense), n_ids + len(ids)
        sum_ids, sum_dense = sum_ids + int(ids.sum()), sum_dense + float(dense.sum(dtype=float64))
    cpu, wall = cpu_seconds() - cpu - getattr(module, "imports_cpu_seconds", 0.0), time.perf_counter() - wall
    return {
        "rows": rows,
        "n_ids": n_ids,
        "sum_ids": sum_ids,
        "sum_dense": sum_dense,
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "first_batch_seconds": first,
        "rows_per_cpu_second": rows / cpu,
    }


def float64_of(reader: str):
    """The type as the reader's tensors know it: torch's, or numpy's where torch is not needed."""
    if reader in BY_TENSORFLOW:
        import numpy

        return numpy.float64
    import torch

    torch.set_num_threads(1)
    return torch.float64


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def check(name: str, lines: dict[str, list[dict]]) -> None:
    """Stops unless every reader did the same work."""
    done = [(reader, line) for reader, rounds in lines.items() for line in rounds]
    sums_of_ids: dict[str, int] = {}
    for reader, line in done:
        expected_by, expected = done[0]
        sum_ids = sums_of_ids.setdefault("dpp" if reader in OURS else "others", line["sum_ids"])
        same = all(line[field] == expected[field] for field in ("rows", "n_ids")) and line["sum_ids"] == sum_ids
        if not same or abs(line["sum_dense"] / expected["sum_dense"] - 1) > SAME_SUM:
            sys.exit(f"{name}: {reader} and {expected_by} did not do the same work:\n{line}\n{expected}")


def report(name: str, lines: dict[str, list[dict]], as_json: bool) -> None:
    medians = {
        reader: {field: median(line[field] for line in rounds) for field in rounds[0]} for reader, rounds in lines.items()
    }
    if as_json:
        for reader, line in medians.items():
            print(json.dumps({"figure": "peers", "workload": name, "reader": reader, "rounds": len(lines[reader]), **line}))
        return
    (first, best), *_ = medians.items()
    print(f"{name}, {best['rows']:,} rows    rows per CPU-second   {first} is   first batch")
    for reader, line in medians.items():
        rate, seconds = line["rows_per_cpu_second"], line["first_batch_seconds"]
        print(f"  {reader:22}{rate:19,.0f}{best['rows_per_cpu_second'] / rate:8.2f} x{seconds:10.3f} s")


if __name__ == "__main__":
    main()
