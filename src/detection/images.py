"""Pictures as upright BGR arrays: alpha over white, 16 bits to 8, CMYK to colours, EXIF orientation applied."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import pypdfium2
from numpy.typing import NDArray

from detection.regions import ByteImage
from models.blueprint import BlueprintFormat, check_image_size
from utils.errors import InvalidFileFormatError

_STRIP_ROWS: Final = 512
_SCAN_END: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_ORIENTATION_TAG: Final = 0x0112


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a file's own structure says before a pixel is decoded."""

    orientation: int = 1
    alpha: bool = False
    components: int = 3
    adobe: bool = False
    size_px: tuple[int, int] = (0, 0)  # of a JPEG
    profile: tuple[int, int] | None = None  # where a PNG keeps its colour profile, which libpng only grumbles about
    clear_grey: int | None = None  # the grey, 0..255, that a PNG of fewer than 8 bits shows as transparent


def decode_image(data: bytes, image_format: BlueprintFormat) -> ByteImage:
    """The picture as displayed: uint8 (h, w, 3), BGR.

    Raises:
        InvalidFileFormatError: truncated or damaged.
        FileTooLargeError: more pixels than the limits allow.
    """
    facts = _png_facts(data) if image_format is BlueprintFormat.PNG else _jpeg_facts(data)
    if facts.components == 4 and not facts.adobe:
        image = _decode_plain_cmyk(data, *facts.size_px)
    else:
        # OpenCV takes every CMYK picture for Adobe's inverted kind, which is right for those that say so.
        if facts.profile is not None:
            data = data[: facts.profile[0]] + data[facts.profile[1] :]
        flags = cv2.IMREAD_UNCHANGED if facts.alpha else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        try:
            image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
        except cv2.error as error:
            raise _damaged(image_format, "it cannot be decoded") from error
    if image is None:
        raise _damaged(image_format, "it cannot be decoded")
    check_image_size(image.shape[1], image.shape[0])
    if facts.clear_grey is not None and image.ndim == 2:
        image[image == facts.clear_grey] = 255  # OpenCV leaves out the transparency of these
    return _upright(_over_white(image), facts.orientation)


def _damaged(image_format: BlueprintFormat, why: str) -> InvalidFileFormatError:
    return InvalidFileFormatError(
        f"The {image_format.value.upper()} is truncated or damaged: {why}.", seen=image_format.value, page=1
    )


def _over_white(image: NDArray[Any]) -> ByteImage:
    """Any array that OpenCV decodes, as uint8 BGR; transparency shows white paper."""
    height, width = image.shape[:2]
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return image
    out = np.empty((height, width, 3), dtype=np.uint8)
    top = 65535.0 if image.dtype == np.uint16 else 255.0
    for start in range(0, height, _STRIP_ROWS):
        strip = image[start : start + _STRIP_ROWS].astype(np.float32) * np.float32(255.0 / top)
        if strip.ndim == 2 or strip.shape[2] == 1:
            strip = strip.reshape(*strip.shape[:2], 1)
        elif strip.shape[2] in (2, 4):
            cover = strip[:, :, -1:] / np.float32(255.0)
            strip = strip[:, :, :-1] * cover + np.float32(255.0) * (1 - cover)
        out[start : start + _STRIP_ROWS] = np.rint(strip).astype(np.uint8)
    return out


def _upright(image: ByteImage, orientation: int) -> ByteImage:
    """The picture turned and mirrored as its EXIF orientation (1..8) asks."""
    if orientation >= 5:
        image = cv2.transpose(image)  # type: ignore[assignment]
    # After the transposition: 2 and 6 mirror left-right, 4 and 8 top-bottom, 3 and 7 both.
    flip = {2: 1, 6: 1, 4: 0, 8: 0, 3: -1, 7: -1}.get(orientation)
    return image if flip is None else cv2.flip(image, flip)  # type: ignore[return-value]


def _decode_plain_cmyk(data: bytes, width_px: int, height_px: int) -> NDArray[Any] | None:
    """A CMYK JPEG without Adobe's marker, whose inks are not inverted: drawn as the one picture of a PDF's page."""
    try:
        document = pypdfium2.PdfDocument(_pdf_around(data, width_px, height_px))
    except pypdfium2.PdfiumError:
        return None
    try:
        array = document[0].render(scale=1, fill_color=(255, 255, 255, 255)).to_numpy()
        return np.ascontiguousarray(array[:, :, :3]).copy()
    finally:
        document.close()


