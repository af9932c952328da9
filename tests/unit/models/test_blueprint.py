from __future__ import annotations

import hashlib
import io
import struct
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from models.blueprint import (
    MAX_FILE_BYTES,
    MAX_IMAGE_PIXELS,
    MAX_IMAGE_SIDE_PX,
    Blueprint,
    BlueprintFormat,
    PageSelection,
    check_declared_format,
    check_file_size,
    check_image_size,
    sniff_format,
)
from utils.errors import FileTooLargeError, InvalidFileFormatError

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def image(form: str, size: tuple[int, int] = (7, 5), mode: str = "L", **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, form, **options)
    return out.getvalue()


PNG, JPG = image("PNG"), image("JPEG")
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n%%EOF\n"


def png_claiming(width_px: int, height_px: int) -> bytes:
    return PNG[:16] + struct.pack(">II", width_px, height_px) + PNG[24:]


def jpg_claiming(width_px: int, height_px: int) -> bytes:
    frame = JPG.index(b"\xff\xc0")
    return JPG[: frame + 5] + struct.pack(">HH", height_px, width_px) + JPG[frame + 9 :]


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (PNG, "png"),
        (image("PNG", mode="1"), "png"),
        (image("PNG", mode="RGBA"), "png"),
        (image("PNG", mode="I;16"), "png"),
        (JPG, "jpg"),
        (image("JPEG", mode="CMYK"), "jpg"),
        (image("JPEG", progressive=True), "jpg"),
        (JPG[:2] + b"\xff" * 9 + JPG[2:], "jpg"),
        (JPG[:2] + b"\xff\x01" + JPG[2:], "jpg"),
        (PDF, "pdf"),
        (b"\xef\xbb\xbf" + PDF, "pdf"),
        (b"junk of a mail gateway\r\n" * 40 + PDF, "pdf"),
    ],
)
def test_a_real_file_is_a_blueprint_of_its_kind(data: bytes, form: str) -> None:
    for declared in (None, form):
        blueprint = Blueprint.parse(data, declared)
        assert blueprint == Blueprint(data, BlueprintFormat(form), hashlib.sha256(data).hexdigest())
    assert repr(data[:8]) not in repr(blueprint)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (image("GIF"), "GIF image"),
        (image("BMP"), "BMP image"),
        (image("TIFF"), "TIFF image"),
        (b"MM\x00*" + bytes(20), "TIFF image"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "WebP"),
        (b"MZ" + bytes(60), "Windows executable"),
        (b"\x7fELF" + bytes(60), "Linux executable"),
        (b"PK\x03\x04" + bytes(60), "ZIP"),
        (b"AC1032" + bytes(60), "DWG"),
        (b"%!PS-Adobe-3.0", "PostScript"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf <?xml version='1.0'?>", "SVG or XML"),
        (b"\n<!DOCTYPE html><title>no</title>", "HTML"),
        (b"<script>alert(1)</script>%PDF-1.4", "HTML"),
        (b"just some text\n", "plain text"),
        (bytes(range(256)), "unknown binary data"),
        (b"j" * 1024 + PDF, "plain text"),
    ],
)
def test_another_kind_is_named_with_what_is_allowed(data: bytes, words: str) -> None:
    with pytest.raises(InvalidFileFormatError, match="not a PNG, JPG or PDF") as caught:
        Blueprint.parse(data)
    assert words in caught.value.details["seen"]
    assert caught.value.details["allowed"] == ["png", "jpg", "pdf"]


@pytest.mark.parametrize(("data", "declared"), [(JPG, "png"), (PNG, "pdf"), (PDF, "jpg")])
def test_a_declaration_that_the_bytes_do_not_keep(data: bytes, declared: str) -> None:
    with pytest.raises(InvalidFileFormatError) as caught:
        Blueprint.parse(data, declared)
    assert caught.value.details["declared"] == declared
    assert caught.value.details["seen"] == sniff_format(data)


@pytest.mark.parametrize("declared", ["gif", "PNG", "jpeg", "", "png ", "x" * 1000])
def test_a_format_outside_the_three(declared: str) -> None:
    with pytest.raises(InvalidFileFormatError) as caught:
        Blueprint.parse(PNG, declared)
    assert len(caught.value.details["declared"]) <= 40
    assert check_declared_format("png") is BlueprintFormat.PNG


@pytest.mark.parametrize("data", [PNG, JPG], ids=["png", "jpg"])
def test_a_file_cut_short_is_no_blueprint(data: bytes) -> None:
    for length in range(3, len(data) - 14):
        with pytest.raises(InvalidFileFormatError):
            Blueprint.parse(data[:length])


