"""Workers as actors of a Ray cluster of two nodes: they serve the same batches, and one that is killed is replaced."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import ray
from processes import COMMAND, Processes
from ray.cluster_utils import Cluster
from small_table import SmallTable

import dpp
import dpp.ray

PATIENCE_SECONDS = 120
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Two nodes of one CPU each, so that two workers are on both."""
    small = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=small)
    try:
        cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def known(fleet: str) -> set[str]:
    """Ids of the workers that the fleet knows."""
    shown = subprocess.run([COMMAND, "fleet", "top", "--json", "--fleet", fleet], capture_output=True, check=True)
    return {worker["worker_id"] for worker in json.loads(shown.stdout)["workers"]}


def wait_for(what: str, fleet: str, holds: Callable[[set[str]], bool]) -> set[str]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds(workers := known(fleet)):
        assert time.monotonic() < deadline, f"no {what}: {workers}"
        time.sleep(0.1)
    return workers


def batches(table: str, service: str | None) -> list[bytes]:
    plan = dpp.Plan(dense=dpp.cols("I*").fill_null(0), labels=dpp.col("label"))
    loader = dpp.DataLoader(table, plan, batch_size=16, service=service, output="numpy")
    return [np.asarray(batch.dense).tobytes() for batch in loader]


def test_workers_on_two_nodes_serve_and_are_replaced(small: SmallTable, cluster: Cluster, processes: Processes) -> None:
    expected = batches(small.url, None)
    fleet = f"fleet://{processes.fleet('--heartbeat-seconds', '0.5').address}"
    # the nodes' address is that of a real interface
    workers = dpp.ray.start_workers(2, fleet=fleet, insecure=True)
    before = wait_for("two workers", fleet, lambda ids: len(ids) == 2)
    assert batches(small.url, fleet) == expected
    workers.check()
    ray.kill(workers.actors[0], no_restart=False)
    after = wait_for("another one", fleet, lambda ids: len(ids) == 2 and ids != before)
    assert len(after - before) == 1
    assert batches(small.url, fleet) == expected
    subprocess.run([COMMAND, "fleet", "drain", "--fleet", fleet, *after], capture_output=True, check=True)
    wait_for("end: those that are asked to leave do not come back", fleet, lambda ids: not ids)
    workers.stop()


def test_what_can_not_be_meant_is_said(cluster: Cluster) -> None:
    with pytest.raises(dpp.InvalidRequest, match="fleet://host:port"):
        dpp.ray.start_workers(1, fleet="head:7400")
    with pytest.raises(dpp.InvalidRequest, match="n is a whole number"):
        dpp.ray.start_workers(0, fleet="fleet://head:7400")
    with pytest.raises(dpp.InvalidRequest, match="cpus"):
        dpp.ray.start_workers(1, fleet="fleet://head:7400", cpus=0)
