"""What a batch's tensors become: torch, numpy or pyarrow, all sharing the memory that Rust assembled.

Frameworks are imported here, when a loader asks for their tensors, and nowhere else.
"""

from __future__ import annotations

import sys
from math import prod

from dpp import _dpp
from dpp.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Array = Any
    """torch.Tensor, numpy.ndarray or pyarrow.Array, as the loader's `output` says."""

OUTPUTS = ("torch", "numpy", "arrow")
ID_DTYPES = ("int64", "int32")


class Target:
    """What tensors become and where they go: a loader's output, id_dtype, pin_memory and device."""

    def __init__(self, output: str, id_dtype: str, pin_memory: bool, device: Any) -> None:
        if id_dtype not in ID_DTYPES:
            raise InvalidRequest(f"id_dtype is 'int64' or 'int32', not {id_dtype!r}")
        self.output = output
        self.id_dtype = id_dtype
        self.convert = converter(output)
        self.pin_memory = pin_memory
        self.device = None if device is None else _torch_device(output, device)
        if pin_memory:
            _check_pinning(output)

    @property
    def prefetches(self) -> bool:
        """Whether batches are copied ahead, on a stream of their own."""
        return self.device is not None and self.device.type == "cuda"

    def place(self, batch: Any) -> Any:
        """The batch where it was asked for, unless it is copied ahead."""
        if self.prefetches:
            return batch
        if self.pin_memory:
            batch = batch.pin_memory()
        return batch if self.device is None else batch.to(self.device)

    def check_child(self) -> None:
        """Pinned and device memory belong to the process that trains."""
        if self.pin_memory or self.device is not None:
            raise InvalidRequest(
                "pin_memory and device are the trainer's process's, and this is a torch DataLoader worker: give pin_memory=True "
                "to torch's DataLoader and call batch.to(device) there, or use num_workers=0"
            )

    def __reduce__(self) -> Any:
        return Target, (self.output, self.id_dtype, self.pin_memory, self.device)


def converter(output: str) -> Callable[[_dpp.Tensor], Array]:
    """The function that makes `output`'s arrays of our tensors."""
    if output not in OUTPUTS:
        raise InvalidRequest(f"output is one of {', '.join(map(repr, OUTPUTS))}, not {output!r}")
    try:
        return {"torch": _torch, "numpy": _numpy, "arrow": _arrow}[output]()
    except ImportError as error:
        raise InvalidRequest(
            f"output={output!r} needs {error.name}, which is not installed: install it, or choose another output"
        ) from None


def _torch_device(output: str, device: Any) -> Any:
    if output != "torch":
        raise InvalidRequest(f"device={device!r} needs output='torch', not {output!r}")
    import torch

    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InvalidRequest(f"device={device!r} is none that torch knows: {str(error).splitlines()[0]}") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InvalidRequest(f"device={device!r}: torch sees no GPU here")
    return found


def _check_pinning(output: str) -> None:
    if output != "torch":
        raise InvalidRequest(f"pin_memory=True needs output='torch', not {output!r}")
    if not sys.modules["torch"].cuda.is_available():
        raise InvalidRequest("pin_memory=True: torch sees no GPU here to pin memory for")


def _torch() -> Callable[[_dpp.Tensor], Array]:
    from torch import from_dlpack

    return from_dlpack


def _numpy() -> Callable[[_dpp.Tensor], Array]:
    import numpy

    return numpy.asarray


def _arrow() -> Callable[[_dpp.Tensor], Array]:
    import pyarrow

    types = {
        "float32": pyarrow.float32(),
        "int64": pyarrow.int64(),
        "int32": pyarrow.int32(),
        "uint8": pyarrow.uint8(),
    }

    def convert(tensor: _dpp.Tensor) -> Array:
        rows, *inner = tensor.shape
        width = prod(inner)
        values = pyarrow.Array.from_buffers(types[tensor.dtype], rows * width, [None, pyarrow.py_buffer(tensor)])
        if not inner:
            return values
        return pyarrow.Array.from_buffers(pyarrow.list_(values.type, width), rows, [None], children=[values])

    return convert


def to_bool(mask: Array) -> Array:
    """A byte mask as booleans."""
    return mask.cast("bool") if _is_arrow(mask) else mask != 0


def minus(offsets: Array, start: int) -> Array:
    """`offsets − start`, of the same type."""
    if not start:
        return offsets
    if _is_arrow(offsets):
        import pyarrow.compute

        return pyarrow.compute.cast(pyarrow.compute.subtract(offsets, start), offsets.type)
    return offsets - start


def with_nulls(values: Array, mask: Array) -> Array:
    """An Arrow array whose rows are null where `mask` is 0; other arrays have no nulls and stay as they are."""
    if not _is_arrow(values):
        return values
    import pyarrow

    bitmap = mask.cast("bool").buffers()[1]
    return pyarrow.Array.from_buffers(values.type, len(values), [bitmap, values.buffers()[1]])


def _is_arrow(array: Array) -> bool:
    return type(array).__module__.startswith("pyarrow")
