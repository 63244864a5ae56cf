"""How many ids a plan's sparse outputs may have, held against a model's tables."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dpp.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHOOSING = "first_x last_x list_slice unique sort sort_by_score top_k_by_score intersect difference id_list_transform"
SAME = "to_ids drop_scores scores_clamp scores_log1p"
KEPT = {*CHOOSING.split(), *SAME.split()}
"""Ops whose ids are among those of their first input."""


def table_sizes(sizes: Any) -> dict[str, int]:
    """Rows of the embedding table by feature: of a mapping, or of the TorchRec collections in a model."""
    if isinstance(sizes, Mapping):
        wrong = [name for name, size in sizes.items() if not isinstance(size, int) or isinstance(size, bool)]
        if wrong:
            raise InvalidRequest(f"sizes are whole numbers by name; that of {wrong[0]!r} is {sizes[wrong[0]]!r}")
        return dict(sizes)
    modules = getattr(sizes, "modules", None)
    if not callable(modules):
        raise InvalidRequest(
            f"sizes is a mapping from output to rows of its table, or a model with TorchRec collections, not {sizes!r}"
        )
    configs = [config for module in modules() for config in _configs(module)]
    if not configs:
        raise InvalidRequest("the model has no TorchRec EmbeddingBagCollection or EmbeddingCollection; give a mapping")
    found: dict[str, int] = {}
    for config in configs:
        for feature in config.feature_names:
            found[feature] = min(config.num_embeddings, found.get(feature, config.num_embeddings))
    return found


def _configs(module: Any) -> list:
    for name in ("embedding_bag_configs", "embedding_configs"):
        if callable(found := getattr(module, name, None)):
            return list(found())
    return []


def check_sizes(document: dict, sizes: dict[str, int]) -> None:
    """Raise unless every sparse output of the bound plan has a table in which all of its ids have a row."""
    outputs = {output["name"]: output["node"] for output in document.get("sparse", [])}
    for name in sizes:
        if name not in outputs:
            raise InvalidRequest(f"sizes name {name!r}, which is no sparse output; those are {', '.join(outputs)}")
    for name, node in outputs.items():
        if name not in sizes:
            raise InvalidRequest(f"sparse output {name!r} has no size; those with one are {', '.join(sizes)}")
        least, most, op = _bounds(document["nodes"], node)
        if least is None or most is None:
            raise InvalidRequest(
                f"sparse output {name!r} has ids of any size after {op}, its table {sizes[name]} rows; end it with "
                f"sigrid_hash(max_value={sizes[name]}) or positive_modulus({sizes[name]})"
            )
        if least < 0:
            raise InvalidRequest(f"sparse output {name!r} has ids down to {least} after {op}; rows of tables begin at 0")
        if most >= sizes[name]:
            raise InvalidRequest(
                f"sparse output {name!r} has ids up to {most} after {op}, its table only {sizes[name]} rows; make the "
                f"table larger, or the op's range smaller"
            )


def _bounds(nodes: list[dict], index: int) -> tuple[int | None, int | None, str]:
    """The least and the greatest id that may come out, None where it is open, and the op that says so."""
    shift = 0
    while (op := nodes[index].get("op")) in KEPT or op == "offset":
        shift += nodes[index].get("k", 0)
        index = nodes[index]["inputs"][0]
    node = nodes[index]
    least, most = _range(node)
    bounded = (None if bound is None else bound + shift for bound in (least, most))
    return *bounded, op or f"feature {node.get('feature')}"


def _range(node: dict) -> tuple[int | None, int | None]:
    op = node.get("op")
    if op == "sigrid_hash":
        return 0, node["max_value"] - 1
    if op == "positive_modulus":
        return 0, node["m"] - 1
    if op == "clamp_list":
        return node["lo"], node["hi"]
    if op == "bucketize":
        return 0, len(node["borders"])
    if op == "categorical_ngram":
        return 0, math.prod(node["limits"]) - 1
    if op == "map_id":
        values = [*node["table"], node["default"]]
        return min(values), max(values)
    if op == "look_up":
        from dpp.fitting import Fitted

        return 0, len(Fitted.load(node["artefact"], digest=node["digest"]).ids(node["output"]))
    return None, None
