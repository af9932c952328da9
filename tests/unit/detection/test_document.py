import io
import struct
import zlib

import cv2
import numpy as np
import pypdfium2
import pytest
from PIL import Image, ImageOps
from reportlab.lib.utils import ImageReader
from tests.unit.detection.drawn import changed, pdf_of, png_of

from detection.document import MAX_RASTER_PIXELS, BrokenPage, PdfPage, open_document
from detection.images import decode_image
from models.blueprint import MAX_PAGE_SIDE_PT, MAX_PAGES, Blueprint, BlueprintFormat, PageSelection
from utils.errors import FileTooLargeError, InvalidFileFormatError, InvalidRequestError

PNG, JPG = BlueprintFormat.PNG, BlueprintFormat.JPG


def sample() -> Image.Image:
    pixels = np.zeros((40, 64, 3), np.uint8)
    pixels[:20, :30] = (200, 30, 60)
    pixels[20:, 30:] = (20, 160, 250)
    pixels[5:15, 40:60] = 255
    return Image.fromarray(pixels)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def seen_by_pillow(data: bytes) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGBA")
    paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(paper, image).convert("RGB"))[:, :, ::-1]


def without_adobe_marker(data: bytes) -> bytes:
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


class TestPictures:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize(("kind", "expected"), [("PNG", PNG), ("JPEG", JPG)])
    def test_exif_orientation_is_applied(self, orientation: int, kind: str, expected: BlueprintFormat) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = saved(sample(), kind, exif=exif)
        assert np.array_equal(decode_image(data, expected), seen_by_pillow(data))

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
    def test_every_mode_becomes_colours(self, mode: str) -> None:
        image = sample().convert(mode)
        if mode in ("RGBA", "LA"):
            image.putalpha(Image.fromarray(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (40, 1))))
        data = saved(image, "PNG")
        assert np.abs(decode_image(data, PNG).astype(int) - seen_by_pillow(data)).max() <= 1

    @pytest.mark.parametrize("transparency", [0, bytes([0, 100, 255])])
    def test_transparent_palette_entries_show_paper(self, transparency: object) -> None:
        data = saved(sample().quantize(8), "PNG", transparency=transparency)
        assert np.abs(decode_image(data, PNG).astype(int) - seen_by_pillow(data)).max() <= 1

    def test_transparent_black_of_one_bit_shows_paper(self) -> None:
        data = saved(sample().convert("1"), "PNG", transparency=0)
        assert (decode_image(data, PNG) == 255).all()

    def test_16_bits_are_scaled_to_8(self) -> None:
        values = np.arange(40 * 64, dtype=np.uint16).reshape(40, 64) * 25
        decoded = decode_image(png_of(values), PNG)
        assert np.abs(decoded[:, :, 1] - values / 257).max() < 1

    def test_16_bits_with_alpha(self) -> None:
        values = np.random.default_rng(3).integers(0, 65536, (40, 64, 4)).astype(np.uint16)
        cover = values[:, :, 3:] / 65535
        expected = values[:, :, :3] / 257 * cover + 255 * (1 - cover)
        assert np.abs(decode_image(png_of(values), PNG) - expected).max() < 1

    def test_cmyk_of_adobe(self) -> None:
        data = saved(sample().convert("CMYK"), "JPEG", quality=95)
        assert b"Adobe" in data
        assert np.abs(decode_image(data, JPG).astype(int) - seen_by_pillow(data)).max() <= 2

    def test_cmyk_without_adobes_marker_is_not_inverted(self) -> None:
        inks = np.zeros((32, 32, 4), np.uint8)
        inks[:16, :, 3] = 255  # black above
        data = without_adobe_marker(saved(Image.fromarray(255 - inks, "CMYK"), "JPEG", quality=95))
        # Pillow inverts what it writes, so the file holds ink where ink is meant, and says nothing of Adobe.
        decoded = decode_image(data, JPG)
        assert decoded.shape == (32, 32, 3)
        assert decoded[4, 16].max() < 60
        assert decoded[28, 16].min() > 240

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
    def test_a_jpeg_cut_off_is_refused(self, share: float) -> None:
        noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (80, 80, 3), np.uint8))
        data = saved(noise, "JPEG")
        with pytest.raises(InvalidFileFormatError):
            decode_image(data[: int(len(data) * share)], JPG)

    def test_a_jpeg_cut_off_is_refused_though_a_thumbnail_ends(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 1
        noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (80, 80, 3), np.uint8))
        data = saved(noise, "JPEG", exif=exif, comment=b"\xff\xd9")
        with pytest.raises(InvalidFileFormatError):
            decode_image(data[: len(data) // 2], JPG)

    def test_a_progressive_jpeg_is_read_whole(self) -> None:
        data = saved(sample(), "JPEG", progressive=True)
        assert np.abs(decode_image(data, JPG).astype(int) - seen_by_pillow(data)).max() <= 2

    def test_a_png_with_a_wrong_checksum_is_refused(self) -> None:
        data = bytearray(saved(sample(), "PNG"))
        at = data.index(b"IDAT") + 10
        data[at] ^= 0xFF
        with pytest.raises(InvalidFileFormatError, match="checksum"):
            decode_image(bytes(data), PNG)

    def test_a_png_whose_pixels_end_early_is_refused_or_whole(self) -> None:
        header = struct.pack(">IIBBBBB", 64, 40, 8, 2, 0, 0, 0)
        body = b"".join(
            struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
            for kind, part in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(193 * 10))), (b"IEND", b""))
        )
        with pytest.raises(InvalidFileFormatError):
            decode_image(b"\x89PNG\r\n\x1a\n" + body, PNG)

    def test_a_broken_colour_profile_disturbs_nobody(self, capfd: pytest.CaptureFixture[str]) -> None:
        data = saved(sample(), "PNG", icc_profile=b"no profile at all " * 20)
        assert b"iCCP" in data
        assert np.array_equal(decode_image(data, PNG), seen_by_pillow(saved(sample(), "PNG")))
        assert capfd.readouterr().err == ""

    def test_raster_scales(self) -> None:
        with open_document(Blueprint.parse(saved(sample(), "PNG"))) as document:
            (page,) = document.pages()
            assert (page.width, page.height, page.unit, page.kind, page.words) == (64, 40, "px", "picture", [])
            assert page.raster(0.5).shape == (20, 32, 3)
            assert page.raster(1).shape == (40, 64, 3)


