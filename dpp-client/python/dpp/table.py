"""A table: where it is, which partitions are wanted, what it offers. Lazy: storage is asked when an answer is needed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from dpp import _dpp
from dpp.errors import InvalidRequest
from dpp.keys import KeyProvider
from dpp.predicates import Predicate


class Feature:
    """A named input of a plan, and what it holds per row.

    `kind` is one of dense, int, id_list, id_score_list, vector, bytes, text; `width` counts a vector's values, else 0.
    """

    __slots__ = ("name", "kind", "width")

    def __init__(self, name: str, kind: str, width: int = 0) -> None:
        self.name = name
        self.kind = kind
        self.width = width

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Feature) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        width = f", width={self.width}" if self.width else ""
        return f"Feature(name={self.name!r}, kind={self.kind!r}{width})"


class Table:
    """A directory of Parquet files, Hive-partitioned or not.

    url              a path, `file://…` or `s3://…`
    storage_options  as object_store names them (endpoint, region, …); environment and profiles are the default
    decryption       who gives the keys of an encrypted table: `dpp.KeyFile`, `dpp.Keys`, …. With a service leave it out:
                     workers have keys of their own
    feature_names    names for features of maps, `{"column[key]": "name"}`; a file that has a column of that name is read
                     from there, so that one plan reads map files and flattened ones
    snapshot         "hash@URL": exactly the files of that snapshot, as `Snapshot.save` and `dpp table snapshot` return it.
                     "URL": the snapshot that is there; the first to come writes it, so that all who are given one URL agree.
                     Files that came later are ignored, one that changed or is gone raises and is named

    With a snapshot nothing is listed, and a file is opened when its rows are read. The snapshot is reached by
    `storage_options` too; with a service, workers read it.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        storage_options: Mapping[str, object] | None = None,
        decryption: KeyProvider | None = None,
        feature_names: Mapping[str, str] | None = None,
        snapshot: str | os.PathLike[str] | None = None,
    ) -> None:
        self.url = _url("a table's URL", url)
        self._options = _options(storage_options)
        if decryption is not None and not isinstance(decryption, KeyProvider):
            raise InvalidRequest(f"decryption is dpp.KeyFile(…) or another place of keys, not a {type(decryption).__name__}")
        self._keys = decryption
        self._names = {str(entry): str(name) for entry, name in (feature_names or {}).items()}
        self._snapshot = None if snapshot is None else _url("snapshot", snapshot)
        self._filter: dict | None = None
        self._opened: tuple[int, _dpp.Table] | None = None
        _ = self._handle  # a wrong URL or option is said here

    def filter(self, predicate: Predicate) -> Table:
        """The table's partitions of which `predicate` is true. Filtering again keeps what satisfies both."""
        if not isinstance(predicate, Predicate):
            raise InvalidRequest(f"filter takes a condition such as dpp.col('ds') >= '2026-11-01', not {predicate!r}")
        joined = predicate.form if self._filter is None else {"all_of": [self._filter, predicate.form]}
        table = Table.__new__(Table)
        table.__setstate__({**self.__getstate__(), "filter": joined})
        return table

    @property
    def features(self) -> list[Feature]:
        """What a plan can read, sorted by name: the union over all files."""
        return [Feature(**feature) for feature in self._schema()["features"]]

    @property
    def partition_columns(self) -> list[str]:
        """What `filter` can look at, outermost first."""
        return self._schema()["partition_columns"]

    @property
    def num_rows(self) -> int:
        """Rows of the kept partitions."""
        return self.snapshot().num_rows

    @property
    def num_files(self) -> int:
        """Files of the kept partitions."""
        return self.snapshot().num_files

    def snapshot(self) -> Snapshot:
        """The exact files of the kept partitions: those of the snapshot given, else as they were when this table first looked."""
        return Snapshot(self._handle.snapshot())

    def __repr__(self) -> str:
        kept = "" if self._filter is None else f" where {Predicate(self._filter)!r}"
        return f"<dpp.Table {self.url}{kept}>"

    def __getstate__(self) -> dict:
        return {
            "url": self.url,
            "options": self._options,
            "filter": self._filter,
            "snapshot": self._snapshot,
            "names": self._names,
            "keys": self._keys,
        }

    def __setstate__(self, state: dict) -> None:
        self.url, self._options, self._filter = state["url"], state["options"], state["filter"]
        self._snapshot, self._names, self._keys = state["snapshot"], state["names"], state["keys"]
        self._opened = None

    def _schema(self) -> dict:
        return json.loads(self._handle.schema())

    @property
    def _handle(self) -> _dpp.Table:
        """The open table; opened anew after a fork, because connections do not survive one."""
        if self._opened is None or self._opened[0] != os.getpid():
            predicate = None if self._filter is None else json.dumps(self._filter)
            keys = None if self._keys is None else self._keys._handle
            opened = _dpp.Table(self.url, self._options, predicate, self._snapshot, self._names, keys)
            self._opened = os.getpid(), opened
        return self._opened[1]


