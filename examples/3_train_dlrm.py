"""Trains a small DLRM twice on one table, on-box and through workers of which one is killed, and compares.

Rows come from --table or $DPP_DATA (a path or URL), or from a synthetic table that is written first.
Numbers go to standard output, progress to standard error; the exit status is 1 if the runs' tensors differ.
"""
import argparse
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import dpp

from dlrm.job import make_job
from dlrm.report import print_runs, print_verdict
from dlrm.services import Services
from dlrm.training import train

SYNTHETIC_TABLE = Path(__file__).parent.parent / "build" / "demo-table"


def main():
    arguments = parse_arguments()
    job = make_job(dpp.Table(arguments.table or synthesise()))
    print(f"{job.earlier.num_rows:,} rows to learn from, {job.later.num_rows:,} from {job.first_later_day} on to predict")

    runs = [train("on-box", job)]
    with Services(num_workers=2) as services:
        runs.append(train("2 workers, 1 killed", job, services.url, in_mid_epoch=services.kill_one))

    print_runs(runs)
    return 0 if print_verdict(runs) else 1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default=os.environ.get("DPP_DATA"), help="path or URL of a table with partitions ds=YYYY-MM-DD")
    return parser.parse_args()


def synthesise():
    """Writes forty days of synthetic clicks; returns where."""
    print(f"no table given (DPP_DATA is not set): writing a synthetic one to {SYNTHETIC_TABLE}")
    command = [Path(sys.executable).parent / "dpp", "table", "synth", SYNTHETIC_TABLE,
               "--rows", "400000", "--days", "40", "--overwrite"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return str(SYNTHETIC_TABLE)


def stop(*_):
    """SIGTERM ends the demo as Ctrl-C does, so that its services end with it."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    warnings.filterwarnings("ignore", message="Sparse invariant checks")  # torch's own sparse Adagrad causes it
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
    except dpp.Error as error:
        sys.exit(f"3_train_dlrm: error: {error}")
