"""The extension module: what the `dpp` package is built on. Not for users; no promise is made about it.

Every function may raise `dpp.Error` or one of its children, and none keeps the GIL while it waits. JSON texts are those
of the Rust types named beside them. Arrays are lent: a `Tensor` shares the memory of the batch it came from, and whoever
took its memory keeps that alive.
"""

from collections.abc import Callable
from typing import Any, Final, final

__version__: Final[str]
SEMANTICS_VERSION: Final[int]
"""Version of the ops' semantics: equal versions compute the same bits from the same plan."""

def run_command(arguments: list[str]) -> int:
    """Run `dpp` with these arguments, the program's name first; return its exit status. Prints to the process's own streams."""

def known_ops() -> dict[str, list[str]]:
    """The ops that plans may name, each with the parameters it knows."""

def plan_to_json(text: str) -> str:
    """The plan as dpp writes it. `InvalidRequest` says line, column or field of what is no plan."""

def explain_plan(text: str) -> str:
    """The plan as a tree: an output, an op or a feature a line."""

def plan_for_fitting(text: str) -> str:
    """The plan as it is fitted: its batches carry sums of rows, for `Fit.add`. `InvalidRequest` when nothing is to be fitted."""

def plan_hash(text: str) -> str:
    """64 hexadecimal digits that name the plan's content."""

def merge_states(states: list[str]) -> str:
    """The one `dpp_client::State` of states saved together; `InvalidRequest` says how they differ."""

def bind_plan(text: str, table: Table) -> str:
    """The plan with patterns expanded and kinds resolved. `InvalidRequest` names the output, op and feature that do not fit."""

def write_table(
    rows: Any,
    url: str,
    storage_options: dict[str, str],
    settings: str,
    encryption: tuple[Keys, str | None] | None,
) -> tuple[int, int]:
    """Write Arrow data (PyCapsules) to an empty place, and return how many rows and files that are.

    `settings` is `dpp_table::TableSettings`; `encryption` is who wraps keys, and the content of a key file without keys,
    or None where the keys' own file says it. `InvalidRequest` names a column that can't be written or partition.
    """

@final
class Fit:
    """A pass that adds up what a loader of a plan for fitting brings."""

    def __new__(
        cls,
        snapshot: str,
        plan: str,
        parts: int,
        min_count: int,
        most_ids: int | None,
        most_counted: int,
    ) -> Fit:
        """`snapshot` and `plan` are hashes."""

    def add(self, batch: Batch) -> None:
        """The sums of the next rows. `InvalidRequest` names an output with too many distinct ids."""

    def finish(self) -> Fitted:
        """What was found. Ends the pass."""

@final
class Fitted:
    """What a pass found."""

    @property
    def digest(self) -> str:
        """SHA-256 of the artefact: 64 hexadecimal digits."""

    @staticmethod
    def load(url: str, digest: str | None, storage_options: dict[str, str]) -> Fitted:
        """`NotFound` when nothing is there, `InvalidRequest` when it is no artefact or of another digest."""

    def save(self, url: str, storage_options: dict[str, str]) -> None:
        """Write the artefact in place of what is there."""

    def summary(self) -> str:
        """`{"origin": {"snapshot", "plan"}, "rows", "columns": [{"name", "values", "missing", "mean", "std", "quantiles"}],
        "vocabularies": [names]}`"""

    def ids(self, name: str) -> bytes:
        """int64, little-endian: the vocabulary of a sparse output."""

    def counts(self, name: str) -> bytes:
        """uint64, little-endian: how often each id came."""

@final
class Applier:
    """A plan ready for rows in memory; compiled once if it is bound."""

    def __new__(cls, plan: str) -> Applier:
        """Loads the artefacts that the plan refers to. `InvalidRequest` says what is wrong with the plan."""

    def apply(self, rows: Any, row_ids: list[int] | None = None) -> Batch:
        """The tensors of the rows: Arrow data (PyCapsules), or a dict of sequences, one a column.

        `InvalidRequest` names a feature that is missing or of another kind.
        """

@final
class Table:
    """An open table. Storage is asked when first needed, once."""

    def __new__(
        cls,
        url: str,
        storage_options: dict[str, str],
        filter: str | None,
        snapshot: str | None,
        feature_names: dict[str, str],
        keys: Keys | None,
    ) -> Table:
        """No I/O but for keys that lie in a file. `filter` is a condition as `dpp.predicates` writes it, `snapshot` is
        `hash@URL` or `URL`, `feature_names` maps `column[key]` to a name."""

    def schema(self) -> str:
        """`{"features": [{"name", "kind", "width"}], "partition_columns": […]}`, features sorted by name."""

    def snapshot(self) -> Snapshot:
        """The files, as they were when the table first looked."""

@final
class Keys:
    """Keys of encrypted tables, or the place to get them from. Shows no key."""

    @staticmethod
    def at(place: str) -> Keys:
        """A place as one line, `dpp_table::KeySource`. No I/O."""

    @staticmethod
    def from_json(json: str) -> Keys:
        """The content of a key file; `InvalidRequest` repeats no key."""

    def place(self) -> str | None:
        """The line that `at` reads; None when the keys are here."""

@final
class Service:
    """Where workers are, and what this process shows them. Shows no token."""

    def __new__(
        cls,
        url: str,
        token: str | None,
        token_file: str | None,
        tls_ca: str | None,
        tls_cert: str | None,
        tls_key: str | None,
        tls_name: str | None,
    ) -> Service:
        """Files that are not given are the environment's, read when a loader opens; `InvalidRequest` repeats no token."""

