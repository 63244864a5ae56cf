"""Real `dpp serve` processes on ports that the system chooses; every one is gone at the end."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

COMMAND = Path(sys.executable).parent / "dpp"
START_SECONDS = 60
LOOPBACK = "127.0.0.1:0"


class Processes:
    """Starts workers and fleets, and ends them."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen] = []

    def worker(self, *options: str, listen: str = LOOPBACK, trace: Path | None = None) -> Served:
        """A worker; `trace` is a file for all that it has to say."""
        return self._serve("worker", "--listen", listen, *options, trace=trace)

    def fleet(self, *options: str) -> Served:
        return self._serve("fleet", "--listen", LOOPBACK, *options)

    def command(self, service: str, *options: str) -> Served:
        """A service with these options and no others."""
        return self._serve(service, *options)

    def workers(self, count: int, *options: str) -> list[Served]:
        return [self.worker(*options) for _ in range(count)]

    def end(self) -> None:
        for process in self._running:
            process.kill()
        for process in self._running:
            process.wait(timeout=START_SECONDS)
            assert process.stdout is not None
            process.stdout.close()

    def _serve(self, service: str, *options: str, trace: Path | None = None) -> Served:
        command = [str(COMMAND), "serve", service, *options]
        environment = {**os.environ, "DPP_LOG": "warn" if trace is None else "trace"}
        with nullcontext() if trace is None else trace.open("wb") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        self._running.append(process)
        return Served(process, _address(process, f"dpp-{service}"))


class Served:
    """A process that listens on `address`."""

    def __init__(self, process: subprocess.Popen, address: str) -> None:
        self.process = process
        self.address = address

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=START_SECONDS)


def service(workers: list[Served]) -> str:
    return ",".join(worker.address for worker in workers)


def _address(process: subprocess.Popen, name: str) -> str:
    """The address that the process prints once it listens."""
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        ready = selector.select(max(0.0, deadline - time.monotonic()))
    line = process.stdout.readline().decode() if ready else ""
    found = re.fullmatch(rf"{name} listening on (\S+)\n", line)
    assert found, f"{name} did not say where it listens, but {line!r}; exit status {process.poll()}"
    return found[1]
