"""What is packed within a value: base64, hexadecimal digits, gzip and zlib.

Lives here: finding and unpacking it, within bounds. Does not live here: the search of what comes out.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator

LIMIT = 1 << 24  # bytes that may come out of one value; more is made to exhaust memory
MAX_LAYERS = 3  # base64 of gzip of base64
PROBE = 1 << 10
MIN_INFLATED = 8  # bytes; less comes of noise that looks like a stream for a while

_BASE64 = re.compile(rb"[A-Za-z0-9+/]{12,}(?:\r?\n[A-Za-z0-9+/]+)*")
_HEX = re.compile(rb"[0-9A-Fa-f]{2}(?:[ :-]?[0-9A-Fa-f]{2}){7,}")
_ANY = zlib.MAX_WBITS | 32  # gzip or zlib
_STREAM = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")


def unpacked(data: bytes) -> Iterator[bytes]:
    """Yield what is packed in some bytes, and what is packed in that."""
    left, pending = LIMIT, [(data, 1)]
    while pending:
        outer, layer = pending.pop()
        for piece in _pieces(outer):
            left -= len(piece)
            if left < 0:
                return
            yield piece
            if layer < MAX_LAYERS:
                pending.append((piece, layer + 1))


def _pieces(data: bytes) -> Iterator[bytes]:
    for found in _BASE64.finditer(data):
        run = re.sub(rb"\s", b"", found.group())
        yield base64.b64decode(run[: len(run) - (len(run) % 4 == 1)] + b"==")
    for found in _HEX.finditer(data):
        yield bytes.fromhex(re.sub(rb"[ :-]", b"", found.group()).decode())
    for found in _STREAM.finditer(data):
        yield from _inflated(memoryview(data)[found.start() :])


def _inflated(data: memoryview) -> Iterator[bytes]:
    try:
        if not zlib.decompressobj(_ANY).decompress(data[:PROBE]):  # what is no stream shows it here, at little cost
            return
        made = zlib.decompressobj(_ANY).decompress(data, LIMIT)
    except zlib.error:
        return
    if len(made) >= MIN_INFLATED:
        yield made
