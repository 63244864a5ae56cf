"""The Kubernetes manifests fit the API's schemas, strictly, and one another; the dashboard asks for metrics that services have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from processes import Processes
from small_table import SmallTable

import dpp

DEPLOY = Path(__file__).parents[3] / "deploy"
MANIFESTS = DEPLOY / "kustomize"
KUBERNETES = "1.31"
# Kinds that others bring, whose schemas are theirs.
BROUGHT = {"Kustomization": "kustomize", "ScaledObject": "KEDA", "ServiceMonitor": "Prometheus", "PodMonitor": "Prometheus"}


def documents() -> list[tuple[str, dict]]:
    files = sorted(MANIFESTS.glob("*.yaml"))
    return [(file.name, document) for file in files for document in yaml.safe_load_all(file.read_text())]


def one(kind: str, name: str) -> dict:
    [found] = [it for _, it in documents() if it["kind"] == kind and it["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize(("file", "document"), documents(), ids=lambda it: it if isinstance(it, str) else it["kind"])
def test_manifests_fit_the_api(file: str, document: dict) -> None:
    if document["kind"] in BROUGHT:
        pytest.skip(f"NOT TESTED: the schema of {document['kind']} is {BROUGHT[document['kind']]}'s")
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_misspelt_field_would_be_noticed() -> None:
    worker = one("Deployment", "dpp-worker")
    worker["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(worker, KUBERNETES, strict=True)


def test_every_manifest_is_applied() -> None:
    kustomization = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())
    files = {file.name for file in MANIFESTS.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == files


@pytest.mark.parametrize("name", ["dpp-worker", "dpp-fleet"])
def test_pods_are_found_by_name_and_port(name: str) -> None:
    pod = one("Deployment", name)["spec"]["template"]
    labels, [container] = pod["metadata"]["labels"], pod["spec"]["containers"]
    [port] = container["ports"]
    [listen] = [it for it in container["args"] if it.startswith("0.0.0.0:")]
    assert listen == f"0.0.0.0:{port['containerPort']}"
    policy = one("NetworkPolicy", name)["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert {it["port"] for rule in policy["ingress"] for it in rule["ports"]} == {port["containerPort"]}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"]


def test_keda_scales_the_workers_by_the_fleet() -> None:
    scaled = one("ScaledObject", "dpp-worker")["spec"]
    assert one("Deployment", scaled["scaleTargetRef"]["name"])
    [trigger] = scaled["triggers"]
    service = one("Service", "dpp-fleet")
    namespace = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["namespace"]
    port = service["spec"]["ports"][0]["port"]
    assert trigger["metadata"]["scalerAddress"] == f"{service['metadata']['name']}.{namespace}:{port}"
    assert scaled["fallback"]["behavior"] == "currentReplicasIfHigher"
    # what the fleet may require is what KEDA may do
    arguments = one("Deployment", "dpp-fleet")["spec"]["template"]["spec"]["containers"][0]["args"]
    bounds = arguments[arguments.index("--workers") + 1]
    assert bounds == f"{scaled['minReplicaCount']}..{scaled['maxReplicaCount']}"


@pytest.fixture
def scrapes(processes: Processes, small: SmallTable) -> list[str]:
    """What Prometheus reads of a fleet and a worker that has worked."""
    fleet = processes.fleet("--heartbeat-seconds", "0.1")
    worker = processes.worker("--fleet", f"fleet://{fleet.address}")
    loader = dpp.DataLoader(small.url, dpp.Plan(dense=dpp.cols("I*")), batch_size=16, service=worker.address, output="numpy")
    assert sum(1 for _ in loader) > 1
    urls = [f"http://{served.address}/metrics" for served in (fleet, worker)]
    return [urllib.request.urlopen(url, timeout=20).read().decode() for url in urls]


def test_metrics_are_as_prometheus_wants_them(scrapes: list[str]) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("NOT TESTED: promtool is not installed (Debian: apt install prometheus)")
    for text in scrapes:
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        assert checked.returncode == 0, f"{checked.stderr}\n{text}"


def test_the_dashboard_asks_for_metrics_that_are_there(scrapes: list[str]) -> None:
    there = {name for text in scrapes for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)}
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in re.findall(r"\bdpp_\w+", query)}
    # a fleet that has just begun does not know yet what is required, and this storage needs no second try
    assert asked - there <= {"dpp_fleet_required_workers", "dpp_fleet_verdict", "dpp_worker_storage_retries_total"}
    assert len(asked) >= 10


def test_a_worker_says_over_http_how_it_is(processes: Processes) -> None:
    worker = processes.worker()
    for probe in ("healthz", "readyz"):
        with urllib.request.urlopen(f"http://{worker.address}/{probe}", timeout=20) as answer:
            assert (answer.status, answer.read()) == (200, b"ok\n")
