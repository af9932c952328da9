from __future__ import annotations

import pytest
from tests.contract.worlds import World

from models.floorplan import Opening, Page, Room, Scale
from storage.base import Preview, Storage

HASH = "ab" * 32


def preview(rooms: int = 1, model_version: str = "1") -> Preview:
    found = [
        Room(
            id=f"room_{number:03d}",
            polygon=[(1.5, 2), (30.25, 2), (30.25, 40), (1.5, 40)],
            holes=[[(5, 5), (6, 5), (6, 6)]],
            bounding_box=[0, 0, 500, 1000],
            name_hint="Küche",
            confidence=0.75,
            flags=["leaky"],
        )
        for number in range(rooms)
    ]
    page = Page(
        page=1,
        width=60.5,
        height=40,
        unit="pt",
        scale=Scale(metres_per_unit=0.02, from_="printed areas", agreement=1),
        rooms=found,
        openings=[Opening(kind="door", line=[(1, 2), (3, 4)], rooms=["room_000"], confidence=0.5)],
    )
    empty = Page(page=2, width=1, height=1, unit="px", message="No walls.")
    return Preview(HASH, model_version, [page, empty], {1: "cache/pages/job_1/1.png", 2: "cache/pages/job_1/2.png"})


@pytest.mark.parametrize("rooms", [0, 1, 3000], ids=["none", "small", "large"])
class TestPreviews:
    def test_what_was_kept_comes_back(self, storage: Storage, rooms: int) -> None:
        assert storage.previews.get(HASH) is None
        storage.previews.put(preview(rooms))
        assert storage.previews.get(HASH) == preview(rooms)
        assert storage.previews.get("cd" * 32) is None

    def test_the_last_one_counts(self, storage: Storage, rooms: int) -> None:
        for kept in (preview(3000, "1"), preview(rooms, "2"), preview(2, "3"), preview(rooms, "4")):
            storage.previews.put(kept)
            assert storage.previews.get(HASH) == kept

    def test_it_is_gone_after_an_hour(self, world: World, rooms: int) -> None:
        previews = world.storage.previews
        previews.put(preview(rooms))
        world.pass_time(3599)
        assert previews.get(HASH) is not None
        world.pass_time(1)
        assert previews.get(HASH) is None
        world.storage.sweep()
        assert previews.get(HASH) is None
        previews.put(preview(rooms))
        assert previews.get(HASH) == preview(rooms)

    def test_what_is_deleted_leaves_nothing(self, storage: Storage, rooms: int) -> None:
        storage.previews.put(preview(rooms))
        storage.previews.delete(HASH)
        assert storage.previews.get(HASH) is None
        assert storage.cache.delete_prefix("cache/") == 0
        storage.previews.delete(HASH)


def test_a_large_preview_whose_blob_is_gone_is_none(storage: Storage) -> None:
    storage.previews.put(preview(3000))
    assert storage.cache.delete_prefix("cache/preview/") == 1
    assert storage.previews.get(HASH) is None


@pytest.mark.parametrize("name", ["", "../../x", "ab/../cd", "AB" * 32])
def test_only_a_hash_names_a_preview(storage: Storage, name: str) -> None:
    with pytest.raises(ValueError, match="hash"):
        storage.previews.put(Preview(name, "1", [], {}))


class TestClaims:
    def test_the_first_to_come_settles_it(self, storage: Storage) -> None:
        assert storage.claims.get("n") is None
        assert storage.claims.claim("n", {"job_id": "1"}, 60) == {"job_id": "1"}
        assert storage.claims.claim("n", {"job_id": "2"}, 60) == {"job_id": "1"}
        assert storage.claims.get("n") == {"job_id": "1"}
        assert storage.claims.claim("other", {}, 60) == {}

    def test_it_is_free_again_after_its_lifetime(self, world: World) -> None:
        claims = world.storage.claims
        claims.claim("n", {"a": "1"}, 60)
        world.pass_time(59)
        claims.claim("n", {"a": "2"}, 3600)  # does not prolong what stands
        world.pass_time(1)
        assert claims.get("n") is None
        assert claims.claim("n", {"a": "3"}, 60) == {"a": "3"}
        world.pass_time(60)
        world.storage.sweep()
        assert claims.get("n") is None

    def test_it_can_be_freed(self, storage: Storage) -> None:
        storage.claims.claim("n", {"a": "1"}, 60)
        storage.claims.delete("n")
        storage.claims.delete("n")
        assert storage.claims.claim("n", {"a": "2"}, 60) == {"a": "2"}

    @pytest.mark.parametrize("name", ["idempotency:me:" + "k" * 255, "é", "a'b", "x y\n"])
    def test_a_name_is_any_text(self, storage: Storage, name: str) -> None:
        assert storage.claims.claim(name, {"ü": "ö"}, 60) == {"ü": "ö"}
        assert storage.claims.get(name) == {"ü": "ö"}


def test_a_healthy_world_says_so(storage: Storage) -> None:
    checks = list(storage.checks)
    assert checks
    assert len({check.name for check in checks}) == len(checks)
    for check in checks:
        check.check()
