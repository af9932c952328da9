import math

import numpy as np
import pypdfium2
import pytest
from reportlab.pdfgen.canvas import Canvas
from tests.unit.detection.drawn import changed, pdf_of

from detection import pdfwalk
from detection.document import PdfPage, open_document
from detection.pdf import CURVE, LINE, RECT, Paths
from detection.regions import ByteImage
from models.blueprint import Blueprint


def paths_of(data: bytes) -> Paths:
    with open_document(Blueprint.parse(data)) as document:
        return next(document.pages()).paths


def near(found: np.ndarray, *expected: tuple[float, ...]) -> bool:
    return np.allclose(found, np.array(expected), atol=1e-3)


class TestPaths:
    def test_lines_are_in_page_units_with_their_pens(self) -> None:
        def draw(canvas: Canvas) -> None:
            canvas.setLineWidth(3)
            canvas.setStrokeColorRGB(1, 0, 0.2)
            canvas.line(10, 20, 110, 20)
            canvas.setDash(3, 2)
            canvas.line(10, 30, 10, 130)

        paths = paths_of(pdf_of(draw))
        assert near(paths.xy, (10, 280, 110, 280), (10, 270, 10, 170))
        assert paths.width_pt.tolist() == [3, 3]
        assert paths.dashed.tolist() == [False, True]
        assert paths.stroke_rgba[0].tolist() == [255, 0, 51, 255]
        assert paths.stroked.all()
        assert not paths.filled.any()
        assert paths.kind.tolist() == [LINE, LINE]

    def test_the_matrix_scales_lines_and_pens(self) -> None:
        def draw(canvas: Canvas) -> None:
            canvas.translate(50, 60)
            canvas.rotate(90)
            canvas.scale(2, 2)
            canvas.setLineWidth(1.5)
            canvas.line(0, 0, 10, 5)

        paths = paths_of(pdf_of(draw))
        assert near(paths.xy, (50, 240, 40, 220))
        assert paths.width_pt[0] == pytest.approx(3)

    def test_rectangles_are_known_turned_ones_too(self) -> None:
        def draw(canvas: Canvas) -> None:
            canvas.rect(10, 10, 50, 20, stroke=0, fill=1)
            canvas.rotate(20)
            canvas.rect(100, 10, 50, 20)
            path = canvas.beginPath()
            path.moveTo(0, 0)
            for x, y in ((50, 0), (70, 40), (20, 40)):
                path.lineTo(x, y)
            path.close()
            canvas.drawPath(path)

        paths = paths_of(pdf_of(draw))
        assert paths.kind.tolist() == [RECT, RECT, LINE]
        assert paths.closed.all()
        assert np.bincount(paths.subpath).tolist() == [4, 4, 4]
        assert paths.filled.tolist() == [True, False, False]

    def test_a_fill_closes_silently_and_says_so(self) -> None:
        def draw(canvas: Canvas) -> None:
            path = canvas.beginPath()
            path.moveTo(0, 0)
            path.lineTo(50, 0)
            path.lineTo(50, 50)
            canvas.drawPath(path, stroke=0, fill=1)
            canvas.drawPath(path, stroke=1, fill=0)

        paths = paths_of(pdf_of(draw))
        assert np.bincount(paths.path).tolist() == [3, 2]
        assert paths.implied.tolist() == [False, False, True, False, False]
        assert not paths.closed.any()

    def test_curves_are_flattened_close_to_the_circle(self) -> None:
        paths = paths_of(pdf_of(lambda c: c.circle(200, 150, 80)))
        assert paths.kind.tolist() == [CURVE]
        assert paths.curves.tolist() == [4]
        assert paths.from_curve.all()
        middles = (paths.xy[:, :2] + paths.xy[:, 2:]) / 2
        away = np.hypot(*(np.vstack([middles, paths.xy[:, :2]]) - (200, 150)).T) - 80
        assert np.abs(away).max() < 0.15
        assert np.allclose(paths.xy[1:, :2], paths.xy[:-1, 2:])

    def test_form_xobjects_are_walked_with_their_matrices(self) -> None:
        def draw(canvas: Canvas) -> None:
            canvas.beginForm("inner")
            canvas.line(0, 0, 10, 0)
            canvas.endForm()
            canvas.beginForm("outer")
            canvas.translate(5, 0)
            canvas.doForm("inner")
            canvas.endForm()
            canvas.translate(100, 100)
            canvas.scale(2, 2)
            canvas.doForm("outer")
            canvas.translate(0, 20)
            canvas.doForm("outer")

        paths = paths_of(pdf_of(draw))
        assert near(paths.xy, (110, 200, 130, 200), (110, 160, 130, 160))

    def test_a_clip_cuts(self) -> None:
        def draw(canvas: Canvas) -> None:
            clip = canvas.beginPath()
            clip.rect(50, 50, 100, 100)
            canvas.clipPath(clip, stroke=0)
            canvas.line(0, 100, 400, 100)
            canvas.line(0, 10, 400, 10)

        paths = paths_of(pdf_of(draw))
        assert near(paths.xy, (50, 200, 150, 200))
        assert near(paths.clip[0], (50, 150, 150, 250))
        assert not paths.clipped.any()

    def test_a_round_clip_is_told(self) -> None:
        def draw(canvas: Canvas) -> None:
            clip = canvas.beginPath()
            clip.circle(100, 100, 50)
            canvas.clipPath(clip, stroke=0)
            canvas.line(0, 100, 400, 100)

        paths = paths_of(pdf_of(draw))
        assert near(paths.xy, (50, 200, 150, 200))
        assert paths.clipped.all()

    def test_images_are_boxes(self) -> None:
        from PIL import Image
        from reportlab.lib.utils import ImageReader

        picture = ImageReader(Image.new("RGB", (8, 8)))
        paths = paths_of(pdf_of(lambda c: c.drawImage(picture, 20, 30, 100, 50)))
        assert near(paths.images, (20, 220, 120, 270))

    def test_an_empty_page(self) -> None:
        paths = paths_of(pdf_of(lambda c: None))
        assert paths.xy.shape == (0, 4)
        assert paths.path_count == 0
        assert paths.complete

    def test_the_walk_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pdfwalk, "MAX_PATHS", 5)
        data = pdf_of(lambda c: [c.line(0, k, 9, k) for k in range(9)])
        with open_document(Blueprint.parse(data)) as document:
            page = next(document.pages())
            assert page.paths.path_count == 5
            assert "left out" in (page.message or "")

    @pytest.mark.parametrize("turn", [0, 90, 180, 270])
    @pytest.mark.parametrize("crop", [None, (40, 30, 340, 230)])
    def test_lines_and_words_lie_where_the_raster_shows_them(
        self, turn: int, crop: tuple[float, float, float, float] | None
    ) -> None:
        def lines(canvas: Canvas) -> None:
            canvas.setLineWidth(2)
            canvas.line(60, 60, 300, 60)
            canvas.line(60, 60, 60, 200)
            canvas.line(60, 200, 200, 120)

        def word(canvas: Canvas) -> None:
            canvas.setFont("Helvetica", 20)
            canvas.drawString(100, 150, "Hall")

        data = pdf_of(lines, word)
        for number in (1, 2):
            data = changed(data, number, turn, crop)
        with open_document(Blueprint.parse(data)) as document:
            pages = document.pages()
            drawn = next(pages)
            ink = drawn.raster(2).min(axis=2) < 128
            along = np.linspace(0.02, 0.98, 60)[:, None, None]
            points = drawn.paths.xy[:, :2] * (1 - along) + drawn.paths.xy[:, 2:] * along
            x, y = np.floor(points.reshape(-1, 2) * 2).astype(int).T
            assert len(drawn.paths.xy) == 3
            assert ink[y, x].all()
            written = next(pages)
            (found,) = written.words
            assert ink_box(written.raster(4)) == pytest.approx(found.box, abs=0.6)
            assert found.text == "Hall"
            assert found.size_pt == pytest.approx(20)
            assert found.angle_deg == pytest.approx(turn)


