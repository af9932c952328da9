"""A blueprint: bytes that really are a PNG, JPG or PDF within the limits. Parsed once, then trusted."""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from utils.errors import FileTooLargeError, InvalidFileFormatError

MAX_FILE_BYTES: Final = 50 * 1024 * 1024
MAX_IMAGE_PIXELS: Final = 120_000_000
MAX_IMAGE_SIDE_PX: Final = 30_000
MAX_PAGES: Final = 200
MAX_PAGE_SIDE_PT: Final = 100 * 72.0

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PDF_HEADER_WINDOW_BYTES: Final = 1024
# JPEG markers that start a frame and carry its size (ITU-T T.81, table B.1), without DHT, JPG and DAC.
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MAX_JPEG_STEPS: Final = 100_000  # 50 MB of fill bytes would keep a request busy for seconds

# What people send by mistake, so that the answer can name it.
_OTHER_KINDS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"GIF8", "GIF image"),
    (b"BM", "BMP image"),
    (b"II*\x00", "TIFF image"),
    (b"MM\x00*", "TIFF image"),
    (b"RIFF", "RIFF container (WebP, WAV or AVI)"),
    (b"MZ", "Windows executable"),
    (b"\x7fELF", "Linux executable"),
    (b"PK\x03\x04", "ZIP archive or Office document"),
    (b"AC10", "DWG drawing"),
    (b"%!PS", "PostScript document"),
)


class BlueprintFormat(StrEnum):
    """The three formats a blueprint may have."""

    PNG = "png"
    JPG = "jpg"
    PDF = "pdf"

    @property
    def content_type(self) -> str:
        """The media type of the format."""
        return {"png": "image/png", "jpg": "image/jpeg", "pdf": "application/pdf"}[self.value]


