"""The description against the server: random requests, valid and not, get what it says they get."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import MakeApp
from tests.servers import serving

from api.auth import parse_tokens

ROOT = Path(__file__).parents[2]
TOKEN = "token-of-anna-0123"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("guarded", [False, True])
def test_no_check_of_schemathesis_fails(make_app: MakeApp, worker: None, tmp_path: Path, guarded: bool) -> None:
    pytest.importorskip("schemathesis")
    tokens = parse_tokens(f"anna:{TOKEN}") if guarded else None
    with serving(make_app(tokens=tokens)) as url:
        command = [
            *(sys.executable, "-c", "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"),
            *("--config-file", str(ROOT / "schemathesis.toml"), "run", f"{url}/openapi.json"),
            *("--checks", "all", "--max-examples", "30", "--seed", "7", "--no-color"),
            *(["--header", f"Authorization: Bearer {TOKEN}"] if guarded else []),
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "Test cases:" in done.stdout
