"""A fleet and its workers as processes on loopback, for as long as a `with` block lasts.

Each says on standard output where it listens. None outlives the block, nor this process.
"""
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path


class Services:
    """One `dpp-fleet` and some `dpp-worker` processes that it knows."""

    def __init__(self, num_workers):
        self.num_workers = num_workers
        self.processes = []
        self.workers = []
        self.url = None

    def __enter__(self):
        try:
            self.url = f"fleet://{self.start('dpp-fleet', '--heartbeat-seconds', '0.2')[1]}"
            for _ in range(self.num_workers):
                self.workers.append(self.start("dpp-worker", "--fleet", self.url)[0])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
            process.stdout.close()

    def start(self, service, *arguments):
        """Starts a service on a port of the system's choice; returns the process and its address."""
        process = subprocess.Popen(
            [Path(sys.executable).parent / service, "--listen", "127.0.0.1:0", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent,
            env={"DPP_LOG": "error", **os.environ},
        )
        self.processes.append(process)
        line = process.stdout.readline()
        if not line.startswith(f"{service} listening on "):
            raise RuntimeError(f"{service} did not start: {line.strip() or 'it said nothing'}")
        return process, line.split()[-1]

    def kill_one(self):
        """Ends the first worker as a lost machine would: at once, in the middle of whatever it does."""
        self.workers[0].kill()


def die_with_parent():
    """Runs in a new child: the kernel ends it when this process is gone, even by SIGKILL (Linux only)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1
