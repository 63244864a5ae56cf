"""A batch: one rank's share of a step, as tensors over the memory that Rust assembled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, partial

from dpp import _dpp, _tensors
from dpp.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from dpp._tensors import Array, Target

    Change = Callable[[Any], Any]


class Layout:
    """Names of a batch's tensors, in order."""

    __slots__ = ("dense_names", "label_names", "sparse_names", "vector_names", "extra_names")

    def __init__(self, document: dict) -> None:
        self.dense_names: list[str] = document["dense"]
        self.label_names: list[str] = document["labels"]
        self.sparse_names: list[str] = [key["name"] for key in document["sparse"]]
        self.vector_names: list[str] = [vector["name"] for vector in document["vectors"]]
        self.extra_names: list[str] = [extra["name"] for extra in document["extras"]]


class Batch:
    """The tensors of `num_rows` rows, B.

    valid    bool [B], false where a row is padding (zeros, no ids): with `where` and on_uneven="pad"; else None
    dense    float32 [B, D], row-major, C-contiguous; columns as `loader.dense_names`
    labels   float32 [B, L]; columns as `loader.label_names`
    sparse   jagged ids of K keys, see `Sparse`
    vectors  name → float32 [B, width]
    extras   name → what was carried exactly, see `Extras`

    Tensors share the batch's memory and keep it alive. Numpy's are read-only; torch knows no such thing. A batch can be
    pickled, as torch's DataLoader does between processes; the copy has no `origin` and no `fingerprint`.
    """

    __slots__ = ("num_rows", "valid", "dense", "labels", "sparse", "vectors", "extras", "_rows")

    def __init__(self, rows: _dpp.Batch, layout: Layout, target: Target) -> None:
        convert = target.convert
        self.num_rows: int = rows.num_rows
        valid = rows.valid()
        self.valid: Array | None = None if valid is None else _tensors.to_bool(convert(valid))
        self.dense: Array = convert(rows.dense())
        self.labels: Array = convert(rows.labels())
        self.sparse = Sparse._of(rows, layout.sparse_names, target)
        self.vectors = Vectors({name: convert(rows.vector(index)) for index, name in enumerate(layout.vector_names)})
        self.extras = Extras._of(rows, layout.extra_names, convert)
        self._rows: _dpp.Batch | None = rows

    def origin(self) -> list[tuple[str, int, int]]:
        """(file, row group, row within it) of every row, in the order of the rows. Not with a row filter (`where`)."""
        return self._source().origin()

    def fingerprint(self) -> int:
        """64-bit hash over every tensor as delivered: equal batches have equal fingerprints, on-box or from workers."""
        return self._source().fingerprint()

    def to(self, device: Any, non_blocking: bool = False) -> Batch:
        """The batch with its torch tensors on `device`. Lists of bytes and text stay where they are."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The batch with its torch tensors in page-locked memory, from which `to(…, non_blocking=True)` is asynchronous."""
        return self._changed(lambda tensor: tensor.pin_memory())

    def record_stream(self, stream: Any) -> None:
        """Tell torch's allocator that `stream` uses the tensors."""
        self._changed(lambda tensor: tensor.record_stream(stream))

    def __len__(self) -> int:
        return self.num_rows

    def __getstate__(self) -> Any:
        return {name: getattr(self, name) for name in self.__slots__} | {"_rows": None}

    def __setstate__(self, state: Any) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        parts = [f"{self.num_rows} rows", f"dense {list(self.dense.shape)}" if hasattr(self.dense, "shape") else ""]
        parts += [f"{len(self.sparse.keys)} sparse keys" if self.sparse.keys else ""]
        parts += [
            f"{len(named)} {what}" if named else ""
            for what, named in (("vectors", self.vectors), ("extras", self.extras))
        ]
        return f"<dpp.Batch {', '.join(filter(None, parts))}>"

    def _source(self) -> _dpp.Batch:
        if self._rows is None:
            raise InvalidRequest(
                "a batch that came from another process knows no origin and no fingerprint: carry dpp.row_id() in the plan's extras"
            )
        return self._rows

    def _changed(self, change: Change) -> Batch:
        if not hasattr(self.dense, "record_stream"):
            raise InvalidRequest("to, pin_memory and record_stream need output='torch'")
        batch = Batch.__new__(Batch)
        batch.num_rows, batch._rows = self.num_rows, self._rows
        batch.valid = None if self.valid is None else change(self.valid)
        batch.dense, batch.labels = change(self.dense), change(self.labels)
        batch.sparse = self.sparse._changed(change)
        batch.vectors = Vectors({name: change(vector) for name, vector in self.vectors.items()})
        batch.extras = self.extras._changed(change)
        return batch


class Jagged:
    """Ids of one key for B rows.

    values   int64, row after row
    lengths  int32 [B], ids per row
    offsets  int32 [B + 1], where each row begins in `values`, and the end
    weights  float32 like values, or None
    """

    __slots__ = ("values", "lengths", "offsets", "weights")

    def __init__(self, values: Array, lengths: Array, offsets: Array, weights: Array | None) -> None:
        self.values = values
        self.lengths = lengths
        self.offsets = offsets
        self.weights = weights


