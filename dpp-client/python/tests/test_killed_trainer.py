"""A trainer that is killed at random, again and again, consumes every row once: as its checkpoints tell."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

import dpp
from processes import service

KILLS = 50

# Consumes a batch for every line that it reads, and now and then saves what a checkpoint holds: the data's state, and
# (in place of a model) every row that went into it.
TRAINER = """
import json, os, sys
import dpp

url, folder, place = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
plan = dpp.Plan(dense=dpp.cols("I*"), extras=dpp.row_id())
shuffle = dpp.Shuffle(splits="epoch", rows=16)
loader = dpp.DataLoader(url, plan, batch_size=1, shuffle=shuffle, seed=11, output="numpy", **place)
checkpoint = {"state": loader.state_dict(), "rows": []}
if os.path.exists(f"{folder}/checkpoint"):
    checkpoint = json.load(open(f"{folder}/checkpoint"))
    loader.load_state_dict(checkpoint["state"])
rows = checkpoint["rows"]
print("ready", flush=True)
for step, batch in enumerate(loader):
    if not sys.stdin.readline():
        break
    rows += batch.extras["row_id"].tolist()
    print("step", flush=True)
    if step % 3 == 2 or loader.state_dict()["epoch"] == 1:
        with open(f"{folder}/saving", "w") as file:
            json.dump({"state": loader.state_dict(), "rows": rows}, file)
        os.replace(f"{folder}/saving", f"{folder}/checkpoint")
print("done", flush=True)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_trainer_killed_at_random_consumes_every_row_once(small, processes, tmp_path, workers):
    place = {"service": service(processes.workers(workers))} if workers else {"threads": 1}
    chance = random.Random(5)
    for _ in range(KILLS):
        with Trainer(small.url, tmp_path, place) as trainer:
            steps = chance.randint(0, 9)
            trainer.allow(steps)
            for _ in range(chance.randint(0, steps)):  # killed while it takes, saves or waits
                assert trainer.process.stdout.readline() == "step\n"
    assert 0 < len(json.loads((tmp_path / "checkpoint").read_text())["rows"]) < small.num_rows
    with Trainer(small.url, tmp_path, place) as trainer:
        trainer.allow(small.num_rows)
        assert trainer.process.stdout.read().endswith("step\ndone\n")
    checkpoint = json.loads((tmp_path / "checkpoint").read_text())
    assert checkpoint["state"]["epoch"] == 1
    assert checkpoint["rows"] == uninterrupted(small.url)
    assert sorted(checkpoint["rows"]) == list(range(small.num_rows))


def uninterrupted(url: str) -> list[int]:
    plan = dpp.Plan(extras=dpp.row_id())
    shuffle = dpp.Shuffle(splits="epoch", rows=16)
    loader = dpp.DataLoader(url, plan, batch_size=1, shuffle=shuffle, seed=11, output="numpy")
    return [row for batch in loader for row in batch.extras["row_id"].tolist()]


class Trainer:
    """One life of the trainer; it ends by SIGKILL."""

    def __init__(self, url: str, folder: Path, place: dict) -> None:
        command = [sys.executable, "-c", TRAINER, url, str(folder), json.dumps(place)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Trainer:
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *raised: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)

    def allow(self, steps: int) -> None:
        """Let it take so many batches, without waiting until it has."""
        self.process.stdin.write("go\n" * steps)
        self.process.stdin.flush()
