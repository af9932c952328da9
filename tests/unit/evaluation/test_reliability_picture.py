"""The reliability diagram stands alone, and its dots lie where the figures say."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.unit.evaluation.labelled import draw_plan, own, write
from typer.testing import CliRunner

from cli.main import app
from evaluation.figures import calibration_error
from evaluation.picture import PLOT_PX, dots, to_svg

SVG = "{http://www.w3.org/2000/svg}"
#: Ten rooms of 0.9 of which nine are right, and four of 0.5 of which one is: 4 / 14 of a quarter off.
CLAIMS = [(0.9, True)] * 9 + [(0.9, False), (0.5, True), *[(0.5, False)] * 3]


def test_dots_lie_where_the_figures_say() -> None:
    few, many = dots(CLAIMS)
    assert (few.x, few.y) == (PLOT_PX * 0.5, PLOT_PX * 0.75)
    assert (many.x, many.y) == (PLOT_PX * 0.9, pytest.approx(PLOT_PX * 0.1))
    assert few.radius < many.radius
    assert many.words == "10 rooms at 0.90, 0.90 of them right"


def test_the_picture_is_well_formed_and_says_the_error() -> None:
    root = ElementTree.fromstring(to_svg(CLAIMS).decode())
    circles = root.findall(f"{SVG}circle")
    assert [float(circle.attrib["cx"]) for circle in circles] == [120, 216]
    error = calibration_error(CLAIMS)
    assert error == pytest.approx(0.25 * 4 / 14)
    assert f"ECE {error:.3f}, 14 rooms" in [text.text for text in root.findall(f"{SVG}text")]
    assert to_svg(CLAIMS) == to_svg(list(CLAIMS))


def test_without_rooms_there_is_a_picture_all_the_same() -> None:
    root = ElementTree.fromstring(to_svg([]).decode())
    assert root.findall(f"{SVG}circle") == []
    assert "ECE –, 0 rooms" in [text.text for text in root.findall(f"{SVG}text")]


def test_the_command_pools_several_sets(tmp_path: Path) -> None:
    for name, rooms in (("a", 2), ("b", 1), ("c", 2)):
        (tmp_path / "plans" / name).mkdir(parents=True)
        rings = draw_plan(tmp_path / "plans" / name / "plan.png", rooms)
        write(tmp_path / "plans" / name / "plan.rooms.json", own("plan.png", rings))
    target = tmp_path / "reliability.svg"
    command = ["evaluate", str(tmp_path / "plans"), "--set", "a", "--set", "b", "--reliability", str(target)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    root = ElementTree.fromstring(target.read_text())
    words = [circle.findtext(f"{SVG}title") or "" for circle in root.findall(f"{SVG}circle")]
    assert sum(int(text.split()[0]) for text in words) == 3
    assert "all" in done.output


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--reliability", str(tmp_path / "no" / "a.svg")])
    assert done.exit_code == 2
