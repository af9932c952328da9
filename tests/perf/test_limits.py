"""The specification's own limits and nothing tighter: health 1 s, create 3 s, get 500 ms, 10 creates at once."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image, PngImagePlugin

pytestmark = pytest.mark.perf

HEALTH_S, CREATE_S, GET_S = 1.0, 3.0, 0.5
AT_ONCE = 12


def plan_of(size_bytes: int, seed: int) -> bytes:
    """A small plan whose PNG carries so much ballast that it has about that size."""
    ballast = PngImagePlugin.PngInfo()
    ballast.add(b"prVt", random.Random(seed).randbytes(size_bytes))
    stream = BytesIO()
    Image.new("L", (400, 300), 255).save(stream, "PNG", pnginfo=ballast)
    return stream.getvalue()


def timed(ask: Callable[[], httpx.Response]) -> tuple[float, httpx.Response]:
    start = time.perf_counter()
    answer = ask()
    return time.perf_counter() - start, answer


def create(client: httpx.Client, data: bytes) -> httpx.Response:
    body: dict[str, Any] = {"blueprint": {"file": base64.b64encode(data).decode(), "format": "png"}}
    return client.post("/api/v1/jobs", json=body)


@pytest.fixture
def client(server: str):
    with httpx.Client(base_url=server, timeout=30) as client:
        yield client


def test_health_answers_within_its_limit(client: httpx.Client) -> None:
    for _ in range(10):
        seconds, answer = timed(lambda: client.get("/health"))
        assert answer.status_code == 200
        assert seconds < HEALTH_S


def test_create_and_get_answer_within_their_limits(client: httpx.Client) -> None:
    data = plan_of(5_000_000, seed=0)
    assert len(data) > 5_000_000
    seconds, answer = timed(lambda: create(client, data))
    assert answer.status_code == 201
    assert seconds < CREATE_S
    for _ in range(10):
        seconds, got = timed(lambda: client.get(f"/api/v1/jobs/{answer.json()['data']['job_id']}"))
        assert got.status_code == 200
        assert seconds < GET_S


def test_more_than_ten_creates_at_once_answer_within_the_limit(client: httpx.Client) -> None:
    plans = [plan_of(1_000_000, seed=1 + index) for index in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(lambda data: timed(lambda: create(client, data)), plans))
    assert [answer.status_code for _, answer in answers] == [201] * AT_ONCE
    assert len({answer.json()["data"]["job_id"] for _, answer in answers}) == AT_ONCE
    assert max(seconds for seconds, _ in answers) < CREATE_S
