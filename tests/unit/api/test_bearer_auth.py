from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient
from tests.conftest import MakeApp
from tests.unit.services.plans import png

from api.auth import hash_token, load_tokens, parse_tokens

TOKENS = parse_tokens("anna:token-of-anna-0123,bert:token-of-bert-0123")
ANNA = {"Authorization": "Bearer token-of-anna-0123"}
BERT = {"Authorization": "bearer token-of-bert-0123"}


@pytest.fixture
def guarded(make_app: MakeApp) -> TestClient:
    return TestClient(make_app(tokens=TOKENS))


def create(client: TestClient, headers: dict[str, str]) -> str:
    answer = client.post("/api/v1/jobs", files={"file": ("a.png", png())}, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["job_id"])


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic dG9rZW4=", "token-of-anna-0123", "Bearer \xe9"]
)
def test_without_a_known_token_nothing_is_said(guarded: TestClient, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")} if header else {}
    for method, path in [
        ("POST", "/api/v1/jobs"),
        ("GET", "/api/v1/jobs"),
        ("GET", "/api/v1/jobs/x"),
        ("GET", "/api/v1/jobs/x?wait=99"),
        ("DELETE", "/api/v1/jobs/x"),
        ("GET", "/api/v1/jobs/x/result"),
        ("GET", "/api/v1/jobs/x/pages/1.png"),
        ("POST", "/api/v1/uploads"),
    ]:
        answer = guarded.request(method, path, headers=headers)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "UNAUTHORIZED"
        assert answer.json()["meta"]["request_id"] == answer.headers["X-Request-Id"]


def test_what_needs_no_token(guarded: TestClient) -> None:
    assert guarded.get("/health").status_code == 200
    assert guarded.get("/docs").status_code == 200
    assert guarded.get("/api/v1/schema/floorplan.json").status_code == 200
    asks = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert guarded.options("/api/v1/jobs", headers=asks).status_code == 204


def test_jobs_are_their_owners_alone(guarded: TestClient) -> None:
    job_id = create(guarded, ANNA)
    path = f"/api/v1/jobs/{job_id}"
    assert guarded.get(path, headers=ANNA).status_code == 200
    for method, url in [
        ("GET", path),
        ("DELETE", path),
        ("DELETE", f"{path}?purge=true"),
        ("GET", f"{path}/result"),
        ("GET", f"{path}/pages/1.png"),
    ]:
        answer = guarded.request(method, url, headers=BERT)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "JOB_NOT_FOUND")
    assert guarded.get("/api/v1/jobs", headers=BERT).json()["data"]["jobs"] == []
    assert [job["job_id"] for job in guarded.get("/api/v1/jobs", headers=ANNA).json()["data"]["jobs"]] == [job_id]


def test_tokens_may_change_while_the_app_runs(make_app: MakeApp) -> None:
    known = dict(parse_tokens("anna:token-of-anna-0123"))
    client = TestClient(make_app(tokens=lambda: known))
    assert client.get("/api/v1/jobs", headers=ANNA).status_code == 200
    known.clear()
    assert client.get("/api/v1/jobs", headers=ANNA).status_code == 401


def test_no_tokens_at_all_let_nobody_in(make_app: MakeApp) -> None:
    assert TestClient(make_app(tokens={})).get("/api/v1/jobs").status_code == 401


@pytest.mark.parametrize(
    "text", ["anna", "anna:", ":token-0123456789abc", "a b:token-0123456789abc", "a:with space", "a:same,b:same"]
)
def test_malformed_tokens_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="LOCATION_DETECTION_TOKENS") as caught:
        parse_tokens(text)
    assert "token-0123456789abc" not in str(caught.value)
    assert "with space" not in str(caught.value)


def test_tokens_come_from_the_environment_as_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCATION_DETECTION_TOKENS", " anna:token-of-anna-0123 , ")
    tokens = load_tokens()
    assert tokens is not None
    assert list(tokens.values()) == ["anna"]
    assert "token-of-anna-0123" not in tokens
    monkeypatch.delenv("LOCATION_DETECTION_TOKENS")
    assert load_tokens() is None


def test_a_token_may_be_configured_by_its_hash(make_app: MakeApp) -> None:
    hashed = hash_token("token-of-anna-0123")
    tokens = parse_tokens(json.dumps({"anna": [hashed], "bert": []}))
    assert tokens == parse_tokens("anna:token-of-anna-0123")
    client = TestClient(make_app(tokens=tokens))
    assert client.get("/api/v1/jobs", headers=ANNA).status_code == 200
    # Who reads the configuration has not got the token: the hash opens nothing.
    assert client.get("/api/v1/jobs", headers={"Authorization": f"Bearer {hashed}"}).status_code == 401


def test_a_name_may_have_two_tokens_while_they_are_changed(make_app: MakeApp) -> None:
    old, new = "token-of-anna-0123", "the-next-one-4567"
    client = TestClient(make_app(tokens=parse_tokens(json.dumps({"anna": [hash_token(old), hash_token(new)]}))))
    job_id = create(client, ANNA)
    for token in (old, new):
        answer = client.get(f"/api/v1/jobs/{job_id}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


def test_the_secret_of_a_new_deployment_lets_nobody_in(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCATION_DETECTION_TOKENS", "{}")
    tokens = load_tokens()
    assert tokens == {}
    assert TestClient(make_app(tokens=tokens)).get("/api/v1/jobs", headers=ANNA).status_code == 401


@pytest.mark.parametrize(
    "text",
    [
        '{"anna": ["token-0123456789abc"]}',
        '{"anna": "' + "a" * 64 + '"}',
        '{"anna": ["' + "A" * 64 + '"]}',
        '{"a b": []}',
        '{"anna": [1]}',
        '{"anna": ["' + "a" * 64 + '"], "bert": ["' + "a" * 64 + '"]}',
        '{"anna": ["token-0123456789abc',
    ],
)
def test_malformed_hashes_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="LOCATION_DETECTION_TOKENS") as caught:
        parse_tokens(text)
    assert "token-0123456789abc" not in str(caught.value)
    assert caught.value.__cause__ is None
