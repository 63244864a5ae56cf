"""Kinds of Kubernetes objects that others bring, as far as manifests of ours use them: JSON schemas that allow no other fields.

Written by hand after the fields that their own definitions name: KEDA's ScaledObject and TriggerAuthentication (keda.sh/v1alpha1, whose
reference describes `fallback.behavior`), the Prometheus operator's ServiceMonitor and PodMonitor (monitoring.coreos.com/v1) and kustomize's
Kustomization (v1beta1). Not their whole schemas: a field that is none of these is a mistake here until it was looked up there.
"""

from __future__ import annotations

from typing import Any

import jsonschema

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer", "minimum": 0}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
DURATION: Schema = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}


def fields(*required: str, **known: Schema) -> Schema:
    return {"type": "object", "properties": known, "required": list(required), "additionalProperties": False}


def some(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def kind(version: str, **known: Schema) -> Schema:
    metadata = fields("name", name=TEXT, labels=TEXTS, annotations=TEXTS)
    return fields("apiVersion", "kind", "metadata", *known, apiVersion={"const": version}, kind=TEXT, metadata=metadata, **known)


NAMED = fields("name", name=TEXT, kind=TEXT)
OF_SECRET = fields("name", "key", name=TEXT, key=TEXT)
SELECTED = fields(matchLabels=TEXTS)

POLICY = fields("periodSeconds", "type", "value", periodSeconds=NUMBER, type={"enum": ["Pods", "Percent"]}, value=NUMBER)
RULES = fields(
    policies=some(POLICY), selectPolicy={"enum": ["Max", "Min", "Disabled"]}, stabilizationWindowSeconds={**NUMBER, "maximum": 3600}
)
TRIGGER = fields(
    "type",
    "metadata",
    type=TEXT,
    name=TEXT,
    metadata=TEXTS,
    metricType={"enum": ["Value", "AverageValue", "Utilization"]},
    authenticationRef=NAMED,
    useCachedMetrics={"type": "boolean"},
)
FALLBACKS = ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]
SCALED = fields(
    "scaleTargetRef",
    "triggers",
    scaleTargetRef=fields("name", name=TEXT, kind=TEXT, apiVersion=TEXT, envSourceContainerName=TEXT),
    minReplicaCount=NUMBER,
    maxReplicaCount=NUMBER,
    idleReplicaCount=NUMBER,
    pollingInterval=NUMBER,
    cooldownPeriod=NUMBER,
    initialCooldownPeriod=NUMBER,
    fallback=fields("failureThreshold", "replicas", failureThreshold=NUMBER, replicas=NUMBER, behavior={"enum": FALLBACKS}),
    advanced=fields(
        restoreToOriginalReplicaCount={"type": "boolean"},
        horizontalPodAutoscalerConfig=fields(name=TEXT, behavior=fields(scaleUp=RULES, scaleDown=RULES)),
    ),
    triggers=some(TRIGGER),
)
AUTHENTICATION = fields(secretTargetRef=some(fields("parameter", "name", "key", parameter=TEXT, name=TEXT, key=TEXT)))

PLACE = fields(secret=OF_SECRET, configMap=OF_SECRET)
TLS = fields(ca=PLACE, cert=PLACE, keySecret=OF_SECRET, serverName=TEXT, insecureSkipVerify={"type": "boolean"})
ENDPOINT = fields(
    port=TEXT, path=TEXT, interval=DURATION, scrapeTimeout=DURATION, scheme={"enum": ["http", "https"]}, tlsConfig=TLS, params=TEXTS
)
OF_SERVICE = fields("selector", "endpoints", selector=SELECTED, endpoints=some(ENDPOINT), jobLabel=TEXT)
OF_PODS = fields("selector", "podMetricsEndpoints", selector=SELECTED, podMetricsEndpoints=some(ENDPOINT), jobLabel=TEXT)

KUSTOMIZATION = fields(
    "apiVersion",
    "kind",
    "resources",
    apiVersion={"const": "kustomize.config.k8s.io/v1beta1"},
    kind=TEXT,
    namespace=TEXT,
    labels=some(fields("pairs", pairs=TEXTS, includeSelectors={"type": "boolean"}, includeTemplates={"type": "boolean"})),
    images=some(fields("name", name=TEXT, newName=TEXT, newTag=TEXT, digest=TEXT)),
    resources=some(TEXT),
    patches=some(fields(path=TEXT, patch=TEXT)),
    generatorOptions=fields(disableNameSuffixHash={"type": "boolean"}),
    secretGenerator=some(fields("name", name=TEXT, files=some(TEXT), literals=some(TEXT), type=TEXT)),
)

SCHEMAS = {
    "ScaledObject": kind("keda.sh/v1alpha1", spec=SCALED),
    "TriggerAuthentication": kind("keda.sh/v1alpha1", spec=AUTHENTICATION),
    "ServiceMonitor": kind("monitoring.coreos.com/v1", spec=OF_SERVICE),
    "PodMonitor": kind("monitoring.coreos.com/v1", spec=OF_PODS),
    "Kustomization": KUSTOMIZATION,
}


def validate(document: dict) -> None:
    """Raises `jsonschema.ValidationError` for a field or value that the kind does not have."""
    jsonschema.validate(document, SCHEMAS[document["kind"]])
