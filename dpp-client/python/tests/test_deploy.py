"""The Kubernetes manifests fit the API's schemas, strictly, and one another; the dashboard asks for metrics that services have."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import foreign_kinds
import jsonschema
import kubernetes_validate
import pytest
import yaml
from processes import COMMAND, Processes, Served
from small_table import SmallTable

import dpp

DEPLOY = Path(__file__).parents[3] / "deploy"
MANIFESTS, SECURE = DEPLOY / "kustomize", DEPLOY / "secure"
KUBERNETES = "1.31"


def documents() -> list[tuple[str, dict]]:
    files = sorted(MANIFESTS.glob("*.yaml"))
    return [(file.name, document) for file in files for document in yaml.safe_load_all(file.read_text())]


def one(kind: str, name: str) -> dict:
    [found] = [it for _, it in documents() if it["kind"] == kind and it["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize(("file", "document"), documents(), ids=lambda it: it if isinstance(it, str) else it["kind"])
def test_manifests_fit_the_api(file: str, document: dict) -> None:
    fits(document)


def fits(document: dict) -> None:
    if document["kind"] in foreign_kinds.SCHEMAS:
        foreign_kinds.validate(document)
    else:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize(("kind", "name"), [("ScaledObject", "dpp-worker"), ("ServiceMonitor", "dpp-fleet"), ("PodMonitor", "dpp-worker")])
def test_secured_kinds_of_others_fit_as_well(kind: str, name: str) -> None:
    fits(secured(kind, name))


@pytest.mark.parametrize("file", ["trigger.yaml", "kustomization.yaml"])
def test_what_only_secured_services_have_fits(file: str) -> None:
    fits(yaml.safe_load((SECURE / file).read_text()))


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        ("ScaledObject", "dpp-worker", ["fallback"]),
        ("ScaledObject", "dpp-worker", ["advanced", "horizontalPodAutoscalerConfig", "behavior", "scaleUp"]),
        ("ServiceMonitor", "dpp-fleet", ["endpoints", 0, "tlsConfig"]),
        ("PodMonitor", "dpp-worker", ["podMetricsEndpoints", 0]),
    ],
)
def test_a_misspelt_field_of_others_would_be_noticed(kind: str, name: str, path: list) -> None:
    document = secured(kind, name)
    at = document["spec"]
    for key in path:
        at = at[key]
    at["mispelt"] = 1
    with pytest.raises(jsonschema.ValidationError, match="mispelt"):
        fits(document)


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


def merged(base: Any, patch: Any) -> Any:
    """As Kubernetes merges a patch into what it knows: mappings by key, lists of named things by name, all else replaced."""
    if isinstance(base, dict) and isinstance(patch, dict):
        both = base | {key: merged(base.get(key), value) for key, value in patch.items()}
        return {key: value for key, value in both.items() if value is not None}
    if isinstance(base, list) and isinstance(patch, list) and all(isinstance(it, dict) and "name" in it for it in base + patch):
        known = {it["name"]: it for it in base}
        return list((known | {it["name"]: merged(known.get(it["name"]), it) for it in patch}).values())
    if isinstance(patch, dict):
        return {key: value for key, value in patch.items() if value is not None}
    return patch


def secured(kind: str, name: str) -> dict:
    """What `deploy/secure` makes of a manifest."""
    patches = yaml.safe_load((SECURE / "kustomization.yaml").read_text())["patches"]
    documents = [yaml.safe_load((SECURE / patch["path"]).read_text()) for patch in patches]
    [patch] = [it for it in documents if it["kind"] == kind and it["metadata"]["name"] == name]
    return merged(one(kind, name), patch)


@pytest.mark.parametrize("name", ["dpp-worker", "dpp-fleet"])
def test_secured_pods_fit_the_api_and_mount_what_they_name(name: str) -> None:
    deployment = secured("Deployment", name)
    kubernetes_validate.validate(deployment, KUBERNETES, strict=True)
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert "--insecure" not in container["args"] and container["securityContext"]["readOnlyRootFilesystem"]
    kustomization = yaml.safe_load((SECURE / "kustomization.yaml").read_text())
    made = {it["name"]: {Path(file).name for file in it["files"]} for it in kustomization["secretGenerator"]}
    secrets = {it["name"]: made[it["secret"]["secretName"]] for it in pod["volumes"]}
    mounted = {f"{it['mountPath']}/{file}" for it in container["volumeMounts"] for file in secrets[it["name"]]}
    named = {it["value"] for it in container["env"] if str(it.get("value", "")).startswith("/")}
    assert named and named <= mounted
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS" and "grpc" not in container[probe]


def test_secured_services_are_asked_by_tls() -> None:
    [trigger] = secured("ScaledObject", "dpp-worker")["spec"]["triggers"]
    asks = yaml.safe_load((SECURE / "trigger.yaml").read_text())
    assert trigger["authenticationRef"]["name"] == asks["metadata"]["name"]
    for kind, name, key in (("ServiceMonitor", "dpp-fleet", "endpoints"), ("PodMonitor", "dpp-worker", "podMetricsEndpoints")):
        [endpoint] = secured(kind, name)["spec"][key]
        assert endpoint["scheme"] == "https" and endpoint["tlsConfig"]["serverName"] == "dpp"


def test_secured_services_serve_whom_they_know(tmp_path: Path, small: SmallTable, processes: Processes, monkeypatch) -> None:
    """The very arguments and environment of the manifests, with the Secrets that the script makes, beyond loopback."""
    if shutil.which("openssl") is None:
        pytest.skip("NOT TESTED: openssl is not installed")
    path = os.pathsep.join([str(COMMAND.parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    subprocess.run([SECURE / "make-secrets.sh", tmp_path], check=True, capture_output=True, env=environment)
    claims = ["--name", "test", "--role", "trainer", "--table", small.url, "--column", "*"]
    signed = subprocess.run([COMMAND, "fleet", "token", "--key", tmp_path / "token-key", *claims], check=True, capture_output=True)

    def serve(name: str, replaced: dict[str, str]) -> Served:
        container = secured("Deployment", name)["spec"]["template"]["spec"]["containers"][0]
        for it in container["env"]:
            if "value" in it:
                file = Path(it["value"])
                monkeypatch.setenv(it["name"], str(tmp_path / file.name) if file.is_absolute() else it["value"])
        arguments = [replaced.get(it, it) for it in container["args"]]
        served = processes.command(name.removeprefix("dpp-"), *arguments)
        for it in container["env"]:
            monkeypatch.delenv(it["name"], raising=False)
        return served

    def local(served: Served) -> str:
        return served.address.replace("0.0.0.0", "127.0.0.1")

    fleet = serve("dpp-fleet", {"0.0.0.0:7400": "0.0.0.0:0"})
    # the pod's address is its own; here the fleet tells which port the worker got
    listen = f"127.0.0.1:{free_port()}"
    replaced = {"0.0.0.0:7401": listen.replace("127.0.0.1", "0.0.0.0"), "$(POD_IP):7401": listen}
    serve("dpp-worker", replaced | {"fleet://dpp-fleet:7400": f"fleet://{local(fleet)}", "3GiB": "256MiB", "4": "1"})
    plan = dpp.Plan(dense=dpp.cols("I*"))
    tls = {"ca": tmp_path / "ca.crt", "name": "dpp"}

    def rows(**shown: Any) -> int:
        service = dpp.Service(f"fleet://{local(fleet)}", **shown)
        return sum(it.num_rows for it in dpp.DataLoader(small.url, plan, batch_size=16, service=service, output="numpy", worker_timeout_seconds=20))

    assert rows(token=signed.stdout.decode().strip(), tls=tls) == dpp.Table(small.url).num_rows
    with pytest.raises(dpp.PermissionDenied, match="token"):
        rows(tls=tls)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
