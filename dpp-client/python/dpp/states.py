"""Saved states, apart from the loaders that made them."""

from __future__ import annotations

import json

from dpp import _dpp
from dpp.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


def merge_states(states: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The one state of all ranks' states that were saved at the same step.

    Every rank's state is the whole run's, with a row filter too, so this checks more than it merges: states of different
    steps or orders, or without the lanes that a row filter needs, raise `InvalidRequest` saying which and how.
    """
    try:
        texts = [json.dumps(dict(state)) for state in states]
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"a state is what state_dict() returned: {error}") from None
    return json.loads(_dpp.merge_states(texts))
