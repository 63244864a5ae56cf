"""SigridHash with numpy, from its definition alone: what dpp's is compared with."""

from __future__ import annotations

import numpy as np


def sigrid_hash(ids: np.ndarray, salt: int, max_value: int) -> np.ndarray:
    """int64 [n] → int64 [n] in [0, max_value)."""
    with np.errstate(over="ignore"):
        hashed = hash128(np.uint64(salt % (1 << 64)), twang(ids.astype(np.int64).view(np.uint64)))
    return np.mod(hashed.view(np.int64), np.int64(max_value))


def twang(key: np.ndarray) -> np.ndarray:
    key = ~key + shift(key, 21)
    key = key ^ (key >> np.uint64(24))
    key = key + shift(key, 3) + shift(key, 8)
    key = key ^ (key >> np.uint64(14))
    key = key + shift(key, 2) + shift(key, 4)
    key = key ^ (key >> np.uint64(28))
    return key + shift(key, 31)


def hash128(upper: np.uint64, lower: np.ndarray) -> np.ndarray:
    multiplier = np.uint64(0x9DDFEA08EB382D69)
    a = (lower ^ upper) * multiplier
    a = a ^ (a >> np.uint64(47))
    b = (upper ^ a) * multiplier
    b = b ^ (b >> np.uint64(47))
    return b * multiplier


def shift(key: np.ndarray, bits: int) -> np.ndarray:
    return key << np.uint64(bits)
