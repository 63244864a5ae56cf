#!/usr/bin/env python3
"""All figures and the peers in one go: lines of JSON and plots under build/bench, and a table against what is wanted.

    make bench
    .venv/bin/python benches/report.py --only end-to-end ledger     # some of it
    .venv/bin/python benches/report.py --only                       # plots and table of the lines that are there

Rounds are few, so that it ends within a quarter of an hour on two cores; a figure's own command, with its usual rounds, is what to
quote. A figure that fails is said at the end and does not hold up the others.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bars

HERE = Path(__file__).parent
PEERS = HERE / "peers"

FIGURES = {
    "end-to-end": "end-to-end --epochs 3 --rounds 3 --json",
    "scale": "scale --rounds 1 --json",
    "flatmap": "flatmap --rounds 5",
    "flatten": "flatten --rounds 1 --shares 10,37",
    "ledger": "ledger --rounds 3 --json",
    "plan": "plan",
    "rebatch": "rebatch --batch-sizes 2048,65536 --memory 512 --whole 2 --dense 30 --sparse 15 --rounds 1",
    "reorder": "reorder --json",
    "resume": "resume",
    "sharing": "sharing",
    "transport": "transport --gigabytes 1 --rounds 3 --json",
    "wide": "wide --columns 1000,10000 --rounds 5",
}
"""Of `scaling` nothing: it takes as long as all of these."""

COMPARED = {"w1": ["dpp", "dpp remote", "Polars"], "w2": ["dpp", "dpp remote", "Polars"], "w3": ["dpp", "dpp remote", "pyarrow"]}
"""Of the peers the strongest."""

Lines = dict[str, list[dict]]
"""By the figure's name; of the peers, `peers`."""


def main() -> None:
    asked = arguments()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(asked.packages.resolve()), os.environ.get("PYTHONPATH")]))
    asked.to.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in asked.only:
        begun = time.monotonic()
        if measure(name, asked):
            print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
        else:
            failed.append(name)
    lines = {path.stem: read(path) for path in sorted(asked.to.glob("*.jsonl"))}
    for plot, (title, unit, groups) in plots(lines).items():
        bars.write(asked.to / f"{plot}.svg", title, unit, groups)
    table = gates(lines)
    (asked.to / "gates.md").write_text(table)
    print(f"\n{table}\nlines and plots: {asked.to}")
    if failed:
        sys.exit(f"failed, as said above: {', '.join(failed)}")


def arguments() -> argparse.Namespace:
    everything = [*FIGURES, "peers"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=everything, default=everything, metavar="FIGURE", help=", ".join(everything))
    parser.add_argument("--figures", type=Path, default=Path("target/release/figures"), help="the program")
    parser.add_argument("--data", type=Path, default=Path("build/peers"), help="folder of the peers' tables, written at first")
    parser.add_argument("--packages", type=Path, default=Path("build/peers-packages"), help="folder with polars")
    parser.add_argument("--server", type=Path, default=Path("build/tools/bin/s3s-fs"), help="the S3 server")
    parser.add_argument("--to", type=Path, default=Path("build/bench"))
    return parser.parse_args()


def measure(name: str, asked: argparse.Namespace) -> bool:
    """Writes the figure's lines, if it ends well."""
    lines = []
    for command in commands(name, asked):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            print(f"{name}: {' '.join(command)}: exit status {done.returncode}", file=sys.stderr)
            return False
        lines += [line for line in done.stdout.splitlines() if line.startswith('{"figure"')]
    (asked.to / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))
    return True


def commands(name: str, asked: argparse.Namespace) -> list[list[str]]:
    data = ["--data", str(asked.data)]
    if name == "peers":
        compare = [sys.executable, str(PEERS / "compare.py")]
        usual = [*data, "--repeat", "5", "--rounds", "2", "--json", "--readers"]
        return [[*compare, workload, *usual, *readers] for workload, readers in COMPARED.items()]
    server, python = str(asked.server), ["--python", sys.executable]
    more = {
        "end-to-end": [*data, *python],
        "flatten": ["--server", server, *python],
        "ledger": ["--server", server],
        "reorder": ["--s3", server],
        "sharing": ["--s3", server],
        "resume": clicks(asked) if name == "resume" else [],
    }
    return [[str(asked.figures), *FIGURES[name].split(), *more.get(name, [])]]


def clicks(asked: argparse.Namespace) -> list[str]:
    """The table and plan of w1."""
    command = [sys.executable, str(PEERS / "with_dpp.py"), "w1", "--data", str(asked.data)]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    plan = asked.to / "w1-plan.json"
    plan.write_text(json.dumps(told["plan"]))
    return ["--table", told["table"], "--plan", str(plan)]


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# What the lines say, as plots.