class Sparse:
    """Ids of K keys for B rows, key-major, as TorchRec's KeyedJaggedTensor lays them out.

    keys     names, in order
    values   int64, or int32 with id_dtype="int32": key 0 row 0 … row B−1, key 1 row 0 …
    lengths  int32 [K·B]
    offsets  int32 [K·B + 1]
    weights  float32 like values when any key carries scores (another key's are 1.0), else None
    """

    __slots__ = ("keys", "values", "lengths", "weights", "_offsets", "_ends")

    def __init__(
        self,
        keys: Sequence[str],
        values: Array,
        lengths: Array,
        weights: Array | None,
        offsets: Callable[[], Array],
        ends: Callable[[], Sequence[int]],
    ) -> None:
        self.keys = keys
        self.values = values
        self.lengths = lengths
        self.weights = weights
        self._offsets = cache(offsets)  # a pass over all lengths, which few trainers need
        self._ends = cache(ends)

    @classmethod
    def _of(cls, rows: _dpp.Batch, keys: Sequence[str], target: Target) -> Sparse:
        convert = target.convert
        weights = rows.weights()
        return cls(
            keys=keys,
            values=convert(rows.values_int32() if target.id_dtype == "int32" else rows.values()),
            lengths=convert(rows.lengths()),
            weights=None if weights is None else convert(weights),
            offsets=lambda: convert(rows.offsets()),
            ends=rows.key_ends,
        )

    @property
    def offsets(self) -> Array:
        return self._offsets()

    def __getitem__(self, key: str) -> Jagged:
        """The ids of one key, sharing memory; only offsets that do not begin at 0 are written anew."""
        try:
            index = self.keys.index(key)
        except ValueError:
            raise KeyError(f"no sparse key {key!r}; there are {', '.join(self.keys)}") from None
        ends = self._ends()
        start, end = (ends[index - 1] if index else 0), ends[index]
        rows = len(self.lengths) // len(self.keys)
        first = index * rows
        return Jagged(
            values=self.values[start:end],
            lengths=self.lengths[first : first + rows],
            offsets=_tensors.minus(self.offsets[first : first + rows + 1], start),
            weights=None if self.weights is None else self.weights[start:end],
        )

    def __contains__(self, key: object) -> bool:
        return key in self.keys

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def to_torchrec(self) -> Any:
        """The same memory as `torchrec.KeyedJaggedTensor`. Needs output='torch' and torchrec."""
        try:
            from torchrec import KeyedJaggedTensor
        except ImportError:
            raise InvalidRequest("to_torchrec needs torchrec, which is not installed: pip install torchrec") from None
        return KeyedJaggedTensor(
            keys=list(self.keys),
            values=self.values,
            weights=self.weights,
            lengths=self.lengths,
            offsets=self.offsets,
        )

    def _changed(self, change: Change) -> Sparse:
        weights = None if self.weights is None else change(self.weights)
        offsets = self._offsets
        return Sparse(
            self.keys, change(self.values), change(self.lengths), weights, offsets=lambda: change(offsets()), ends=self._ends
        )

    def __reduce__(self) -> Any:
        late = partial(_as_it_is, self.offsets), partial(_as_it_is, self._ends())
        return Sparse, (self.keys, self.values, self.lengths, self.weights, *late)


def _as_it_is(value: Any) -> Any:
    return value


class Vectors(dict):
    """Name → float32 [B, width], or [B, 3, H, W] for images: uint8, or float32 once normalised."""

    __slots__ = ()


class Extras(Mapping):
    """Name → what was carried exactly: int64 [B] or float32 [B], or for bytes and text a list of B.

    A null row is 0, or None in a list; `valid(name)` says which rows are not null. Arrow arrays have nulls of their own.
    """

    __slots__ = ("_values", "_valid", "_lists")

    def __init__(self, values: dict[str, Array], valid: dict[str, Array], lists: dict[str, Callable[[], list]]) -> None:
        self._values = values
        self._valid = valid
        self._lists = lists

    @classmethod
    def _of(cls, rows: _dpp.Batch, names: Sequence[str], convert: Callable[[_dpp.Tensor], Array]) -> Extras:
        values: dict[str, Array] = {}
        valid: dict[str, Array] = {}
        lists: dict[str, Callable[[], list]] = {}
        for index, name in enumerate(names):
            mask = convert(rows.extra_valid(index))
            valid[name] = _tensors.to_bool(mask)
            numbers = rows.extra_numbers(index)
            if numbers is None:
                lists[name] = partial(rows.extra_list, index)
            else:
                values[name] = _tensors.with_nulls(convert(numbers), mask)
        return cls(values, valid, lists)

    def __getitem__(self, name: str) -> Array | list:
        if name in self._lists and name not in self._values:
            self._values[name] = self._lists[name]()
        return self._values[name]

    def valid(self, name: str) -> Array:
        """bool [B]: false where the row is null."""
        return self._valid[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._valid)

    def __len__(self) -> int:
        return len(self._valid)

    def __reduce__(self) -> Any:
        lists: dict[str, Callable[[], list]] = {name: partial(list, self[name]) for name in self._lists}
        return Extras, ({name: self[name] for name in self}, self._valid, lists)

    def _changed(self, change: Change) -> Extras:
        values = {name: value if name in self._lists else change(value) for name, value in self._values.items()}
        return Extras(values, {name: change(mask) for name, mask in self._valid.items()}, self._lists)
