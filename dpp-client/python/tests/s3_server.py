"""A real S3 server over a folder, on loopback; gone at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

START_SECONDS = 30
KEY, SECRET = "test-key", "test-secret"


class S3Server:
    """Buckets are folders of `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = _free_port()
        command = [_program(), "--host", "127.0.0.1", "--port", str(self.port), "--access-key", KEY, "--secret-key", SECRET, str(root)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_until_open(self.port, self._process)

    @property
    def place(self) -> dict[str, str]:
        """Storage options without secrets: where it is."""
        return {"endpoint": f"http://127.0.0.1:{self.port}", "region": "us-east-1", "allow_http": "true"}

    @property
    def options(self) -> dict[str, str]:
        return {**self.place, "access_key_id": KEY, "secret_access_key": SECRET}

    @property
    def environment(self) -> dict[str, str]:
        """For processes that act under an identity of their own."""
        return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}

    def end(self) -> None:
        self._process.kill()
        self._process.wait(timeout=START_SECONDS)


def _program() -> str:
    """`make test` installs it into build/tools."""
    installed = Path(__file__).parents[3] / "build" / "tools" / "bin" / "s3s-fs"
    found = shutil.which("s3s-fs", path=os.pathsep.join([str(installed.parent), os.environ.get("PATH", "")]))
    assert found, f"the S3 server is missing: run `make {installed.relative_to(Path(__file__).parents[3])}`"
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_open(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the S3 server ended with {process.returncode}"
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError(f"the S3 server did not open port {port} in {START_SECONDS} s")