def plots(lines: Lines) -> dict[str, tuple[str, str, bars.Groups]]:
    """By the file's name: title, unit, groups. Nothing of figures that were not measured."""
    made: dict[str, tuple[str, str, bars.Groups]] = {}
    peers: bars.Groups = {}
    for line in lines.get("peers", []):
        peers.setdefault(line["workload"], {})[line["reader"]] = line["rows_per_cpu_second"]
    if peers:
        made["peers"] = ("Table to torch tensors, all processes", "rows per CPU-second", peers)
    if ends := lines.get("end-to-end"):
        rates = {end["workload"]: {way["way"]: way["rows_per_cpu_second"] for way in end["ways"]} for end in ends}
        for end in ends:
            rates[end["workload"]]["bare decode by the crate"] = end["floor_rows_per_cpu_second"]
        made["end-to-end"] = ("The same by every way", "rows per CPU-second", rates)
        stages = {
            f"{end['workload']}, {way['way']}": {stage: 100 * way[f"{stage}_share"] for stage in ("decode", "transform", "rest")}
            for end in ends
            for way in end["ways"]
        }
        made["stages"] = ("Where time goes", "percent", stages)
    sizes: bars.Groups = {}
    for size in (size for line in lines.get("scale", []) for size in line["sizes"]):
        sizes.setdefault(size["grows"], {})[f"{size['to']:,}"] = size["rows_per_cpu_second"]
    if sizes:
        made["scale"] = ("As one thing grows", "rows per CPU-second", sizes)
    for line in lines.get("ledger", []):
        steps = {step["step"]: step["rows_per_cpu_second"] for step in line["steps"]}
        made["ledger"] = ("One idea added to those before", "rows per CPU-second", {f"in all {line['total']:.2f} times": steps})
    for line in lines.get("transport", []):
        sides = {
            side: {way["way"]: way[f"{side}_seconds_per_gigabyte"] for way in line["ways"]} for side in ("server", "client")
        }
        made["transport"] = ("Moving frames", "CPU-seconds a GB", sides)
    return made


# What is wanted, and what was measured.


@dataclass(frozen=True)
class Gate:
    what: str
    gate: float
    goal: float
    unit: str
    measured: Callable[[Lines], float]
    less: bool = False
    """Whether less is better."""

    def row(self, lines: Lines) -> str:
        try:
            value = self.measured(lines)
        except (KeyError, IndexError):
            return f"| {self.what} | {self.gate:g} | {self.goal:g} | not measured | |\n"
        reached = (lambda bound: value <= bound) if self.less else (lambda bound: value >= bound)
        verdict = "goal" if reached(self.goal) else "gate" if reached(self.gate) else "**below**"
        return f"| {self.what} | {self.gate:g} | {self.goal:g} | {bars.number(value)}{self.unit} | {verdict} |\n"


def beside(workload: str, peer: str) -> Callable[[Lines], float]:
    def ratio(lines: Lines) -> float:
        rates = {line["reader"]: line["rows_per_cpu_second"] for line in lines["peers"] if line["workload"] == workload}
        return rates["dpp"] / rates[peer]

    return ratio


def end(workload: str, of: Callable[[dict], float]) -> Callable[[Lines], float]:
    return lambda lines: of({line["workload"]: line for line in lines["end-to-end"]}[workload])


def way(name: str, number: str) -> Callable[[dict], float]:
    return lambda line: {way["way"]: way[number] for way in line["ways"]}[name]


def spread(grows: str, number: str) -> Callable[[Lines], float]:
    """The largest over the smallest."""

    def ratio(lines: Lines) -> float:
        values = [size[number] for size in lines["scale"][0]["sizes"] if size["grows"] == grows]
        return max(values) / min(values)

    return ratio


def wanted() -> list[Gate]:
    rows = [
        Gate("w1 on-box, of Polars' rows per CPU-second", 1.5, 3, " x", beside("w1", "Polars")),
        Gate("w2 on-box, of Polars'", 2, 5, " x", beside("w2", "Polars")),
        Gate("w3 on-box, of pyarrow's and numpy's", 2, 4, " x", beside("w3", "pyarrow")),
    ]
    for name in ("w1", "w2"):
        adds = "unix_adds_seconds_per_gigabyte"
        trainer, peak = "trainer_cpu_seconds_per_gigabyte", "trainer_peak_anonymous_mb"
        first = "first_batch_seconds"
        rows += [
            Gate(f"{name}: a worker by Unix socket adds to a GB", 0.5, 0.3, " CPU-s", end(name, lambda it: it[adds]), less=True),
            Gate(f"{name}: trainer's side of a GB by Unix socket", 0.35, 0.2, " CPU-s", end(name, way("unix socket", trainer)), less=True),
            Gate(f"{name}: on-box to the first batch", 0.1, 0.04, " s", end(name, way("on-box", first)), less=True),
            Gate(f"{name}: through a running worker to it", 0.15, 0.06, " s", end(name, way("unix socket", first)), less=True),
            Gate(f"{name}: peak anonymous memory on-box", 300, 150, " MB", end(name, way("on-box", peak)), less=True),
            Gate(f"{name}: rows/s with all cores, of one's", 1.8, 1.95, " x", end(name, lambda it: it["cores_gain"])),
        ]
    return rows + [
        Gate("columns over maps in memory, percent more rows", 17, 17, " %", lambda lines: lines["flatmap"][0]["gain_percent"]),
        Gate("all of the ledger", 2.94, 2.94, " x", lambda lines: lines["ledger"][0]["total"]),
        Gate("rows per CPU-second over numbers of rows, most over least", 1.5, 1.1, " x", spread("rows", "rows_per_cpu_second"), less=True),
        Gate("peak memory over passes, most over least", 1.5, 1.1, " x", spread("passes", "peak_anonymous_mb"), less=True),
        Gate("rows per CPU-second over stored features", 1.5, 1.1, " x", spread("stored features", "rows_per_cpu_second"), less=True),
    ]


def gates(lines: Lines) -> str:
    head = "| what | gate | goal | measured | |\n|---|---|---|---|---|\n"
    return head + "".join(gate.row(lines) for gate in wanted())


if __name__ == "__main__":
    main()