ALLOWED_FORMATS: Final = tuple(f.value for f in BlueprintFormat)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Bytes that were checked to be of `format`, with their SHA-256 in hexadecimal."""

    data: bytes = field(repr=False)
    format: BlueprintFormat
    sha256: str

    @classmethod
    def parse(cls, data: bytes, declared: str | None = None) -> Blueprint:
        """The blueprint in `data`, or a clear no.

        Args:
            data: the file's bytes, at most `MAX_FILE_BYTES`.
            declared: the format the client named, if any; it must agree with the bytes.

        Raises:
            FileTooLargeError: more bytes or, for images, more pixels than the limits allow.
            InvalidFileFormatError: empty, of another kind, damaged, or not what was declared.
        """
        if declared is not None:
            check_declared_format(declared)
        check_file_size(len(data))
        seen = sniff_format(data)
        if not isinstance(seen, BlueprintFormat):
            raise InvalidFileFormatError(
                f"The file is not a PNG, JPG or PDF: it looks like {seen}.", seen=seen, allowed=list(ALLOWED_FORMATS)
            )
        if declared is not None and declared != seen:
            raise InvalidFileFormatError(
                f"The file was declared as {declared}, but its bytes are {seen}.",
                declared=declared,
                seen=seen.value,
                allowed=list(ALLOWED_FORMATS),
            )
        if seen is not BlueprintFormat.PDF:
            width_px, height_px = _png_size(data) if seen is BlueprintFormat.PNG else _jpeg_size(data)
            check_image_size(width_px, height_px)
        return cls(data, seen, hashlib.sha256(data).hexdigest())


def check_declared_format(declared: str) -> BlueprintFormat:
    """The format that `declared` names.

    Raises:
        InvalidFileFormatError: it is none of png, jpg and pdf.
    """
    try:
        return BlueprintFormat(declared)
    except ValueError:
        shown = declared[:40]
        raise InvalidFileFormatError(
            f"The format {shown!r} is not supported; use png, jpg or pdf.",
            declared=shown,
            allowed=list(ALLOWED_FORMATS),
        ) from None


def check_file_size(size_bytes: int) -> None:
    """Nothing, if a file of this size may be kept.

    Raises:
        FileTooLargeError: more than `MAX_FILE_BYTES`.
    """
    if size_bytes > MAX_FILE_BYTES:
        raise FileTooLargeError(
            f"The file is larger than {MAX_FILE_BYTES // 1024**2} MB.", limit="max_file_bytes", value=MAX_FILE_BYTES
        )


def check_image_size(width_px: int, height_px: int) -> None:
    """Nothing, if an image of this size may be decoded.

    Raises:
        InvalidFileFormatError: a side is zero.
        FileTooLargeError: a side or the whole exceeds the limits.
    """
    if width_px < 1 or height_px < 1:
        raise InvalidFileFormatError("The image has no pixels.", width_px=width_px, height_px=height_px)
    size = {"width_px": width_px, "height_px": height_px}
    if max(width_px, height_px) > MAX_IMAGE_SIDE_PX:
        raise FileTooLargeError(
            f"The image is {width_px} x {height_px} px; a side may have at most {MAX_IMAGE_SIDE_PX} px.",
            limit="max_image_side_px",
            value=MAX_IMAGE_SIDE_PX,
            **size,
        )
    if width_px * height_px > MAX_IMAGE_PIXELS:
        raise FileTooLargeError(
            f"The image is {width_px} x {height_px} px; it may have at most {MAX_IMAGE_PIXELS} px in all.",
            limit="max_image_pixels",
            value=MAX_IMAGE_PIXELS,
            **size,
        )


def sniff_format(data: bytes) -> BlueprintFormat | str:
    """The format that the bytes show, or a few words on what they look like instead."""
    if not data:
        return "an empty file"
    if data.startswith(_PNG_SIGNATURE):
        return BlueprintFormat.PNG
    if data.startswith(b"\xff\xd8\xff"):
        return BlueprintFormat.JPG
    for magic, words in _OTHER_KINDS:
        if data.startswith(magic):
            return f"a {words}"
    head = data[:_PDF_HEADER_WINDOW_BYTES]
    text = head.lstrip(b"\xef\xbb\xbf\x00 \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml")):
        return "SVG or XML text"
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<script")):
        return "an HTML page"
    if b"%PDF-" in head:  # readers accept up to 1,024 bytes of junk before the header (ISO 32000-1, annex H.3.4.1)
        return BlueprintFormat.PDF
    if b"\x00" not in head and sum(byte >= 32 or byte in b"\t\r\n" for byte in head) > 0.95 * len(head):
        return "plain text"
    return "unknown binary data"


def _png_size(data: bytes) -> tuple[int, int]:
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise InvalidFileFormatError("The PNG is truncated or damaged: it has no header chunk.", seen="png")
    width_px, height_px = struct.unpack(">II", data[16:24])
    if b"IEND" not in data[-64:] and b"IEND" not in data:
        raise InvalidFileFormatError("The PNG is truncated: its end is missing.", seen="png")
    return width_px, height_px


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(_MAX_JPEG_STEPS):
        if at + 9 >= len(data) or data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:  # fill bytes and markers without a length
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _JPEG_FRAMES:
            height_px, width_px = struct.unpack(">HH", data[at + 5 : at + 9])
            if data.find(b"\xff\xd9", at) < 0:
                raise InvalidFileFormatError("The JPG is truncated: its end is missing.", seen="jpg")
            return width_px, height_px
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    raise InvalidFileFormatError("The JPG is truncated or damaged: it has no frame header.", seen="jpg")


_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


@dataclass(frozen=True, slots=True)
class PageSelection:
    """Which pages of a document are wanted, as sorted inclusive ranges of 1-based numbers; none means all."""

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> PageSelection:
        """The selection written as in `1-3,7`; None or nothing selects every page.

        Raises:
            ValueError: with a sentence that says what was expected.
        """
        if text is None or not text.strip():
            return cls()
        ranges = []
        for part in text.split(","):
            match = _RANGE.fullmatch(part.strip())
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
            if not 1 <= first <= last:
                raise ValueError(f"pages must look like 1-3,7 with numbers from 1 up, not {text[:40]!r}")
            ranges.append((first, last))
        return cls(tuple(sorted(ranges)))

    def __str__(self) -> str:
        return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in self.ranges)

    def of(self, page_count: int) -> list[int]:
        """The selected pages of a document of `page_count` pages, ascending, each once."""
        if not self.ranges:
            return list(range(1, page_count + 1))
        return [n for n in range(1, page_count + 1) if any(a <= n <= b for a, b in self.ranges)]
