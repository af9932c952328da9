"""`location-detection detect`: what it prints and writes, and what it says about files it cannot use."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from cli.detect import _settle
from cli.main import app
from cli.plan import Outcome, Task, write_whole
from models.floorplan import Floorplan

from .conftest import ROOT, Run, draw_plan


def invoke(*arguments: object):
    return CliRunner().invoke(app, ["detect", *map(str, arguments)])


def test_one_file_is_one_document_on_stdout(plan: Path, run_cli: Run) -> None:
    done = run_cli("detect", plan)
    assert (done.returncode, done.stderr) == (0, b"")
    assert Floorplan.from_json(done.stdout).room_count == 2


def test_several_files_are_json_lines_in_the_order_given(tmp_path: Path) -> None:
    files = [draw_plan(tmp_path / "b.png", 3), draw_plan(tmp_path / "a.png", 2)]
    done = invoke(*files)
    assert done.exit_code == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["file"] for line in lines] == [str(file) for file in files]
    assert [len(line["floorplan"]["pages"][0]["rooms"]) for line in lines] == [3, 2]


def test_out_gets_a_file_each_and_stdout_nothing(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    done = invoke(draw_plan(tmp_path / "a.png"), draw_plan(tmp_path / "b.jpg"), "--out", out)
    assert (done.exit_code, done.stdout) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == ["a.json", "b.json"]
    assert Floorplan.from_json((out / "b.json").read_text()).source.format == "jpg"


def test_stdin_is_read_for_a_dash(plan: Path, run_cli: Run) -> None:
    from_stdin = run_cli("detect", "-", stdin=plan.read_bytes())
    assert from_stdin.stdout == run_cli("detect", plan).stdout != b""


def test_processes_give_what_one_process_gives(tmp_path: Path, run_cli: Run) -> None:
    files = [draw_plan(tmp_path / f"{n}.png", n) for n in (1, 2, 3)]
    (tmp_path / "bad.png").write_bytes(b"GIF89a")
    alone = run_cli("detect", *files, tmp_path / "bad.png", "-", stdin=files[1].read_bytes())
    beside = run_cli("detect", *files, tmp_path / "bad.png", "-", "--jobs", 2, stdin=files[1].read_bytes())
    assert (beside.returncode, beside.stdout) == (1, alone.stdout)
    assert len(alone.stdout.splitlines()) == 4
    assert beside.stderr == alone.stderr


def test_bad_files_do_not_stop_the_rest_and_leave_no_json(tmp_path: Path) -> None:
    good, out = draw_plan(tmp_path / "good.png"), tmp_path / "out"
    bad = tmp_path / "bad.png"
    bad.write_text("no picture at all, just words\n")
    out.mkdir()
    for name in ("bad.json", "bad.overlay.png", "bad.page2.overlay.png", "bad.page2.json"):
        (out / name).write_text("from an earlier run")
    done = invoke(bad, tmp_path / "missing.pdf", tmp_path, good, "--out", out)
    assert done.exit_code == 1
    assert sorted(path.name for path in out.iterdir()) == ["bad.page2.json", "good.json"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    assert f"{bad}: " in errors[0]
    assert "plain text" in errors[0]
    assert "INVALID_FILE_FORMAT" in errors[0]
    assert "missing.pdf: No such file" in errors[1]
    assert f"{tmp_path}: Is a directory" in errors[2]
    assert "3 of 4 files failed" in done.stderr
    assert f"removed {out / 'bad.json'}" in done.stderr


def test_an_error_names_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(blueprint, settings, *, pages, observer, debug):
        observer.stage("walls", 3, 5, 0.5)
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("detection.engine.detect", fail)
    done = invoke(draw_plan(tmp_path / "a.png"))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr == f"error: {tmp_path / 'a.png'}, page 3: unexpected ZeroDivisionError: division by zero\n"


def test_a_page_that_is_not_there_is_said(plan: Path) -> None:
    done = invoke(plan, "--pages", "4")
    assert done.exit_code == 1
    assert str(plan) in done.stderr
    assert "Traceback" not in done.stderr


def test_overlay_is_the_picture_with_rooms_in_colour(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert invoke(plan, "--out", out, "--overlay").exit_code == 0
    drawn, original = cv2.imread(str(out / "plan.overlay.png")), cv2.imread(str(plan))
    assert drawn.shape == original.shape
    room = drawn[60:100, 60:100]
    assert (room.max(axis=2).astype(int) - room.min(axis=2)).min() > 20  # tinted
    assert (drawn[5, 5] == 255).all()  # outside nothing was drawn


def test_debug_gets_pictures_of_the_steps(plan: Path, tmp_path: Path) -> None:
    debug = tmp_path / "debug"
    assert invoke(plan, "--debug", debug).exit_code == 0
    pictures = sorted((debug / "plan").iterdir())
    assert len(pictures) >= 2
    assert all(cv2.imread(str(picture)) is not None for picture in pictures)
    names = [picture.name for picture in pictures]
    assert invoke(plan, "--debug", debug).exit_code == 0
    assert sorted(picture.name for picture in (debug / "plan").iterdir()) == names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument"),
        (("a.png", "--overlay"), "--overlay needs --out"),
        (("a.png", "--pages", "0-2"), "pages must look like 1-3,7"),
        (("-", "-"), "only once"),
        (("x/a.png", "y/A.jpg", "--out", "out"), "run them apart"),
        (("x/a.png", "x/a.png", "--out", "out"), "run them apart"),
        (("a.png", "--jobs", "0"), "greater than or equal to 1"),
        (("a.png", "--format", "svg"), "svg"),
    ],
)
def test_wrong_usage_is_said_before_work_starts(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner(env={"TERMINAL_WIDTH": "200"}).invoke(app, ["detect", *arguments])
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "there", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


class Deadly(Task):
    """A task that ends the process which unpacks it."""

    def __reduce__(self):
        return os._exit, (3,)


def broken() -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_exception(BrokenProcessPool())
    return future


@pytest.mark.slow
def test_a_process_that_dies_takes_no_other_file_with_it(plan: Path) -> None:
    beside = _settle(Task(str(plan)), broken())
    assert beside.error is None
    assert Floorplan.from_json(beside.text or "").room_count == 2
    dead = _settle(Deadly(str(plan)), broken())
    assert dead.text is None
    assert "process died" in (dead.error or "")


def test_a_terminal_sees_a_bar_and_stdout_stays_clean(plan: Path, tmp_path: Path) -> None:
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "detect", str(plan)],
        stdout=subprocess.PIPE,
        stderr=end,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "TERM": "xterm"},
    )
    os.close(end)
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # what a terminal's reader gets when the last writer is gone
        pass
    finally:
        os.close(terminal)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert Floorplan.from_json(printed).room_count == 2
    assert b"plan.png: " in shown