@pytest.mark.parametrize("claiming", [png_claiming, jpg_claiming])
def test_the_size_is_checked_before_anything_is_decoded(claiming: object) -> None:
    claim = png_claiming if claiming is png_claiming else jpg_claiming
    with pytest.raises(FileTooLargeError, match="a side") as caught:
        Blueprint.parse(claim(60_000, 60_000))
    assert caught.value.details == {
        "limit": "max_image_side_px",
        "value": MAX_IMAGE_SIDE_PX,
        "width_px": 60_000,
        "height_px": 60_000,
    }
    with pytest.raises(FileTooLargeError, match="in all") as caught:
        Blueprint.parse(claim(20_000, 20_000))
    assert caught.value.details["limit"] == "max_image_pixels"
    with pytest.raises(InvalidFileFormatError, match="no pixels"):
        Blueprint.parse(claim(0, 5))
    assert Blueprint.parse(claim(12_000, 10_000)).data


def test_the_largest_image_is_let_through() -> None:
    check_image_size(MAX_IMAGE_SIDE_PX, MAX_IMAGE_PIXELS // MAX_IMAGE_SIDE_PX)
    with pytest.raises(FileTooLargeError):
        check_image_size(MAX_IMAGE_SIDE_PX, MAX_IMAGE_PIXELS // MAX_IMAGE_SIDE_PX + 1)


def test_fifty_megabytes_are_let_through_and_one_byte_more_is_not() -> None:
    check_file_size(MAX_FILE_BYTES)
    assert Blueprint.parse(PDF + bytes(MAX_FILE_BYTES - len(PDF))).format is BlueprintFormat.PDF
    with pytest.raises(FileTooLargeError) as caught:
        Blueprint.parse(PDF + bytes(MAX_FILE_BYTES - len(PDF) + 1))
    assert caught.value.details == {"limit": "max_file_bytes", "value": MAX_FILE_BYTES}


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\x01", b"\xff\xfe\x00\x00", b"\xff\xd0"])
def test_millions_of_markers_do_not_keep_us_busy(filling: bytes) -> None:
    data = b"\xff\xd8\xff\xd0" + filling * (20 * 1024 * 1024 // len(filling))
    began = time.process_time()
    with pytest.raises(InvalidFileFormatError):
        Blueprint.parse(data)
    assert time.process_time() - began < 2


def blueprint_or_message(data: bytes) -> Blueprint | str:
    try:
        return Blueprint.parse(data)
    except (InvalidFileFormatError, FileTooLargeError) as error:
        return error.message


@given(
    st.one_of(
        st.binary(max_size=200),
        st.tuples(
            st.sampled_from([SIGNATURE, b"\xff\xd8\xff", b"%PDF-", SIGNATURE + b"\x00\x00\x00\rIHDR"]),
            st.binary(max_size=200),
        ).map(b"".join),
    )
)
@example(SIGNATURE)
@example(b"\xff\xd8\xff")
@example(b"\xff\xd8\xff\xc0")
@example(b"\xff\xd8\xff\xc0\x00\x00\x00\x00\x00\x00\x00\x00\x00")
@settings(max_examples=200)
def test_any_bytes_are_a_blueprint_or_a_clear_no(data: bytes) -> None:
    answer = blueprint_or_message(data)
    assert answer if isinstance(answer, str) else answer.data is data


@given(st.sampled_from([PNG, JPG]), st.data())
@settings(max_examples=200)
def test_damage_is_a_blueprint_or_a_clear_no(whole: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(whole)
    for at in draw.draw(st.lists(st.integers(0, len(whole) - 1), max_size=8)):
        damaged[at] = draw.draw(st.integers(0, 255))
    assert blueprint_or_message(bytes(damaged))


def test_each_format_has_its_media_type() -> None:
    assert [form.content_type for form in BlueprintFormat] == ["image/png", "image/jpeg", "application/pdf"]


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_selection_is_every_page(text: str | None) -> None:
    assert PageSelection.parse(text).of(3) == [1, 2, 3]
    assert str(PageSelection.parse(text)) == ""


@pytest.mark.parametrize(
    ("text", "of_five"),
    [("2", [2]), ("1-3,5", [1, 2, 3, 5]), (" 4 , 1-2", [1, 2, 4]), ("2-4,3-9", [2, 3, 4, 5]), ("7", []), ("5,5", [5])],
)
def test_a_selection_names_pages_once_and_in_order(text: str, of_five: list[int]) -> None:
    selection = PageSelection.parse(text)
    assert selection.of(5) == of_five
    assert PageSelection.parse(str(selection)) == selection


@pytest.mark.parametrize("text", ["0", "3-1", "a", "1-", "-2", "1,,2", "1;2", "1.5", "1-2-3", "9999999", "²", ","])
def test_what_is_no_selection_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="pages must look like 1-3,7"):
        PageSelection.parse(text)
