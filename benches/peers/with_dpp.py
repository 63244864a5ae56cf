#!/usr/bin/env python3
"""dpp, on-box or through a worker of its own on a Unix socket.

Called as a program it writes a workload's table, if it is not there yet, and says what is read: a line of JSON with the table's
folder, the rows of a batch and the plan.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dpp
from workloads import FIRST, HASH_SIZE, W2, WORKLOADS, files


def read(name: str, paths: list[Path], repeat: int, threads: int | None = None) -> Iterator[tuple]:
    yield from _batches(name, paths, repeat, {} if threads is None else {"threads": threads})


def read_remote(name: str, paths: list[Path], repeat: int) -> Iterator[tuple]:
    with ExitStack() as open_until_end:
        service = open_until_end.enter_context(_worker())
        yield from _batches(name, paths, repeat, {"service": service})


def _batches(name: str, paths: list[Path], repeat: int, where: dict) -> Iterator[tuple]:
    table = dpp.Table(str(paths[0].parent))
    loader = dpp.DataLoader(table, PLANS[name](), batch_size=WORKLOADS[name].batch_rows, **where)
    for _ in range(repeat):
        for batch in loader:
            yield batch.dense, batch.sparse.values, batch.sparse.lengths


@contextmanager
def _worker() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/worker"
        command = [str(Path(sys.executable).parent / "dpp"), "serve", "worker", "--listen", address]
        environment = {**os.environ, "DPP_LOG": "warn"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as worker:
            assert worker.stdout is not None and worker.stdout.readline()  # it says where it listens once it does
            try:
                yield address
            finally:
                worker.terminate()


def _w1() -> dpp.Plan:
    return dpp.Plan(
        dense=dpp.cols("I*").fill_null(0).clamp(min=0).log1p(),
        sparse=dpp.cols("C*").fill_null(0).sigrid_hash(salt=0, max_value=HASH_SIZE),
    )


def _wide(dense_named: str, lists_named: str) -> dpp.Plan:
    """Of features whose names have their number in place of `{}`."""

    def filled(i: int) -> dpp.Expr:
        return dpp.col(dense_named.format(i)).fill_null(0)

    def scaled(i: int) -> dpp.Expr:
        return filled(i).z_score(mean=float(W2.mean[i]), std=float(W2.std[i])).clamp(min=-5, max=5)

    def lists(i: int) -> dpp.Expr:
        return dpp.col(lists_named.format(i))

    def hashed(ids: dpp.Expr) -> dpp.Expr:
        return ids.sigrid_hash(salt=0, max_value=HASH_SIZE)

    sparse = {f"S{i}": hashed(lists(i).first_x(FIRST)) for i in W2.lists}
    for i in W2.bucketed:
        sparse[f"bucket of D{i}"] = filled(i).bucketize(borders=W2.borders[i].tolist())
    for i, j in W2.pairs:
        sparse[f"both S{i} and S{j}"] = hashed(dpp.intersect(lists(i), lists(j)))
    return dpp.Plan(dense=[scaled(i) for i in W2.dense], sparse=sparse)


PLANS = {"w1": _w1, "w2": lambda: _wide("D{}", "S{}"), "w3": lambda: _wide("dense[{}]", "sparse[{}]")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--data", type=Path, default=Path("build/peers"), help="folder of the tables")
    parser.add_argument("--rows", type=int, help="rows of a table that is written [default: the workload's]")
    asked = parser.parse_args()
    table = files(asked.data, asked.workload, asked.rows)[0].parent.resolve()
    plan = json.loads(PLANS[asked.workload]().to_json())
    print(json.dumps({"table": str(table), "batch_rows": WORKLOADS[asked.workload].batch_rows, "plan": plan}))


if __name__ == "__main__":
    main()
