"""What a picture has beside its colours, for the one that is made from it: transparency, profile, depth."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from ganzoo.api import Field, ImageFrame, ImageHeader, as_floats, decode_image, to_pixels

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

_PNG_COLOURS = {1: 0, 3: 2, 4: 6}
_PROFILE_BYTES = 4 << 20
_OPAQUE = (".jpg", ".jpeg")
_DEEP = (".png",)


@dataclass(frozen=True)
class Kept:
    """`alpha`: (h, w) in 0..1, None for an opaque picture; `profile`: of its colours; `deep`: 16 bits."""

    alpha: NDArray[np.float32] | None = None
    profile: bytes = b""
    deep: bool = False


def own_size(field: Field) -> bool:
    """Whether files keep their size: height and width are free."""
    return {"height", "width"} <= set(field.free)


def kept_of(path: Path, frame: ImageFrame, header: ImageHeader | None) -> Kept | None:
    """What a file has; None if nothing, and for a file that cannot be read."""
    if header is None:
        return None
    found = Kept(profile=_profile(path), deep=header.dtype == "uint16")
    if header.alpha and not found.deep:
        with suppress(OSError, ValueError):
            pixels = decode_image(path, ImageFrame(frame.height, frame.width, 4, frame.fit))
            if pixels[3].min() < 255:
                found = Kept(pixels[3].astype(np.float32) / 255, found.profile)
    return found if found.deep or found.profile or found.alpha is not None else None


def _profile(path: Path) -> bytes:
    """The colour profile of RGB that a file has, if Pillow reads it."""
    with suppress(Exception), Image.open(path) as image:  # readers raise errors of many classes
        raw = image.info.get("icc_profile", b"")
        if isinstance(raw, bytes) and 0 < len(raw) <= _PROFILE_BYTES:
            space = ImageCms.ImageCmsProfile(io.BytesIO(raw)).profile.xcolor_space.strip()
            return raw if space == "RGB" else b""
    return b""


def with_kept(field: Field, samples: Array, suffix: str, kept: Kept) -> bytes:
    """One image (1, ...) as a file, with what was kept of the one that it was made from.

    16 bits in a .png only. Colours were read in sRGB: they go back to those of the profile, which the file
    gets. Pixels were put on white: the result on white is what the generator wrote.
    """
    profile = kept.profile if field.shape[0] == 3 else b""
    if kept.deep and suffix in _DEEP and samples.dtype != np.uint8:
        return deep_png(_sixteen(field, samples[0]), profile)
    pixels = samples[0] if samples.dtype == np.uint8 else to_pixels(field, as_floats(field, samples))[0]
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if kept.alpha is not None and suffix not in _OPAQUE:
        image = _transparent(pixels, kept.alpha)
    if profile and not kept.deep:
        image = _in_profile(image, profile)
    file = io.BytesIO()
    options = {"icc_profile": profile} if profile else {}
    image.save(file, format=Image.registered_extensions()[suffix], **options)
    return file.getvalue()


def _sixteen(field: Field, sample: Array) -> NDArray[np.uint16]:
    """The values of 16 bits that the network was trained on, or all of them: as a file was read."""
    low, high = field.range or (-1.0, 1.0)
    first, last = field.facts.get("ranges", {}).get("uint16", (0, 65_535))
    shares = (sample.astype(np.float64) - low) / (high - low)
    levels: Array = np.rint(first + shares * (last - first)).clip(0, 65_535)
    return levels.astype(np.uint16).transpose(1, 2, 0)


def _transparent(pixels: Pixels, alpha: NDArray[np.float32]) -> Image.Image:
    """The picture that, put on white, has these pixels; its transparency is enlarged apart."""
    height, width, channels = pixels.shape
    resized = Image.fromarray(alpha).resize((width, height), Image.Resampling.BICUBIC)
    opacity = np.asarray(resized).clip(0, 1)[..., None]
    colours = 255 + (pixels - 255.0) / np.maximum(opacity, 1 / 255)
    whole = np.concatenate([colours, 255 * opacity], axis=2)
    levels = np.rint(whole.clip(0, 255)).astype(np.uint8)
    return Image.fromarray(levels, "LA" if channels == 1 else "RGBA")


def _in_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """An sRGB image in the colours of a profile; unchanged where that is sRGB itself, or damaged."""
    with suppress(ImageCms.PyCMSError, OSError, ValueError):
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" not in ImageCms.getProfileDescription(own):
            alpha = image.getchannel("A") if image.mode == "RGBA" else None
            srgb = ImageCms.createProfile("sRGB")
            moved = ImageCms.profileToProfile(image.convert("RGB"), srgb, own, outputMode="RGB")
            if moved is not None:
                if alpha is not None:
                    moved.putalpha(alpha)
                return moved
    return image


def deep_png(values: Array, profile: bytes = b"") -> bytes:
    """A PNG of 16 bits. Pillow writes it with one channel only; the format itself is simple enough.

    Values are uint16 (height, width, 1, 3 or 4).
    """
    height, width, channels = values.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOURS[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))
    chunks = chunk(b"IHDR", head)
    if profile:
        chunks += chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))
    chunks += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks
