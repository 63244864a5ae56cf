"""The demo's last words: one line of numbers a run, and whether all runs were delivered the same tensors."""

COLUMNS = {
    "run": lambda run: run.name,
    "rows": lambda run: f"{run.rows:,}",
    "rows/s": lambda run: f"{run.rows / run.seconds:,.0f}",
    "first batch": lambda run: f"{1000 * run.first_batch_seconds:.0f} ms",
    "stalled": lambda run: f"{run.stall_seconds / run.seconds:.1%}",
    "loss before": lambda run: f"{run.loss_before:.4f}",
    "loss after": lambda run: f"{run.loss_after:.4f}",
    "AUC": lambda run: f"{run.auc:.4f}",
    "checksum": lambda run: run.checksum[:16],
}


def print_runs(runs):
    """A table, one row a run."""
    rows = [list(COLUMNS), *([show(run) for show in COLUMNS.values()] for run in runs)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        first, *others = (cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
        print("  ".join([first, *others]))


def print_verdict(runs):
    """Says whether the checksums are equal, and returns it."""
    checksums = {run.checksum for run in runs}
    equal = len(checksums) == 1
    if equal:
        print(f"\nCHECKSUMS EQUAL: every tensor of every run was the same, byte for byte (sha256 {checksums.pop()})")
    else:
        print("\nCHECKSUMS DIFFER: the runs were not delivered the same tensors. This is a bug in dpp.")
        for run in runs:
            print(f"  {run.checksum}  {run.name}")
    return equal