def ink_box(image: ByteImage, scale: float = 4) -> tuple[float, ...]:
    ys, xs = np.nonzero(image.min(axis=2) < 128)
    return xs.min() / scale, ys.min() / scale, (xs.max() + 1) / scale, (ys.max() + 1) / scale


class TestWords:
    def test_words_are_split_at_spaces_and_lines(self) -> None:
        def draw(canvas: Canvas) -> None:
            canvas.drawString(50, 200, "Main Office")
            canvas.drawString(50, 100, "2602")

        with open_document(Blueprint.parse(pdf_of(draw))) as document:
            assert [word.text for word in next(document.pages()).words] == ["Main", "Office", "2602"]

    @pytest.mark.parametrize("angle", [0, 30, 90, 200])
    def test_slanted_words(self, angle: float) -> None:
        def draw(canvas: Canvas) -> None:
            canvas.translate(200, 150)
            canvas.rotate(angle)
            canvas.setFont("Helvetica", 5)
            canvas.scale(2, 2)
            canvas.drawString(0, 0, "Office")

        with open_document(Blueprint.parse(pdf_of(draw))) as document:
            (word,) = next(document.pages()).words
        assert word.size_pt == pytest.approx(10, rel=1e-3)
        assert math.cos(math.radians(word.angle_deg + angle)) == pytest.approx(1)

    def test_words_off_the_page_are_left_out(self) -> None:
        with open_document(Blueprint.parse(pdf_of(lambda c: c.drawString(900, 900, "far")))) as document:
            assert next(document.pages()).words == []


def test_a_page_knows_its_size_from_pdfium() -> None:
    source = pypdfium2.PdfDocument(pdf_of(lambda c: None, size=(123, 456)))
    page = PdfPage(source[0], 1)
    assert (page.width, page.height, page.number) == (123, 456, 1)
