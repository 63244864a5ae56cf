"""Fitting: what one pass over a table tells of a plan's outputs, kept where training and serving both find it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from dpp import _dpp
from dpp._settings import count, count_or_none
from dpp.errors import InvalidRequest
from dpp.loader import DataLoader
from dpp.plan import Plan
from dpp.service import Service
from dpp.table import Table, _options, _url

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np


def fit(
    table: Table | str | os.PathLike[str],
    plan: Plan,
    *,
    parts: int = 100,
    min_count: int = 1,
    most_ids: int | None = None,
    most_counted: int = 50_000_000,
    service: str | Service | None = None,
    threads: int | None = None,
    worker_timeout_seconds: int = 60,
) -> Fitted:
    """Read the table once and return what the plan's outputs are like.

    Dense outputs and labels give mean, standard deviation and quantiles of their finite values; sparse outputs give
    vocabularies. Sums are made where rows are read, by on-box `threads` or the workers of a `service`, and added here: the
    result is the same to the last bit, whatever these are.

    parts         quantiles cut values into so many parts, 1 to 10,000
    min_count     ids that came fewer times are left out of vocabularies
    most_ids      ids of a vocabulary, the most frequent ones; None keeps all
    most_counted  distinct ids of an output that may be counted, about 40 bytes each; more raise `InvalidRequest`
    """
    if not isinstance(plan, Plan):
        raise InvalidRequest(f"plan is a dpp.Plan, not {plan!r}")
    with DataLoader(
        table,
        Plan.from_json(_dpp.plan_for_fitting(plan.to_json())),
        batch_size=1,  # a row is the sums of many
        service=service,
        name="dpp.fit",
        rank=0,
        world_size=1,
        threads=threads,
        worker_timeout_seconds=worker_timeout_seconds,
        output="numpy",
    ) as loader:
        under_way = _dpp.Fit(
            loader.snapshot_hash,
            plan.hash,
            count("parts", parts, least=1),
            count("min_count", min_count),
            count_or_none("most_ids", most_ids),
            count("most_counted", most_counted),
        )
        for batch in loader:
            under_way.add(batch._source())
    return Fitted(under_way.finish())


class Fitted:
    """What `dpp.fit` found, or `Fitted.load` read.

    `mean`, `std`, `quantiles` and `borders(n)` map outputs to values, as ops take them:

    >>> plan = dpp.Plan(
    ...     dense=dpp.cols("I*").fill_null(0).z_score(mean=fitted.mean, std=fitted.std),
    ...     sparse=dpp.cols("C*").look_up(fitted),
    ... )

    Vocabularies stay where the artefact is saved; a plan names it by URL and digest.
    """

    __slots__ = ("_found", "_summary", "url")

    url: str | None
    """Where it was saved or loaded."""

    def __init__(self, found: _dpp.Fitted, url: str | None = None) -> None:
        self._found = found
        self._summary = json.loads(found.summary())
        self.url = url

    @classmethod
    def load(
        cls,
        url: str | os.PathLike[str],
        *,
        digest: str | None = None,
        storage_options: Mapping[str, object] | None = None,
    ) -> Fitted:
        """Read what `save` or `dpp fit` wrote. Raises `InvalidRequest` when it is no such artefact or of another digest."""
        place = _absolute(_url("url", url))
        return cls(_dpp.Fitted.load(place, digest, _options(storage_options)), place)

    def save(self, url: str | os.PathLike[str], *, storage_options: Mapping[str, object] | None = None) -> str:
        """Write the artefact and return its URL. One that ends with "/" is a folder, in which it is called by its digest."""
        place = _absolute(_url("url", url))
        if place.endswith("/"):
            place += f"{self.digest[:16]}.fit"
        self._found.save(place, _options(storage_options))
        self.url = place
        return place

    @property
    def digest(self) -> str:
        """SHA-256 of the artefact, 64 hexadecimal digits: the same for the same rows and plan."""
        return self._found.digest

    @property
    def num_rows(self) -> int:
        """Rows of the pass."""
        return self._summary["rows"]

    @property
    def snapshot_hash(self) -> str:
        """Names the files that were read."""
        return self._summary["origin"]["snapshot"]

    @property
    def plan_hash(self) -> str:
        """Names the plan whose outputs were fitted."""
        return self._summary["origin"]["plan"]

    @property
    def mean(self) -> dict[str, float]:
        """By dense output or label; without those that had no value."""
        return self._of_columns("mean")

    @property
    def std(self) -> dict[str, float]:
        """That of the population (ddof=0), as `mean`."""
        return self._of_columns("std")

    @property
    def missing(self) -> dict[str, int]:
        """Rows that were null, NaN or infinite, by dense output or label."""
        return self._of_columns("missing")

    @property
    def quantiles(self) -> dict[str, list[float]]:
        """The least value, `parts` − 1 quantiles and the greatest, by dense output or label; without those of no value.

        Each is a value that came (numpy's `inverted_cdf`) while an output has at most 8,192 distinct values, else the lower
        end of one of about as many buckets.
        """
        return {name: values for name, values in self._of_columns("quantiles").items() if values}

    def borders(self, bins: int) -> dict[str, list[float]]:
        """Borders for `bucketize` that cut each output into `bins` of as many values; fewer where values repeat."""
        bins = count("bins", bins, least=2)
        cut = {}
        for name, values in self.quantiles.items():
            parts = len(values) - 1
            if parts % bins:
                raise InvalidRequest(f"{bins} bins can't be made of {parts} parts: fit with parts={bins} or a multiple of it")
            cut[name] = sorted(set(values[parts // bins : -1 : parts // bins]))
        return cut

    @property
    def vocabularies(self) -> list[str]:
        """Sparse outputs that have a vocabulary."""
        return list(self._summary["vocabularies"])

    def ids(self, output: str) -> np.ndarray:
        """int64: ids of a vocabulary, the most frequent first, the smallest first of equally frequent ones."""
        import numpy

        return numpy.frombuffer(self._found.ids(output), "<i8")

    def counts(self, output: str) -> np.ndarray:
        """uint64: how often each of `ids` came."""
        import numpy

        return numpy.frombuffer(self._found.counts(output), "<u8")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fitted) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        columns, lists = len(self._summary["columns"]), len(self._summary["vocabularies"])
        return f"<dpp.Fitted {self.digest[:12]}: {columns} columns, {lists} vocabularies, {self.url or 'not saved'}>"

    def _of_columns(self, what: str) -> dict:
        return {column["name"]: column[what] for column in self._summary["columns"] if column[what] is not None}


def _absolute(url: str) -> str:
    """Plans are run elsewhere than where they are made."""
    if "://" in url:
        return url
    return os.path.abspath(url) + ("/" if url.endswith("/") else "")
