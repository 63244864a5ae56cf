"""JPEG files of coloured tiles, written by the standard's plainest means: every 8 × 8 block is one colour.

Baseline, 4:4:4, quantised by ones: a block is the difference of its mean to the block before, and no detail.
"""

from __future__ import annotations

import struct

import numpy as np

CATEGORIES = 12
"""Of differences by their bits, 0 … 11; each has a Huffman code of four bits, its own number."""


def tiles(random: np.random.Generator, across: int, down: int) -> bytes:
    """`across` × `down` tiles of random colours."""
    return encode(random.integers(0, 256, (down, across, 3)))


def encode(blocks: np.ndarray) -> bytes:
    """`blocks` are colours by row, column and component (Y, Cb, Cr), 0 … 255."""
    down, across, _ = blocks.shape
    components = b"".join(bytes([one, 0x11, 0]) for one in (1, 2, 3))
    frame = struct.pack(">BHHB", 8, down * 8, across * 8, 3) + components
    scan = bytes([3]) + b"".join(bytes([one, 0]) for one in (1, 2, 3)) + bytes([0, 63, 0])
    lengths = bytes([0, 0, 0, CATEGORIES] + [0] * 12)
    end_of_block = bytes([1] + [0] * 15) + b"\0"
    segments = [
        _segment(0xDB, bytes([0]) + bytes([1] * 64)),
        _segment(0xC0, frame),
        _segment(0xC4, bytes([0x00]) + lengths + bytes(range(CATEGORIES))),
        _segment(0xC4, bytes([0x10]) + end_of_block),
        _segment(0xDA, scan),
    ]
    return b"\xff\xd8" + b"".join(segments) + _data(blocks.reshape(-1, 3)) + b"\xff\xd9"


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def _data(colours: np.ndarray) -> bytes:
    bits = []
    before = [0, 0, 0]
    for colour in colours.tolist():
        for component, value in enumerate(colour):
            mean = (value - 128) * 8
            bits.append(_difference(mean - before[component]) + "0")
            before[component] = mean
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    packed = int(stream, 2).to_bytes(len(stream) // 8, "big")
    return packed.replace(b"\xff", b"\xff\x00")


def _difference(difference: int) -> str:
    size = abs(difference).bit_length()
    value = difference if difference >= 0 else difference + (1 << size) - 1
    return f"{size:04b}" + (f"{value:0{size}b}" if size else "")
