import pytest
import shapely
from shapely.geometry import Polygon

from detection.labels import Label, read_labels
from detection.pdf import Word
from detection.textlines import join_lines, scale_notes, understand


def words_at(x: float, y: float, text: str, size: float = 10, angle: float = 0) -> list[Word]:
    """Words printed from (x, y), the left end of the line's middle, with ordinary spaces."""
    words = []
    for part in text.split():
        length = 0.5 * size * len(part)
        if angle == 0:
            words.append(Word(part, (x, y - size / 2, x + length, y + size / 2), size, 0))
            x += length + 0.28 * size
        else:  # 270: read upwards
            words.append(Word(part, (x - size / 2, y - length, x + size / 2, y), size, angle))
            y -= length + 0.28 * size
    return words


ROOM = shapely.box(0, 0, 200, 150)


def label_in(*words: Word, room: Polygon = ROOM) -> Label:
    return read_labels([room], list(words))[0]


class TestLines:
    def test_words_of_a_row_are_one_line(self) -> None:
        words = words_at(10, 20, "Main Office") + words_at(10, 60, "Lobby")
        assert [line.text for line in join_lines(words)] == ["Main Office", "Lobby"]

    def test_a_wide_gap_parts(self) -> None:
        words = words_at(10, 20, "1302") + words_at(50, 20, "1304")
        assert [line.text for line in join_lines(words)] == ["1302", "1304"]

    def test_lines_written_upwards(self) -> None:
        (line,) = join_lines(words_at(50, 120, "Walk In Closet", angle=270))
        assert line.text == "Walk In Closet"

    def test_the_order_of_the_words_does_not_matter(self) -> None:
        words = words_at(10, 20, "Main Office")
        assert [line.text for line in join_lines(words[::-1])] == ["Main Office"]


class TestUnderstanding:
    @pytest.mark.parametrize(
        ("text", "area"),
        [
            ("24.6 m2", 24.6),
            ("24,6 m²", 24.6),
            ("A: 24.6m2", 24.6),
            ("12 qm", 12),
            ("1,250 sq ft", 116.13),
            ("150 sf", 13.94),
            ("Area 1'250.5 m²", 1250.5),
        ],
    )
    def test_areas(self, text: str, area: float) -> None:
        said = understand(text)
        assert said.area_m2 == pytest.approx(area, abs=0.01)
        assert (said.name, said.number) == ("", None)

    @pytest.mark.parametrize(
        "text",
        [
            "5.23 x 3.50M",
            "17'2\" x 11'6\"",
            "3530 mm",
            "2.40",
            "h=2,50",
            "1:100",
            "UP",
            "m2",
            "42000",
            "+0.15",
            "II",
            "-",
        ],
    )
    def test_measures_units_and_tags_say_nothing(self, text: str) -> None:
        said = understand(text)
        assert (said.name, said.number, said.area_m2) == ("", None, None)

    @pytest.mark.parametrize(
        ("text", "name", "number"),
        [
            ("Main Office", "Main Office", None),
            ("2602", "", "2602"),
            ("1302A", "", "1302A"),
            ("K1.07", "", "K1.07"),
            ("2602 Main Office", "Main Office", "2602"),
            ("Office 101", "Office", "101"),
            ("Bathroom 1", "Bathroom 1", None),
            ("Besprechungsraum II", "Besprechungsraum II", None),
            ("Küche", "Küche", None),
            ("WC", "WC", None),
            ("キッチン", "キッチン", None),
            ("Kitchen 12.5 m2", "Kitchen", None),
            ("7", "", "7"),
        ],
    )
    def test_names_and_numbers(self, text: str, name: str, number: str | None) -> None:
        said = understand(text)
        assert (said.name, said.number) == (name, number)


class TestLabels:
    def test_name_number_and_area(self) -> None:
        printed = words_at(40, 40, "Main Office") + words_at(60, 52, "2602") + words_at(50, 64, "18.4 m2")
        assert label_in(*printed) == Label("Main Office", "2602", 18.4)

    def test_a_name_of_two_lines_is_joined(self) -> None:
        printed = words_at(40, 40, "Walk-in") + words_at(42, 52, "Closet")
        assert label_in(*printed).name == "Walk-in Closet"

    def test_names_apart_are_not_joined_and_the_one_with_the_number_wins(self) -> None:
        printed = words_at(40, 20, "Sofa") + words_at(40, 100, "Lounge") + words_at(40, 112, "204")
        assert label_in(*printed) == Label("Lounge", "204", None)

    def test_the_larger_print_names_the_room(self) -> None:
        printed = words_at(40, 20, "cupboard", size=5) + words_at(20, 80, "Bedroom", size=12)
        assert label_in(*printed).name == "Bedroom"

    def test_the_number_that_stands_with_the_name_is_the_rooms(self) -> None:
        printed = words_at(40, 80, "Office") + words_at(45, 92, "204") + words_at(150, 10, "305")
        assert label_in(*printed).number == "204"

    def test_words_elsewhere_do_not_count(self) -> None:
        assert label_in(*words_at(300, 20, "Title")).empty

    def test_a_line_across_two_rooms_is_cut(self) -> None:
        rooms = [shapely.box(0, 0, 50, 50), shapely.box(51, 0, 100, 50)]
        printed = words_at(25, 20, "1302") + words_at(50.5, 20, "1304")
        assert [line.text for line in join_lines(printed)] == ["1302 1304"]
        assert [label.number for label in read_labels(rooms, printed)] == ["1302", "1304"]

    def test_several_areas_in_one_room_are_nobodys(self) -> None:
        printed = words_at(10, 20, "12 m2") + words_at(10, 100, "14 m2")
        assert label_in(*printed).area_m2 is None

    def test_words_in_a_hole_do_not_count(self) -> None:
        room = ROOM - shapely.box(30, 30, 120, 80)
        assert label_in(*words_at(40, 50, "Shaft"), room=room).empty

    def test_nothing_printed(self) -> None:
        assert read_labels([ROOM], []) == [Label()]
        assert read_labels([], words_at(0, 0, "x")) == []


@pytest.mark.parametrize(
    ("text", "ratios"),
    [
        ("1:100", [100]),
        ("Scale 1 : 50 M 1:200", [50, 200]),
        ('1/8" = 1\'-0"', [96]),
        ("SCALE: 1/4\" = 1'", [48]),
        ("1\" = 20'", [240]),
        ("10:30", []),
        ("1:1", []),
        ("11:45:10", []),
    ],
)
def test_scale_notes(text: str, ratios: list[float]) -> None:
    assert scale_notes(text) == ratios