def _pdf_around(data: bytes, width_px: int, height_px: int) -> bytes:
    """A PDF of one page, a point a pixel, that shows a CMYK JPEG as its inks say."""
    content = b"%d 0 0 %d 0 0 cm /P Do" % (width_px, height_px)
    size = b"/Width %d /Height %d" % (width_px, height_px)
    bodies = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R"
        b" /Resources << /XObject << /P 5 0 R >> >> >>" % (width_px, height_px),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /XObject /Subtype /Image %s /BitsPerComponent 8 /ColorSpace /DeviceCMYK /Filter /DCTDecode"
        b" /Length %d >>\nstream\n%s\nendstream" % (size, len(data), data),
    )
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % at for at in offsets)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(bodies) + 1, xref)
    return bytes(out)


def _png_facts(data: bytes) -> _Facts:
    """The facts of a PNG whose every critical chunk is whole.

    Raises:
        InvalidFileFormatError: a chunk is cut off or its checksum is wrong.
    """
    alpha, orientation, clear_grey, at = False, 1, None, 8
    depth = colour_type = 8
    profile = None
    view = memoryview(data)
    while at + 12 <= len(data):
        (length,), kind = struct.unpack_from(">I", data, at), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            break
        critical = not kind[0] & 0x20
        if critical and zlib.crc32(view[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise _damaged(BlueprintFormat.PNG, "a checksum is wrong")
        if kind == b"IHDR" and length >= 13:
            depth, colour_type = data[at + 16], data[at + 17]
            alpha = colour_type in (4, 6)
        elif kind == b"tRNS":
            alpha = True
            if colour_type == 0 and depth < 8 and length >= 2:
                clear_grey = data[at + 9] * 255 // (2**depth - 1)
        elif kind == b"iCCP":
            profile = (at, end)
        elif kind == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : end - 4])
        elif kind == b"IEND":
            return _Facts(orientation, alpha, profile=profile, clear_grey=clear_grey)
        at = end
    raise _damaged(BlueprintFormat.PNG, "its end is missing")


def _jpeg_facts(data: bytes) -> _Facts:
    """The facts of a JPEG whose markers reach its end.

    Raises:
        InvalidFileFormatError: the data stop before the end marker.
    """
    orientation, components, adobe, size_px = 1, 3, False, (0, 0)
    for marker, at, end in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and end - at >= 6:
            components = data[at + 5]
            size_px = struct.unpack_from(">HH", data, at + 1)[::-1]
        elif marker == 0xE1 and data[at : at + 6] == b"Exif\x00\x00":
            orientation = _exif_orientation(data[at + 6 : end])
        elif marker == 0xEE and data[at : at + 5] == b"Adobe":
            adobe = True
    return _Facts(orientation, components=components, adobe=adobe, size_px=size_px)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Each marker with where its content begins and ends, as far as the end marker."""
    at, scans = 2, 0
    while at + 2 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xD9 and scans:
            return
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD9:
            at += 1 if marker == 0xFF else 2
            continue
        if at + 4 > len(data):
            break
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if end > len(data):
            break
        yield marker, at + 4, end
        at = end
        if marker == 0xDA:
            scans += 1
            found = _SCAN_END.search(data, end)
            if found is None:
                break
            at = found.start()
    raise _damaged(BlueprintFormat.JPG, "its end is missing")


def _exif_orientation(tiff: bytes) -> int:
    """The orientation 1..8 in a TIFF block, 1 where it says nothing sensible."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return 1
    (offset,) = struct.unpack_from(order + "I", tiff, 4)
    if offset + 2 > len(tiff):
        return 1
    (entries,) = struct.unpack_from(order + "H", tiff, offset)
    for index in range(entries):
        at = offset + 2 + 12 * index
        if at + 12 > len(tiff):
            break
        tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, at)
        if tag == _ORIENTATION_TAG:
            return value if 1 <= value <= 8 else 1
    return 1
