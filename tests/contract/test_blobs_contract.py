from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract.worlds import World, local_world

from storage.base import BlobStore, Storage
from utils.errors import FileTooLargeError, UploadNotAllowedError

KEY = "blueprints/job_20240115_aaaaaaaaaaaaaaaa/blueprint.pdf"
HOSTILE = [
    "", "/", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", "a/./b", "a\\..\\b", "..\\x", "a\x00b",
    "a\nb", "~/x", "C:/x", "%2e%2e/x", "a/%2e%2e/b", "é", "\ud800", ".hidden", "a/.git/config", "x" * 600,
    "/".join("a" * 400), "a b", "..%c0%af", "CON:", "a/b/..",
]  # fmt: skip


@pytest.fixture
def make_world(make_world_of_files: Callable[[Path], World]) -> Callable[[Path], World]:
    return make_world_of_files


@pytest.fixture(params=["blueprints", "cache"])
def blobs(request: pytest.FixtureRequest, storage: Storage) -> BlobStore:
    store: BlobStore = getattr(storage, request.param)
    return store


def test_absence_is_none(blobs: BlobStore) -> None:
    assert blobs.get(KEY) is None
    assert blobs.size_bytes(KEY) is None
    assert blobs.chunks(KEY) is None
    assert blobs.move(KEY, "blueprints/other") is False
    assert blobs.delete_prefix("blueprints/") == 0
    for folder in ("blueprints", KEY + "/below"):
        assert blobs.get(folder) is None
        assert blobs.size_bytes(folder) is None
        assert blobs.chunks(folder) is None


