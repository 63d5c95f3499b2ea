"""A note inside generated files: made by a machine, by which generator. Reads it back.

PNG, JPEG, WEBP, GIF and MP4 get an XMP packet with IPTC's DigitalSourceType, WAV gets a RIFF INFO list.
Other programs read both. Samples do not change.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Mapping
from html import escape, unescape
from pathlib import Path

from ganzoo.util.files import storage, write_synced

__all__ = ["CHANGED", "MARKED", "SYNTHETIC", "mark", "read_mark"]

MARKED = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".mp4", ".wav")
"""Endings of files that can carry a note."""

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SYNTHETIC = f"{_IPTC}trainedAlgorithmicMedia"
"""IPTC's name for media that a trained model made."""

CHANGED = f"{_IPTC}compositeWithTrainedAlgorithmicMedia"
"""IPTC's name for media that a trained model made from others."""

_PNG = b"\x89PNG\r\n\x1a\n"
_XMP_KEYWORD = b"XML:com.adobe.xmp"
# XMP in GIF (XMP specification, part 3, 1.1.2): an application extension whose text is not in blocks, and
# bytes that lead every reader of blocks to its end.
_GIF_XMP = b"\x21\xff\x0bXMP DataXMP"
_GIF_END = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
# XMP in the other formats (XMP specification, part 3): an APP1 segment, a chunk of RIFF, a box.
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_MP4_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_LARGEST_NOTE = 2**16

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:ganzoo="urn:ganzoo"
 xmp:CreatorTool="{tool}" Iptc4xmpExt:DigitalSourceType="{kind}" ganzoo:facts="{facts}"/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
_FACTS = re.compile(r'ganzoo:facts="([^"]*)"')