class TestPdfs:
    def test_pages_come_with_their_displayed_size(self) -> None:
        data = changed(pdf_of(*[lambda c: c.drawString(20, 20, "x")] * 3), 2, turn=90)
        data = changed(data, 3, turn=270, crop=(10, 20, 210, 120))
        with open_document(Blueprint.parse(data)) as document:
            sizes = [(page.number, page.width, page.height) for page in document.pages()]
        assert sizes == [(1, 400, 300), (2, 300, 400), (3, 100, 200)]

    def test_only_selected_pages_are_read(self) -> None:
        data = pdf_of(*[lambda c: c.line(0, 0, 9, 9)] * 4)
        with open_document(Blueprint.parse(data), PageSelection.parse("2-3")) as document:
            assert [page.number for page in document.pages()] == [2, 3]
        with pytest.raises(InvalidRequestError):
            open_document(Blueprint.parse(data), PageSelection.parse("7"))

    def test_the_raster_shows_the_page_and_is_bounded(self) -> None:
        with open_document(Blueprint.parse(pdf_of(lambda c: c.rect(100, 200, 50, 50, fill=1)))) as document:
            page = next(document.pages())
            image = page.raster(2)
            assert image.shape == (600, 800, 3)
            dark = np.argwhere(image[:, :, 0] < 100)
            assert np.abs(dark.min(axis=0) - (100, 200)).max() <= 2  # 300 - 250 points down, 100 across
            assert np.prod(page.raster(1000).shape[:2]) <= 1.001 * MAX_RASTER_PIXELS

    def test_kinds(self) -> None:
        picture = ImageReader(sample())

        def scanned(canvas: object) -> None:
            canvas.drawImage(picture, 0, 0, 400, 300)

        def drawn(canvas: object) -> None:
            for k in range(120):
                canvas.line(k, 0, k, 300)

        def both(canvas: object) -> None:
            scanned(canvas)
            drawn(canvas)

        with open_document(Blueprint.parse(pdf_of(scanned, drawn, both))) as document:
            assert [page.kind for page in document.pages()] == ["scan", "vector", "mixed"]

    def test_an_encrypted_pdf_is_refused(self) -> None:
        data = pdf_of(lambda c: c.drawString(9, 9, "secret"), encrypt="password")
        with pytest.raises(InvalidFileFormatError, match="encrypted"):
            open_document(Blueprint.parse(data))

    def test_a_pdf_without_pages_is_refused(self) -> None:
        out = io.BytesIO()
        pypdfium2.PdfDocument.new().save(out)
        with pytest.raises(InvalidFileFormatError):
            open_document(Blueprint.parse(out.getvalue()))

    @pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
    def test_a_pdf_cut_off_is_refused(self, share: float) -> None:
        data = pdf_of(*[lambda c: c.drawString(9, 9, "some words " * 40)] * 3)
        cut = data[: int(len(data) * share)]
        with pytest.raises(InvalidFileFormatError):
            open_document(Blueprint.parse(cut))

    def test_rubbish_behind_a_header_is_refused(self) -> None:
        with pytest.raises(InvalidFileFormatError):
            open_document(Blueprint.parse(b"%PDF-1.4\n" + bytes(range(1, 256)) * 20 + b"\nstartxref\n0\n%%EOF"))

    def test_a_page_too_large_names_limit_and_page(self) -> None:
        data = pdf_of(lambda c: c.line(0, 0, 9, 9), size=(200 * 72, 300))
        with pytest.raises(FileTooLargeError) as caught:
            open_document(Blueprint.parse(data))
        assert caught.value.details == {"limit": "max_page_side_pt", "value": MAX_PAGE_SIDE_PT, "page": 1}

    def test_too_many_pages(self) -> None:
        data = pdf_of(*[lambda c: c.line(0, 0, 9, 9)] * (MAX_PAGES + 1))
        with pytest.raises(FileTooLargeError) as caught:
            open_document(Blueprint.parse(data))
        assert caught.value.details["limit"] == "max_pages"
        open_document(Blueprint.parse(data), PageSelection.parse("1-3")).close()

    def test_a_broken_page_does_not_take_the_others_along(self) -> None:
        with open_document(Blueprint.parse(broken_second_page())) as document:
            pages = [(page.number, type(page), page.message) for page in document.pages()]
        assert [kind for _, kind, _ in pages] == [PdfPage, BrokenPage, PdfPage]
        assert pages[1][2] == "This page is damaged and cannot be read."
        with (
            open_document(Blueprint.parse(broken_second_page()), PageSelection.parse("2")) as document,
            pytest.raises(InvalidFileFormatError) as caught,
        ):
            list(document.pages())
        assert caught.value.details["page"] == 2

    def test_a_page_stays_readable_after_the_loop_is_left(self) -> None:
        with open_document(Blueprint.parse(pdf_of(lambda c: c.line(0, 0, 9, 9)))) as document:
            page = next(iter(document.pages()))
            assert len(page.paths.xy) == 1


def broken_second_page() -> bytes:
    """Three pages of which the second is no page but a number."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R 4 0 R 5 0 R] /Count 3 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] >>",
        b"42",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] >>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    xref = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % at for at in offsets)
    return out + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % xref


def test_a_large_picture_is_turned_without_copying_twice() -> None:
    image = np.full((300, 200), 255, np.uint8)
    cv2.circle(image, (100, 150), 40, 0, -1)
    assert decode_image(png_of(image), PNG).shape == (300, 200, 3)