class Snapshot:
    """The exact files a run reads, named by a hash of their content."""

    __slots__ = ("_files",)

    def __init__(self, files: _dpp.Snapshot) -> None:
        self._files = files

    @property
    def hash(self) -> str:
        """64 hexadecimal digits over every file's path, size, rows and footer; not over where the table is."""
        return self._files.hash

    @property
    def num_rows(self) -> int:
        """Rows of all files."""
        return self._files.num_rows

    @property
    def num_files(self) -> int:
        """Number of files."""
        return self._files.num_files

    @property
    def paths(self) -> list[str]:
        """Paths of the files, relative to the table's URL, sorted: the order of rows in the snapshot."""
        return [path for path, _, _, _ in self._files.files()]

    def save(self, url: str | os.PathLike[str], *, storage_options: Mapping[str, object] | None = None) -> str:
        """Write the snapshot as JSON and return "hash@URL", which `dpp.Table(…, snapshot=)` takes.

        A URL that ends with "/" is a folder, in which the snapshot is called by its hash. A snapshot is written once: saving
        it again is fine, a URL that holds another one raises `InvalidRequest`, as does a store that ignores the condition
        of a conditional put.
        """
        return self._files.save(_url("url", url), _options(storage_options))

    @classmethod
    def load(cls, reference: str | os.PathLike[str], *, storage_options: Mapping[str, object] | None = None) -> Snapshot:
        """Read what `save` wrote, from "hash@URL" or "URL".

        One that was edited or damaged raises `CorruptData`, another one than the hash says `Changed`.
        """
        return cls(_dpp.Snapshot.load(_url("reference", reference), _options(storage_options)))

    def diff(self, other: Snapshot) -> SnapshotDifference:
        """What lies between this snapshot and a later one."""
        before, after = ({file[0]: file[1:] for file in one._files.files()} for one in (self, other))
        return SnapshotDifference(
            added=[path for path in after if path not in before],
            removed=[path for path in before if path not in after],
            changed=[path for path in after if path in before and before[path] != after[path]],
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Snapshot) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"<dpp.Snapshot {self.hash[:12]}: {self.num_rows} rows in {self.num_files} files>"


class SnapshotDifference:
    """Paths that were added, removed, or are there in both and differ."""

    __slots__ = ("added", "removed", "changed")

    def __init__(self, added: list[str], removed: list[str], changed: list[str]) -> None:
        self.added = added
        self.removed = removed
        self.changed = changed

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.added or self.removed or self.changed)

    def __repr__(self) -> str:
        return f"SnapshotDifference(added={self.added}, removed={self.removed}, changed={self.changed})"


def _url(what: str, value: str | os.PathLike[str]) -> str:
    url = os.fspath(value)
    if not isinstance(url, str):
        raise InvalidRequest(f"{what} is text, not {value!r}")
    return url


def _options(given: Mapping[str, object] | None) -> dict[str, str]:
    return {str(key): _option(value) for key, value in (given or {}).items()}


def _option(value: object) -> str:
    """As object_store reads it: true and false in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)
