"""AES-GCM in plain Python, to wrap a few keys with: written from FIPS 197 and NIST SP 800-38D, not from our Rust."""

from __future__ import annotations

import os


def seal(key: bytes, plain: bytes, aad: bytes = b"") -> bytes:
    """nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)."""
    nonce = os.urandom(12)
    ciphertext = _counted(key, nonce, plain)
    return nonce + ciphertext + _tag(key, nonce, ciphertext, aad)


def open_(key: bytes, sealed: bytes, aad: bytes = b"") -> bytes:
    """What `seal` sealed; ValueError when key, bytes or `aad` are other ones."""
    nonce, ciphertext, tag = sealed[:12], sealed[12:-16], sealed[-16:]
    if _tag(key, nonce, ciphertext, aad) != tag:
        raise ValueError("not sealed with this key, or not for this")
    return _counted(key, nonce, ciphertext)


def _counted(key: bytes, nonce: bytes, text: bytes) -> bytes:
    stream = b"".join(_block(key, nonce + (at + 2).to_bytes(4)) for at in range(-(-len(text) // 16)))
    return bytes(one ^ other for one, other in zip(text, stream))


def _tag(key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    h, state = int.from_bytes(_block(key, bytes(16))), 0
    lengths = (8 * len(aad)).to_bytes(8) + (8 * len(ciphertext)).to_bytes(8)
    for text in (aad, ciphertext, lengths):
        for at in range(0, len(text), 16):
            state = _times(state ^ int.from_bytes(text[at : at + 16].ljust(16, b"\0")), h)
    return (state ^ int.from_bytes(_block(key, nonce + (1).to_bytes(4)))).to_bytes(16)


def _times(x: int, y: int) -> int:
    """In GF(2^128), bits in GCM's reflected order."""
    z = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            z ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return z


def _block(key: bytes, block: bytes) -> bytes:
    words = _expanded(key)
    rounds = len(words) // 4 - 1
    state = [a ^ b for a, b in zip(block, b"".join(words[:4]))]
    for number in range(1, rounds + 1):
        state = [SBOX[byte] for byte in state]
        state = [state[(at + 4 * (at % 4)) % 16] for at in range(16)]
        if number < rounds:
            state = [byte for at in range(0, 16, 4) for byte in _mixed(state[at : at + 4])]
        state = [a ^ b for a, b in zip(state, b"".join(words[4 * number : 4 * number + 4]))]
    return bytes(state)


def _mixed(column: list[int]) -> list[int]:
    total = column[0] ^ column[1] ^ column[2] ^ column[3]
    return [byte ^ total ^ _double(byte ^ column[(at + 1) % 4]) for at, byte in enumerate(column)]


def _double(byte: int) -> int:
    return byte << 1 ^ (0x11B if byte & 0x80 else 0)


def _expanded(key: bytes) -> list[bytes]:
    words = [key[at : at + 4] for at in range(0, len(key), 4)]
    length, constant = len(words), 1
    for at in range(length, 4 * (length + 7)):
        word = words[-1]
        if at % length == 0:
            word = bytes(SBOX[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _double(constant)
        elif length > 6 and at % length == 4:
            word = bytes(SBOX[byte] for byte in word)
        words.append(bytes(a ^ b for a, b in zip(words[-length], word)))
    return words


def _substitutions() -> list[int]:
    box, p, q = [0x63] * 256, 1, 1
    while True:
        p ^= _double(p)  # times 3
        q ^= q << 1  # divided by 3
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        q ^= 0x09 if q & 0x80 else 0
        turned = q ^ _turn(q, 1) ^ _turn(q, 2) ^ _turn(q, 3) ^ _turn(q, 4)
        box[p] = turned ^ 0x63
        if p == 1:
            return box


def _turn(byte: int, by: int) -> int:
    return (byte << by | byte >> 8 - by) & 0xFF


SBOX = _substitutions()
