#!/usr/bin/env python3
"""w4, the hard case: 10,000 encrypted columns on S3 of which a job reads a twentieth, through a worker; CPU-seconds over all processes.

    make build/tools/bin/s3s-fs
    .venv/bin/python benches/peers/encrypted.py --data build/peers --rounds 3

Every column is encrypted under a data key of its own, as Parquet's modular encryption has it; `dpp table synth` and `dpp table
rewrite --encrypt` write the table. Read by dpp on-box, through a worker by TCP and by TLS, and, as what bounds them, by pyarrow
which decrypts and decodes the same columns into Arrow arrays in one thread and makes no tensors of them. Readers run one after
another, each in a process of its own, round after round; medians are printed. CPU-seconds are those of the reader, and of its
worker, from the first call to the last batch, imports and the S3 server left out. Rows, numbers of ids and sums must be equal.
With `--repeat` the rows are read several times over, by files that are opened once, so that opening them counts less.
Needs `openssl`, for the certificates of the worker that is reached by TLS.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
Columns = tuple[list[int], list[int]]
BUCKET, KEY, SECRET = "bucket", "bench-key", "bench-secret"
BATCH_ROWS = 1_024
FILE_ROWS = 2_048
START_SECONDS = 20


def main() -> None:
    asked = arguments()
    if asked.child:
        print(json.dumps(measure(asked)))
        return
    table = asked.data / f"w4-{asked.dense}-{asked.sparse}-{asked.rows}"
    (table / "s3" / BUCKET).mkdir(parents=True, exist_ok=True)
    with server(asked.s3, table / "s3") as endpoint:
        if not (table / "written").exists():
            write(table, endpoint, asked)
        certify(table)
        lines: dict[str, list[dict]] = {reader: [] for reader in asked.readers}
        for _ in range(asked.rounds):
            for reader in asked.readers:
                lines[reader].append(run(reader, endpoint, asked))
    check(lines)
    report(lines, asked)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("build/peers"), help="folder of the table, written at first")
    parser.add_argument("--s3", type=Path, default=ROOT / "build/tools/bin/s3s-fs", help="the S3 server's program")
    parser.add_argument("--dense", type=int, default=6_000)
    parser.add_argument("--sparse", type=int, default=4_000)
    parser.add_argument("--rows", type=int, default=4_096)
    parser.add_argument("--share", type=float, default=0.05, help="of the columns, which is read")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=1, help="how often the rows are read")
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--json", action="store_true", help="a line of JSON per reader")
    parser.add_argument("--child", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    return parser.parse_args()


def write(table: Path, endpoint: str, asked: argparse.Namespace) -> None:
    """The table as `s3://bucket/w4`, and the master keys of its columns."""
    masters = {name: base64.b64encode(secrets.token_bytes(16)).decode() for name in ("footer", "columns")}
    leaves = [f"D{i}" for i in range(asked.dense)] + [f"S{i}.list.element" for i in range(asked.sparse)]
    keys, plain = table / "keys.json", table / "plain"
    keys.touch(mode=0o600)
    encrypt = {"internal_key_material": True}
    columns = dict.fromkeys(leaves, "columns")
    keys.write_text(json.dumps({"keys": masters, "footer": "footer", "columns": columns, "encrypt": encrypt}))
    shape = ["--dense", str(asked.dense), "--sparse", str(asked.sparse), "--rows", str(asked.rows)]
    shape += ["--files", str(-(-asked.rows // FILE_ROWS)), "--overwrite"]
    subprocess.run([*dpp_command(), "table", "synth", str(plain), "--preset", "w2", *shape], check=True)
    # through the server, which otherwise hashes the whole file for every request
    locked = ["--encrypt", str(keys), "--memory", "4GiB", "--row-group-bytes", "1GiB"]
    for key, value in place(endpoint).items():
        locked += ["--storage-option", f"{key}={value}"]
    command = [*dpp_command(), "table", "rewrite", str(plain), f"s3://{BUCKET}/w4", *locked]
    subprocess.run(command, check=True, env=identity())
    shutil.rmtree(plain)
    (table / "written").touch()


def place(endpoint: str) -> dict[str, str]:
    return {"endpoint": endpoint, "region": "us-east-1", "allow_http": "true"}


def identity() -> dict[str, str]:
    return {**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


def dpp_command() -> list[str]:
    return [sys.executable, "-c", "from dpp._command import dpp; dpp()"]


@contextmanager
def server(program: Path, folder: Path) -> Iterator[str]:
    """A real S3 server over a folder."""
    if not program.exists():
        sys.exit(f"{program} is missing: make build/tools/bin/s3s-fs")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "--host", "127.0.0.1", "--port", str(port), "--access-key", KEY, "--secret-key", SECRET]
    with subprocess.Popen([*command, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{program} does not answer on port {port}")
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(reader: str, endpoint: str, asked: argparse.Namespace) -> dict:
    command = [sys.executable, __file__, "--child", reader, "--endpoint", endpoint]
    for name in ("data", "dense", "sparse", "rows", "share", "repeat"):
        command += [f"--{name}", str(getattr(asked, name))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=identity())
    if done.returncode != 0:
        sys.exit(f"{reader} failed, as said above; --readers leaves it out")
    return json.loads(done.stdout.splitlines()[-1])


def measure(asked: argparse.Namespace) -> dict:
    import dpp  # noqa: F401  imports are not measured
    import pyarrow.parquet.encryption  # noqa: F401
    import torch

    torch.set_num_threads(1)
    table = asked.data / f"w4-{asked.dense}-{asked.sparse}-{asked.rows}"
    dense, sparse = chosen(asked.dense, asked.share, 1), chosen(asked.sparse, asked.share, 2)
    rows, n_ids, sum_ids, sum_dense, tensor_bytes = 0, 0, 0, 0.0, 0
    cpu, wall, first = cpu_seconds(), time.perf_counter(), None
    for some in READERS[asked.child](table, asked.endpoint, (dense, sparse), asked.repeat):
        first = first or time.perf_counter() - wall
        rows, n_ids, tensor_bytes = rows + some[0], n_ids + some[1], tensor_bytes + some[4]
        sum_ids, sum_dense = (sum_ids + some[2]) % 2**64, sum_dense + some[3]
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    return {
        "rows": rows,
        "n_ids": n_ids,
        "sum_ids": sum_ids,
        "sum_dense": sum_dense,
        "tensor_bytes": tensor_bytes,
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "first_batch_seconds": first,
        "rows_per_cpu_second": rows / cpu,
    }


def chosen(count: int, share: float, seed: int) -> list[int]:
    return sorted(np.random.default_rng(seed).choice(count, int(count * share), replace=False).tolist())


def by_tcp(table: Path, endpoint: str, columns: Columns, repeat: int) -> Iterator[tuple]:
    with worker(table, []) as address:
        yield from batches(endpoint, columns, repeat, {"service": address})


def by_tls(table: Path, endpoint: str, columns: Columns, repeat: int) -> Iterator[tuple]:
    certificate = str(table / "worker.pem")
    with worker(table, ["--tls-cert", certificate, "--tls-key", str(table / "worker.key")]) as address:
        os.environ["DPP_TLS_CA"] = certificate
        yield from batches(endpoint, columns, repeat, {"service": address})


def on_box(table: Path, endpoint: str, columns: Columns, repeat: int) -> Iterator[tuple]:
    import dpp

    yield from batches(endpoint, columns, repeat, {}, decryption=dpp.KeyFile(table / "keys.json"))


def batches(endpoint: str, columns: Columns, repeat: int, where: dict, **more: object) -> Iterator[tuple]:
    import dpp
    import torch

    dense, sparse = columns
    table = dpp.Table(f"s3://{BUCKET}/w4", storage_options=place(endpoint), **more)
    plan = dpp.Plan(
        dense=[dpp.col(f"D{i}").fill_null(0) for i in dense], sparse={f"S{i}": dpp.col(f"S{i}") for i in sparse}
    )
    loader = dpp.DataLoader(table, plan, batch_size=BATCH_ROWS, **where)
    for batch in chain.from_iterable(loader for _ in range(repeat)):
        ids = batch.sparse.values
        sizes = sum(it.numel() * it.element_size() for it in (batch.dense, ids, batch.sparse.lengths))
        yield batch.num_rows, len(ids), int(ids.sum()) % 2**64, float(batch.dense.sum(dtype=torch.float64)), sizes


@contextmanager
def worker(table: Path, more: list[str]) -> Iterator[str]:
    command = [*dpp_command(), "serve", "worker", "--listen", "127.0.0.1:0", "--keys", str(table / "keys.json"), *more]
    environment = {**os.environ, "DPP_LOG": "warn"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def certify(table: Path) -> None:
    """A certificate of somebody at 127.0.0.1, signed by itself."""
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=dpp", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    files = ["-keyout", str(table / "worker.key"), "-out", str(table / "worker.pem")]
    subprocess.run([*made, *names, *files], check=True, stderr=subprocess.DEVNULL)
    (table / "worker.key").chmod(0o600)


def pyarrow(table: Path, endpoint: str, columns: Columns, repeat: int) -> Iterator[tuple]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.fs
    import pyarrow.parquet as pq
    import pyarrow.parquet.encryption as pe

    sys.path.append(str(ROOT / "dpp-client/python/tests"))
    import aes_gcm

    masters = {name: base64.b64decode(key) for name, key in json.loads((table / "keys.json").read_text())["keys"].items()}

    class Service(pe.KmsClient):
        def unwrap_key(self, wrapped: str, master: str) -> bytes:
            master = master if isinstance(master, str) else master.decode()
            return aes_gcm.open_(masters[master], base64.b64decode(wrapped), master.encode())

    factory = pe.CryptoFactory(lambda _: Service())
    store = pa.fs.S3FileSystem(
        access_key=KEY, secret_key=SECRET, region="us-east-1", endpoint_override=endpoint.removeprefix("http://"), scheme="http"
    )
    files = store.get_file_info(pa.fs.FileSelector(f"{BUCKET}/w4", recursive=True))
    dense, sparse = columns
    leaves = [f"D{i}" for i in dense] + [f"S{i}.list.element" for i in sparse]

    def opened(path: str) -> pq.ParquetFile:
        keys = factory.file_decryption_properties(pe.KmsConnectionConfig())
        return pq.ParquetFile(store.open_input_file(path), decryption_properties=keys, pre_buffer=True)

    paths = sorted(file.path for file in files if file.path.endswith(".parquet"))
    known: dict[str, pq.ParquetFile] = {}
    for path in paths * repeat:
        file = known.get(path) or known.setdefault(path, opened(path))
        for rows in file.iter_batches(BATCH_ROWS, columns=leaves, use_threads=False):
            ids = [rows[f"S{i}"].flatten() for i in sparse]
            sums = (pc.sum(one).as_py() or 0 for one in ids)
            floats = [pc.sum(rows[f"D{i}"].cast(pa.float64())).as_py() or 0.0 for i in dense]
            yield rows.num_rows, sum(map(len, ids)), sum(sums) % 2**64, sum(floats), rows.nbytes


READERS = {"dpp TCP": by_tcp, "dpp TLS": by_tls, "dpp on-box": on_box, "pyarrow": pyarrow}


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def check(lines: dict[str, list[dict]]) -> None:
    """Stops unless every reader did the same work."""
    done = [(reader, line) for reader, rounds in lines.items() for line in rounds]
    expected_by, expected = done[0]
    for reader, line in done:
        same = all(line[field] == expected[field] for field in ("rows", "n_ids", "sum_ids"))
        if not same or abs(line["sum_dense"] - expected["sum_dense"]) > 1e-6 * abs(expected["sum_dense"]):
            sys.exit(f"{reader} and {expected_by} did not do the same work:\n{line}\n{expected}")


def report(lines: dict[str, list[dict]], asked: argparse.Namespace) -> None:
    medians = {
        reader: {field: median(line[field] for line in rounds) for field in rounds[0]} for reader, rounds in lines.items()
    }
    if asked.json:
        for reader, line in medians.items():
            print(json.dumps({"figure": "peers", "workload": "w4", "reader": reader, "rounds": asked.rounds, **line}))
        return
    columns, rows = asked.dense + asked.sparse, next(iter(medians.values()))["rows"]
    print(f"w4, {rows:,} rows, {asked.share:.0%} of {columns:,} columns    rows per CPU-second   CPU-seconds   first batch")
    for reader, line in medians.items():
        print(
            f"  {reader:12}{line['rows_per_cpu_second']:52,.0f}{line['cpu_seconds']:14.2f}{line['first_batch_seconds']:12.3f} s"
        )


if __name__ == "__main__":
    main()