@pytest.mark.parametrize("size_bytes", [0, 1, 1024 * 1024, 2_500_000])
@pytest.mark.parametrize("streamed", [False, True])
def test_bytes_come_back_whole(blobs: BlobStore, size_bytes: int, streamed: bool) -> None:
    data = bytes(range(256)) * (size_bytes // 256) + b"x" * (size_bytes % 256)
    blobs.put(KEY, io.BytesIO(data) if streamed else data, "application/pdf")
    assert blobs.get(KEY) == data
    assert blobs.size_bytes(KEY) == len(data)
    pieces = blobs.chunks(KEY)
    assert pieces is not None
    found = list(pieces)
    assert b"".join(found) == data
    assert all(len(piece) <= 2 * 1024 * 1024 for piece in found)


def test_a_put_replaces(blobs: BlobStore) -> None:
    blobs.put(KEY, b"a long first text", "text/plain")
    blobs.put(KEY, b"short", "text/plain")
    assert blobs.get(KEY) == b"short"
    assert blobs.delete_prefix(KEY) == 1


def test_a_source_that_breaks_leaves_what_was_there(blobs: BlobStore) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 0:
                raise ConnectionResetError
            return super().read(4)

    with pytest.raises(ConnectionResetError):
        blobs.put(KEY, Broken(b"12345678"), "text/plain")
    assert blobs.get(KEY) is None
    blobs.put(KEY, b"before", "text/plain")
    with pytest.raises(ConnectionResetError):
        blobs.put(KEY, Broken(b"12345678"), "text/plain")
    assert blobs.get(KEY) == b"before"


def test_a_reader_keeps_what_it_began_to_read(blobs: BlobStore) -> None:
    blobs.put(KEY, b"a" * 3_000_000, "text/plain")
    pieces = blobs.chunks(KEY)
    assert pieces is not None
    first = next(pieces)
    blobs.put(KEY, b"b", "text/plain")
    assert first + b"".join(pieces) == b"a" * 3_000_000


def test_move_takes_the_file_along(blobs: BlobStore) -> None:
    blobs.put("uploads/job_1/blueprint", b"data", "application/pdf")
    assert blobs.move("uploads/job_1/blueprint", KEY) is True
    assert blobs.get(KEY) == b"data"
    assert blobs.get("uploads/job_1/blueprint") is None
    assert blobs.move("uploads/job_1/blueprint", KEY) is False
    assert blobs.get(KEY) == b"data"
    blobs.put("uploads/job_1/blueprint", b"again", "application/pdf")
    assert blobs.move("uploads/job_1/blueprint", KEY) is True
    assert blobs.get(KEY) == b"again"


def test_delete_prefix_removes_what_begins_so_and_nothing_else(blobs: BlobStore) -> None:
    keys = [
        "cache/pages/job_1/1.png",
        "cache/pages/job_1/10.png",
        "cache/pages/job_10/1.png",
        "cache/final/job_1/f.json",
    ]
    for key in keys:
        blobs.put(key, b"x", "image/png")
    assert blobs.delete_prefix("cache/pages/job_1/") == 2
    assert [blobs.get(key) for key in keys] == [None, None, b"x", b"x"]
    assert blobs.delete_prefix("cache/pages/job_1") == 1
    assert blobs.delete_prefix("cache/fin") == 1
    assert blobs.delete_prefix("cache/") == 0


def test_the_two_stores_are_two(storage: Storage) -> None:
    storage.blueprints.put(KEY, b"x", "application/pdf")
    assert storage.cache.get(KEY) is None
    assert storage.cache.delete_prefix("blueprints/") == 0
    assert storage.blueprints.get(KEY) == b"x"


@pytest.mark.parametrize("key", HOSTILE)
def test_nothing_lies_under_a_hostile_key(blobs: BlobStore, key: str) -> None:
    blobs.put("a/b", b"mine", "text/plain")
    for write in (
        lambda: blobs.put(key, b"theirs", "text/plain"),
        lambda: blobs.move("a/b", key),
        lambda: blobs.presign_upload(key, 10, 60),
    ):
        with pytest.raises(ValueError, match="key"):
            write()
    assert blobs.get(key) is None
    assert blobs.size_bytes(key) is None
    assert blobs.chunks(key) is None
    assert blobs.move(key, "c") is False
    assert blobs.key_of_url(key) is None
    if key == "":
        with pytest.raises(ValueError, match="prefix"):
            blobs.delete_prefix(key)
    elif key != "a/":
        assert blobs.delete_prefix(key) == 0
    assert blobs.get("a/b") == b"mine"


def test_a_strangers_url_points_at_no_key(blobs: BlobStore) -> None:
    for url in ("https://example.org/" + KEY, "http://127.0.0.1/" + KEY, KEY, "", "file:///etc/passwd"):
        assert blobs.key_of_url(url) is None


class TestUploads:
    """Where the service itself takes uploads."""

    @pytest.fixture
    def make_world(self) -> Callable[[Path], World]:
        return local_world

    def receive(self, storage: Storage, fields: dict[str, str], *pieces: bytes) -> str:
        assert storage.uploads is not None
        return storage.uploads.receive_upload(fields, iter(pieces))

    def test_a_ticket_lets_one_file_in(self, world: World) -> None:
        storage = world.storage
        ticket = storage.blueprints.presign_upload("uploads/job_1/blueprint", 10, 600)
        assert (ticket.method, ticket.key) == ("POST", "uploads/job_1/blueprint")
        assert ticket.url.startswith("/api/v1/uploads/")
        assert (ticket.expires_at - world.now()).total_seconds() == 600
        assert json.loads(json.dumps(ticket.fields)) == ticket.fields
        assert self.receive(storage, ticket.fields, b"12345", b"", b"67890") == ticket.key
        assert storage.blueprints.get(ticket.key) == b"1234567890"
        assert self.receive(storage, {**ticket.fields, "more": "x"}, b"again") == ticket.key

    def test_a_ticket_ends(self, world: World) -> None:
        ticket = world.storage.blueprints.presign_upload("uploads/job_1/blueprint", 10, 600)
        world.pass_time(599)
        self.receive(world.storage, ticket.fields, b"x")
        world.pass_time(1)
        with pytest.raises(UploadNotAllowedError, match="expired"):
            self.receive(world.storage, ticket.fields, b"y")
        assert world.storage.blueprints.get(ticket.key) == b"x"

    def test_a_file_too_large_is_given_up_while_it_comes(self, storage: Storage) -> None:
        ticket = storage.blueprints.presign_upload("uploads/job_1/blueprint", 10, 600)
        taken = 0

        def endless() -> Iterator[bytes]:
            nonlocal taken
            while True:
                taken += 1
                yield b"1234"

        assert storage.uploads is not None
        with pytest.raises(FileTooLargeError) as caught:
            storage.uploads.receive_upload(ticket.fields, endless())
        assert caught.value.details == {"limit": "max_file_bytes", "value": 10}
        assert taken == 3
        assert storage.blueprints.get(ticket.key) is None

    def test_whoever_changes_a_field_is_refused_before_anything_is_read(self, storage: Storage) -> None:
        ticket = storage.blueprints.presign_upload("uploads/job_1/blueprint", 10, 600)
        other = storage.blueprints.presign_upload("uploads/job_2/blueprint", 10, 600)

        def unread() -> Iterator[bytes]:
            raise AssertionError("nothing of it may be read")
            yield b""

        forgeries: list[dict[str, str]] = [{}, {**ticket.fields, "key": other.key}, {**other.fields, "key": ticket.key}]
        for name, value in ticket.fields.items():
            forgeries += [
                {**ticket.fields, name: value + "0"},
                {**ticket.fields, name: ""},
                {**ticket.fields, name: "é"},
                {key: kept for key, kept in ticket.fields.items() if key != name},
            ]
        assert storage.uploads is not None
        for fields in forgeries:
            with pytest.raises(UploadNotAllowedError):
                storage.uploads.receive_upload(fields, unread())
        assert storage.blueprints.delete_prefix("uploads/") == 0

    def test_a_client_that_goes_leaves_nothing(self, storage: Storage) -> None:
        ticket = storage.blueprints.presign_upload("uploads/job_1/blueprint", 10, 600)

        def gone() -> Iterator[bytes]:
            yield b"123"
            raise ConnectionResetError

        assert storage.uploads is not None
        with pytest.raises(ConnectionResetError):
            storage.uploads.receive_upload(ticket.fields, gone())
        assert storage.blueprints.get(ticket.key) is None

    def test_a_ticket_is_good_in_every_process(self, world: World) -> None:
        ticket = world.storage.blueprints.presign_upload("uploads/job_1/blueprint", 10, 10**9)
        assert self.receive(world.reopen(), ticket.fields, b"x") == ticket.key
