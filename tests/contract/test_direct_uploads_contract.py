"""Files that clients bring to and take from the store themselves, with what was signed for them.

These need a store that looks at signatures, which moto does not: they run where the environment names an emulator.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import requests
from tests.aws.servers import EMULATOR_ENDPOINT
from tests.contract.worlds import SERVER_WORLDS, World

from models.blueprint import MAX_FILE_BYTES
from storage.base import BlobStore, UploadTicket
from utils import aws

KEY = "uploads/job_20240115_aaaaaaaaaaaaaaaa/blueprint"
TARGET = "blueprints/job_20240115_aaaaaaaaaaaaaaaa/blueprint.pdf"
pytestmark = pytest.mark.skipif(not SERVER_WORLDS, reason="no emulator of S3 in the environment: `make test-aws`")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return SERVER_WORLDS["emulator"](tmp_path)


@pytest.fixture
def blobs(world: World) -> BlobStore:
    return world.storage.blueprints


def post(ticket: UploadTicket, data: bytes, **changed: str) -> int:
    """The store's answer to the form, the file as its last part."""
    fields = {name: value for name, value in {**ticket.fields, **changed}.items() if value}
    return requests.post(ticket.url, data=fields, files={"file": ("plan.pdf", data)}, timeout=60).status_code


def test_a_ticket_lets_in_what_it_was_given_for(blobs: BlobStore) -> None:
    ticket = blobs.presign_upload(KEY, 10, 600)
    assert post(ticket, b"1234567890") in (200, 204)
    assert blobs.get(KEY) == b"1234567890"
    assert post(ticket, b"again") in (200, 204)
    assert blobs.move(KEY, TARGET) is True
    assert (blobs.get(KEY), blobs.get(TARGET)) == (None, b"again")


def test_a_ticket_lets_in_50_mb_and_not_a_byte_more(blobs: BlobStore) -> None:
    ticket = blobs.presign_upload(KEY, MAX_FILE_BYTES, 600)
    assert post(ticket, b"x" * (MAX_FILE_BYTES + 1)) == 400
    assert blobs.size_bytes(KEY) is None
    assert post(ticket, b"x" * MAX_FILE_BYTES) in (200, 204)
    assert blobs.size_bytes(KEY) == MAX_FILE_BYTES == 52_428_800
    assert blobs.move(KEY, TARGET) is True
    assert blobs.size_bytes(TARGET) == MAX_FILE_BYTES


def test_whoever_changes_a_field_is_refused(blobs: BlobStore) -> None:
    ticket = blobs.presign_upload(KEY, 10, 600)
    other = blobs.presign_upload("uploads/job_2/blueprint", 10_000, 600)
    for changed in (
        {"key": other.key},
        {"policy": other.fields["policy"]},
        {"x-amz-signature": other.fields["x-amz-signature"]},
        {"x-amz-signature": "0" * 64},
        {"x-amz-signature": ""},
        {"policy": ""},
    ):
        assert post(ticket, b"x", **changed) in (400, 403)
    assert blobs.delete_prefix("uploads/") == 0


def test_what_was_signed_ends(blobs: BlobStore) -> None:
    blobs.put(TARGET, b"mine", "application/pdf")
    ticket, url = blobs.presign_upload(KEY, 10, 1), blobs.presign_download(TARGET, 1)
    assert url is not None
    time.sleep(2.1)  # whole seconds are compared
    assert post(ticket, b"late") in (400, 403)
    assert blobs.get(KEY) is None
    assert requests.get(url, timeout=10).status_code == 403


def test_a_download_hands_out_one_file(blobs: BlobStore) -> None:
    blobs.put(TARGET, b"mine", "application/pdf")
    blobs.put(KEY, b"another's", "application/pdf")
    url = blobs.presign_download(TARGET, 60)
    assert url is not None
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"mine")
    assert answer.headers["content-type"] == "application/pdf"
    assert blobs.key_of_url(url) == TARGET
    for forged in (url.replace(TARGET, KEY), url.partition("?")[0], url[:-1] + ("0" if url[-1] != "0" else "1")):
        assert requests.get(forged, timeout=10).status_code == 403
    assert requests.put(url, data=b"x", timeout=10).status_code == 403
    assert requests.delete(url, timeout=10).status_code == 403
    assert blobs.get(TARGET) == b"mine"


def test_a_purge_takes_earlier_versions_too(world: World, blobs: BlobStore) -> None:
    assert world.settings is not None
    s3, bucket = aws.client("s3", os.environ[EMULATOR_ENDPOINT]), world.settings.blueprints_bucket
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for data in (b"first", b"second"):
        blobs.put(KEY, data, "application/pdf")
        assert blobs.move(KEY, TARGET) is True
    kept = s3.list_object_versions(Bucket=bucket)
    assert (len(kept["Versions"]), len(kept["DeleteMarkers"])) == (4, 2)
    assert blobs.delete_prefix("uploads/") == 0  # versions and markers alone
    assert blobs.delete_prefix("blueprints/") == 1
    left = s3.list_object_versions(Bucket=bucket)
    assert "Versions" not in left
    assert "DeleteMarkers" not in left