@final
class Snapshot:
    """The exact files a run reads."""

    @property
    def hash(self) -> str:
        """64 hexadecimal digits over every field of every file."""

    @property
    def num_rows(self) -> int:
        """Rows of all files."""

    @property
    def num_files(self) -> int:
        """Number of files."""

    def files(self) -> list[tuple[str, int, list[int], int]]:
        """(path, bytes, rows of every row group, checksum of the footer), sorted by path."""

    def save(self, url: str, storage_options: dict[str, str]) -> str:
        """Write as JSON unless it is there, and return `hash@URL`; `InvalidRequest` when another snapshot is there."""

    @staticmethod
    def load(reference: str, storage_options: dict[str, str]) -> Snapshot:
        """Read what `save` wrote; `CorruptData` when it does not have the hash it states, `Changed` when not the one asked for."""

@final
class Loader:
    """A job and where the trainer stands in it. Belongs to the process that made it."""

    def __new__(
        cls,
        table: Table,
        plan: str,
        settings: str,
        service: Service | None,
        threads: int | None,
        described: bytes | None = None,
        agree: Callable[[list[int]], list[int]] | None = None,
    ) -> Loader:
        """Describes the table, unless `described` says what another loader found, and opens the job; reads no rows.
        `settings` is `dpp_client::Settings`; `agree` gives the greatest of all ranks' numbers at each place, and is called
        within `Batches.next` when ranks read their own lanes of a filtered job."""

    def described(self) -> bytes:
        """Files, bound plan and layout: what another process of this build needs to open the same job."""

    def start_epoch(self) -> Batches:
        """The rest of the loaded epoch, or the next one. Ends the pass under way."""

    def layout(self) -> str:
        """`dpp_batch::Layout`: names of the batches' tensors."""

    @property
    def num_rows(self) -> int:
        """Rows of an epoch, over all ranks."""

    @property
    def num_steps(self) -> int | None:
        """Steps of a whole epoch; None with a row filter."""

    @property
    def snapshot_hash(self) -> str:
        """Names the files that are read."""

    def state(self) -> str:
        """`dpp_client::State`: what was consumed. May be asked after a fork."""

    def load_state(self, state: str) -> None:
        """Go on from there; `InvalidRequest` names what differs. Ends the pass under way."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass."""

    def log_usage(self, table: Table, run: str, folder: str) -> None:
        """Write `dpp_table::Usage` below `folder`, reached as the table is, in place of what this run wrote there before."""

    def stats(self) -> str:
        """`dpp_client::Stats`: sums since the loader was opened."""

@final
class Batches:
    """The batches of one pass. Dropping it stops reading."""

    def next(self) -> Batch | None:
        """Wait for the next batch; None after the last. Ctrl-C is heard and loses no batch."""

    def try_next(self) -> tuple[bool, Batch | None]:
        """Whether the next batch, or the end, is ready; and the batch. Never waits."""

@final
class Batch:
    """Tensors of B rows, as the layout names them. Each call lends the same memory anew; none copies."""

    @property
    def num_rows(self) -> int:
        """B."""

    def layout(self) -> str:
        """`dpp_batch::Layout`: names of the tensors."""

    @property
    def step(self) -> int:
        """Number of the step within its pass, from 0; 0 for rows that no loader delivered."""

    def valid(self) -> Tensor | None:
        """uint8 [B], 0 where a row is padding; None where none can be."""

    def dense(self) -> Tensor:
        """float32 [B, D]."""

    def labels(self) -> Tensor:
        """float32 [B, L]."""

    def values(self) -> Tensor:
        """int64, ids of all keys, key-major."""

    def values_int32(self) -> Tensor:
        """`values` as int32, copied; `InvalidRequest` names the key of an id that does not fit."""

    def lengths(self) -> Tensor:
        """int32 [K·B], ids per key and row."""

    def offsets(self) -> Tensor:
        """int32 [K·B + 1], the running sum of lengths."""

    def weights(self) -> Tensor | None:
        """float32 like values, when any key has scores."""

    def key_ends(self) -> list[int]:
        """For each key, where its ids end in values."""

    def vector(self, index: int) -> Tensor:
        """float32 [B, width]."""

    def extra_numbers(self, index: int) -> Tensor | None:
        """int64 or float32 [B], 0 where null; None for bytes and text."""

    def extra_list(self, index: int) -> list[bytes | None] | list[str | None]:
        """The rows of a column of bytes or text, copied; None where null."""

    def extra_valid(self, index: int) -> Tensor:
        """uint8 [B], 0 where the row is null."""

    def origin(self) -> list[tuple[str, int, int]]:
        """(file, row group, row of the group) of every row; `InvalidRequest` for rows that no loader delivered, or that a
        row filter left."""

    def fingerprint(self) -> int:
        """xxh3-64 over every tensor."""

@final
class Tensor:
    """Row-major numbers in host memory, lent: through DLPack, or read-only through the buffer protocol."""

    @property
    def dtype(self) -> str:
        """float32, int64, int32 or uint8."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, outermost first; any may be 0."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""

    def __dlpack__(
        self,
        *,
        stream: Any | None = None,
        max_version: Any | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """An unversioned DLPack capsule. `BufferError` for a device other than the host."""

    def __dlpack_device__(self) -> tuple[int, int]:
        """The host: (1, 0)."""

    def __buffer__(self, flags: int, /) -> memoryview:
        """A read-only view; `BufferError` when a writable one is asked for."""

    def __release_buffer__(self, buffer: memoryview, /) -> None:
        """Give a view back."""
