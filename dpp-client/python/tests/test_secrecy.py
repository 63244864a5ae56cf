"""No key leaves the process that holds it: not in logs at their most talkative, not on the wire, not in errors."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import threading
from base64 import b64encode
from pathlib import Path

import pytest

import dpp
import encrypted_table
import key_services
from encrypted_table import MASTERS, PLAN
from key_services import TOKEN
from processes import COMMAND


class Recording:
    """A relay in front of a worker, which keeps every byte that passes, either way."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._to = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.passed = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def end(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._to) as worker:
            other = {client: worker, worker: client}
            while True:
                for one in select.select([client, worker], [], [])[0]:
                    received = one.recv(1 << 16)
                    if not received:
                        return
                    self.passed += received
                    other[one].sendall(received)


class Noting(encrypted_table.Service):
    """Notes the keys that it wraps: pyarrow's data keys, or the keys that wrap them."""

    def __init__(self) -> None:
        super().__init__()
        self.wrapped: list[bytes] = []

    def wrap_key(self, key: bytes, master: str) -> str:
        self.wrapped.append(bytes(key))
        return super().wrap_key(key, master)


def forms(key: bytes) -> list[bytes]:
    """What a key looks like when it is shown."""
    numbers = ", ".join(str(byte) for byte in key)
    return [key, key.hex().encode(), key.hex().upper().encode(), b64encode(key).rstrip(b"="), numbers.encode()]


@pytest.fixture
def secrets(tmp_path) -> list[bytes]:
    """Every key of a table whose files are wrapped once and twice."""
    (tmp_path / "table").mkdir()
    service = Noting()
    for double in (False, True):
        encrypted_table.write(tmp_path / "table" / f"{double}.parquet", service, double_wrapping=double)
    assert len(service.wrapped) == 5 + 4
    return [*MASTERS.values(), *service.wrapped, TOKEN.encode()]


def check(what: str, shown: bytes, secrets: list[bytes]) -> None:
    for secret in secrets:
        for form in forms(secret):
            assert form not in shown, f"a key is in {what}"


def test_logs_wire_and_errors_hold_no_key(secrets, tmp_path, processes, monkeypatch):
    vault = key_services.vault(MASTERS)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    plan = tmp_path / "plan.json"
    plan.write_text(PLAN.to_json())
    files = encrypted_table.key_file(tmp_path)
    table = str(tmp_path / "table")
    for keys in (str(files), "env:RING"):
        environment = {**os.environ, "DPP_LOG": "trace", "RING": files.read_text()}
        command = [str(COMMAND), "run", "--table", table, "--plan", str(plan), "--keys", keys]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=60)
        assert done.returncode == 0 and len(done.stderr) > 100, done.stderr
        check("the log on-box", done.stdout + done.stderr, secrets)

    trace = tmp_path / "trace"
    worker = processes.worker("--keys", str(files), trace=trace)
    relay = Recording(worker.address)
    rows = sum(batch.num_rows for batch in dpp.DataLoader(table, PLAN, batch_size=64, output="numpy", service=relay.address))
    assert rows == 2 * encrypted_table.ROWS and len(relay.passed) > 1000
    relay.end()
    check("what passed between trainer and worker", bytes(relay.passed), secrets)
    check("the worker's log", trace.read_bytes(), secrets)

    # a service that refuses, and one that is down: the most that is ever said about keys
    asking = tmp_path / "asking"
    worker = processes.worker("--keys", f"vault:{vault.url}/transit", trace=asking)
    for fault in ((403, {"errors": [f"{TOKEN} may not"]}), (503, {"errors": ["sealed"]})):
        vault.fault = fault
        with pytest.raises(dpp.Error) as raised:
            dpp.DataLoader(table, PLAN, batch_size=64, output="numpy", service=worker.address, worker_timeout_seconds=1)
        check("an error", repr(raised.value).encode(), secrets)
    vault.end()
    said = asking.read_bytes()
    assert b"asking the key service again" in said and b"hyper" in said
    check("the log of a worker with a key service", said, secrets)


def test_the_check_finds_keys():
    key = bytes(range(100, 116))
    for shown in (b"x" + key, str(list(key)).encode(), key.hex().encode(), b64encode(key)):
        with pytest.raises(AssertionError, match="a key is in it"):
            check("it", shown, [key])