def mark(path: Path, tool: str, facts: Mapping[str, object], kind: str = SYNTHETIC) -> bool:
    """Put a note into a file that was just written; False for files that cannot carry one.

    `tool` is the program with its version; `facts` (JSON-ready) come back from `read_mark`. `kind` is one of
    IPTC's, for pictures. StorageError when the disk cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in MARKED:
        return False
    text = json.dumps(dict(facts), ensure_ascii=True, sort_keys=True)
    packet = _PACKET.format(tool=escape(tool), kind=kind, facts=escape(text)).encode()
    with storage(path):
        data = path.read_bytes()
        made = _wav(data, tool, text) if suffix == ".wav" else _WRITERS[suffix](data, packet)
        if made is None:
            return False
        write_synced(path, made)
    return True


def read_mark(path: Path) -> dict[str, object] | None:
    """The facts in ganzoo's note in a file; None if it has none. ValueError for a damaged note."""
    with storage(path):
        data = path.read_bytes()
    if data.startswith(_PNG):
        note = _of_png(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _facts(_of_wav(data))
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        note = dict(_chunks(data[12:])).get(b"XMP ")
    elif data[:2] == b"\xff\xd8":
        note = _of_jpeg(data)
    elif data[4:8] == b"ftyp":
        note = _of_mp4(data)
    else:
        start = data.find(_GIF_XMP) if data[:3] == b"GIF" else -1
        end = data.find(_GIF_END, start)
        note = data[start:end] if 0 <= start < end else None
    if note is None:
        return None
    found = _FACTS.search(note[:_LARGEST_NOTE].decode("utf-8", "replace"))
    return _facts(unescape(found.group(1)) if found else None)


def _facts(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("the note in the file is damaged") from error
    if not isinstance(facts, dict):
        raise ValueError("the note in the file is not one of ganzoo")
    return facts


def _png(data: bytes, packet: bytes) -> bytes | None:
    """An iTXt chunk (PNG 11.3.3.4) after the header, which has 25 bytes."""
    if not data.startswith(_PNG) or data[12:16] != b"IHDR":
        return None
    body = b"iTXt" + _XMP_KEYWORD + b"\x00\x00\x00\x00\x00" + packet
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk + data[33:]


def _of_png(data: bytes) -> bytes | None:
    at = len(_PNG)
    while at + 8 <= len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"iTXt" and data[at + 8 :].startswith(_XMP_KEYWORD + b"\x00"):
            return data[at + 8 : at + 8 + size]
        at += 12 + size
    return None


def _gif(data: bytes, packet: bytes) -> bytes | None:
    """Before the trailer."""
    if data[:3] != b"GIF" or not data.endswith(b"\x3b"):
        return None
    return data[:-1] + _GIF_XMP + packet + _GIF_END + b"\x3b"


def _jpeg(data: bytes, packet: bytes) -> bytes | None:
    """An APP1 segment after the one of JFIF, which must be the first."""
    if data[:2] != b"\xff\xd8" or len(packet) > 65_000:
        return None
    at = 4 + int.from_bytes(data[4:6]) if data[2:4] == b"\xff\xe0" else 2
    return (
        data[:at]
        + b"\xff\xe1"
        + struct.pack(">H", 2 + len(_JPEG_XMP + packet))
        + _JPEG_XMP
        + packet
        + data[at:]
    )


def _of_jpeg(data: bytes) -> bytes | None:
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":  # until the scan begins
        size = int.from_bytes(data[at + 2 : at + 4])
        if data[at + 1 : at + 2] == b"\xe1" and data[at + 4 :].startswith(_JPEG_XMP):
            return data[at + 4 : at + 2 + size]
        at += 2 + max(size, 2)
    return None


def _webp(data: bytes, packet: bytes) -> bytes | None:
    """A chunk at the end. The simple form of the format becomes the extended one, whose header names it."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    chunks = _chunks(data[12:])
    name, body = chunks[0] if chunks else (b"", b"")
    if name == b"VP8X":
        extended, chunks = body, chunks[1:]
    elif name == b"VP8L":  # RFC 9649, 3.4: 14 bits of width - 1 and of height - 1, then one for alpha
        bits = int.from_bytes(body[1:5], "little")
        extended = _vp8x(bits & 0x3FFF, bits >> 14 & 0x3FFF, alpha=bits >> 28 & 1)
    elif name == b"VP8 ":  # RFC 6386, 9.1: width and height after the start code, 14 bits each
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        extended = _vp8x(max(width, 1) - 1, max(height, 1) - 1, alpha=0)
    else:
        return None
    if len(extended) != 10:
        return None
    header = bytes((extended[0] | 0x04,)) + extended[1:]
    body = b"WEBP" + b"".join(_chunk(*each) for each in [(b"VP8X", header), *chunks, (b"XMP ", packet)])
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _vp8x(right: int, bottom: int, *, alpha: int) -> bytes:
    """The header of the extended form (RFC 9649, 2.7): flags, and width and height, each minus one."""
    return bytes((0x10 * alpha, 0, 0, 0)) + right.to_bytes(3, "little") + bottom.to_bytes(3, "little")


def _mp4(data: bytes, packet: bytes) -> bytes | None:
    """A box at the end."""
    if data[4:8] != b"ftyp":
        return None
    body = b"uuid" + _MP4_XMP + packet
    return data + struct.pack(">I", 4 + len(body)) + body


def _of_mp4(data: bytes) -> bytes | None:
    at = 0
    while at + 24 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 24] == b"uuid" + _MP4_XMP:
            return data[at + 24 : at + size]
        if size == 1:  # the size has 64 bits
            size = int.from_bytes(data[at + 8 : at + 16])
        at += max(size, 8) if size else len(data)  # 0: the rest of the file
    return None


def _wav(data: bytes, tool: str, text: str) -> bytes | None:
    """A LIST chunk of kind INFO at the end: ISFT is the software, ICMT the comment."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    items = b"".join(
        _chunk(key, value.encode() + b"\x00") for key, value in ((b"ISFT", tool), (b"ICMT", text))
    )
    body = data[8:] + b"\x00" * (len(data) % 2) + _chunk(b"LIST", b"INFO" + items)
    if len(body) >= 1 << 32:
        return None
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)


def _of_wav(data: bytes) -> str | None:
    """The comment of the INFO list, if a ganzoo wrote it."""
    for name, body in _chunks(data[12:]):
        if name == b"LIST" and body[:4] == b"INFO":
            items = dict(_chunks(body[4:]))
            if items.get(b"ISFT", b"").startswith(b"ganzoo "):
                return items.get(b"ICMT", b"")[:_LARGEST_NOTE].rstrip(b"\x00").decode("utf-8", "replace")
    return None


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at + 8 <= len(data):
        (size,) = struct.unpack("<I", data[at + 4 : at + 8])
        found.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return found


_WRITERS = {".png": _png, ".jpg": _jpeg, ".jpeg": _jpeg, ".webp": _webp, ".gif": _gif, ".mp4": _mp4}
