"""The commands that the wheel installs: `dpp`, `dpp-worker`, `dpp-fleet`."""

from __future__ import annotations

import signal
import sys

from dpp import _dpp


def dpp() -> None:
    """Run `dpp` with this process's arguments, and exit with its status."""
    _run(["dpp", *sys.argv[1:]])


def dpp_worker() -> None:
    """Run `dpp serve worker` with this process's arguments, and exit with its status."""
    _run(["dpp", "serve", "worker", *sys.argv[1:]])


def dpp_fleet() -> None:
    """Run `dpp serve fleet` with this process's arguments, and exit with its status."""
    _run(["dpp", "serve", "fleet", *sys.argv[1:]])


def _run(arguments: list[str]) -> None:
    # Python's handler only raises a flag, which nobody would look at: Ctrl-C works as in a command written in Rust.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_dpp.run_command(arguments))
