"""What lies in the buckets: versions, parts, signed forms, and which URLs lead there."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.worlds import START
from tests.unit.storage.aws.conftest import Faults

from storage.aws.blobs import PART_BYTES
from storage.aws.urls import key_of_url
from storage.aws.world import open_aws
from storage.base import Storage
from utils import aws
from utils.config import Settings

KEY = "blueprints/job_1/blueprint.pdf"


@pytest.mark.parametrize(
    ("size_bytes", "calls"),
    [
        (PART_BYTES, ["PutObject"]),
        (PART_BYTES + 1, ["CreateMultipartUpload", "UploadPart", "UploadPart", "CompleteMultipartUpload"]),
    ],
)
def test_what_is_larger_than_8_mb_goes_up_in_parts(
    storage: Storage, faults: Faults, size_bytes: int, calls: list[str]
) -> None:
    data = (bytes(range(251)) * (size_bytes // 251 + 1))[:size_bytes]
    storage.blueprints.put(KEY, data, "application/pdf")
    assert faults.calls == calls
    assert storage.blueprints.get(KEY) == data
    kept = aws.client("s3").head_object(Bucket=_bucket(storage), Key=KEY)
    assert (kept["ContentType"], kept["ContentLength"]) == ("application/pdf", size_bytes)


def test_a_large_file_is_never_in_memory_as_a_whole(storage: Storage, faults: Faults) -> None:
    class Stream:
        """A file of which no more than two parts may be read ahead of what has gone up."""

        left_bytes = 6 * PART_BYTES

        def read(self, size_bytes: int) -> bytes:
            ahead_bytes = 6 * PART_BYTES - self.left_bytes - faults.calls.count("UploadPart") * PART_BYTES
            assert ahead_bytes <= 2 * PART_BYTES
            piece = min(size_bytes, self.left_bytes, 300_000)  # a read may give less than it was asked for
            self.left_bytes -= piece
            return b"x" * piece

    stream: Any = Stream()
    storage.blueprints.put(KEY, stream, "application/pdf")
    assert storage.blueprints.size_bytes(KEY) == 6 * PART_BYTES
    assert faults.calls.count("UploadPart") == 6


def test_a_part_that_fails_after_seconds_is_sent_again_and_not_the_whole_file(
    account: Settings, faults: Faults
) -> None:
    passed_s = [0.0]

    def slow_and_failing(number: int, name: str) -> str | None:
        if name != "UploadPart":
            return None
        passed_s[0] += 3
        return "503 SlowDown" if faults.calls.count(name) % 2 else None

    faults.happens = slow_and_failing
    storage = open_aws(account, lambda: START, sleep=lambda seconds: None, monotonic=lambda: passed_s[0])
    storage.blueprints.put(KEY, b"x" * (2 * PART_BYTES), "application/pdf")
    assert storage.blueprints.size_bytes(KEY) == 2 * PART_BYTES
    assert faults.calls.count("UploadPart") == 4
    assert faults.calls.count("CreateMultipartUpload") == 1


def test_all_versions_go_page_by_page(account: Settings, storage: Storage, faults: Faults) -> None:
    s3 = aws.client("s3")
    s3.put_bucket_versioning(Bucket=account.cache_bucket, VersioningConfiguration={"Status": "Enabled"})
    keys = [f"cache/pages/job_1/{number}.png" for number in range(5)]
    for key in keys:
        storage.cache.put(key, b"first", "image/png")
        storage.cache.put(key, b"second", "image/png")
    s3.delete_object(Bucket=account.cache_bucket, Key=keys[0])  # leaves a marker and two versions
    storage.cache.put("cache/pages/job_2/1.png", b"other's", "image/png")

    def small_pages(params: dict[str, Any], **_: Any) -> None:
        params["MaxKeys"] = 3

    s3.meta.events.register("provide-client-params.s3.ListObjectVersions", small_pages)
    try:
        assert storage.cache.delete_prefix("cache/pages/job_1/") == 4
    finally:
        s3.meta.events.unregister("provide-client-params.s3.ListObjectVersions", small_pages)
    assert faults.calls.count("ListObjectVersions") > 2
    left = s3.list_object_versions(Bucket=account.cache_bucket)
    assert [found["Key"] for found in left["Versions"]] == ["cache/pages/job_2/1.png"]
    assert "DeleteMarkers" not in left


def test_a_move_keeps_the_content_type(account: Settings, storage: Storage) -> None:
    storage.blueprints.put("uploads/job_1/blueprint", b"x", "application/pdf")
    assert storage.blueprints.move("uploads/job_1/blueprint", KEY) is True
    assert aws.client("s3").head_object(Bucket=account.blueprints_bucket, Key=KEY)["ContentType"] == "application/pdf"
    assert storage.blueprints.move(KEY, KEY) is True
    assert storage.blueprints.get(KEY) == b"x"


def test_a_ticket_is_a_signed_form_with_a_limit(account: Settings, storage: Storage) -> None:
    ticket = storage.blueprints.presign_upload("uploads/job_1/blueprint", 52_428_800, 3600)
    assert (ticket.method, ticket.key) == ("POST", "uploads/job_1/blueprint")
    assert (ticket.expires_at - START).total_seconds() == 3600
    assert ticket.url == f"https://{account.blueprints_bucket}.s3.us-east-1.amazonaws.com/"
    policy = json.loads(base64.b64decode(ticket.fields["policy"]))
    assert ["content-length-range", 0, 52_428_800] in policy["conditions"]
    assert {"key": "uploads/job_1/blueprint"} in policy["conditions"]
    assert ticket.fields["key"] == "uploads/job_1/blueprint"
    assert ticket.fields["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    assert json.loads(json.dumps(ticket.fields)) == ticket.fields


def test_a_download_is_a_signed_url_that_ends(account: Settings, storage: Storage) -> None:
    url = storage.cache.presign_download("cache/final/job_1/floorplan.json", 300)
    assert url is not None
    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    assert parts.netloc == f"{account.cache_bucket}.s3.us-east-1.amazonaws.com"
    assert (query["X-Amz-Expires"], query["X-Amz-SignedHeaders"]) == (["300"], ["host"])
    assert storage.cache.key_of_url(url) == "cache/final/job_1/floorplan.json"
    assert storage.blueprints.key_of_url(url) is None


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1", "ap-southeast-2"])
def test_signed_addresses_are_those_of_the_buckets_region(
    account: Settings, monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    """The global address redirects to a young bucket's region, and a posted form is not sent on."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    aws.forget_clients()
    storage = open_aws(account, lambda: START)
    host = f"{account.blueprints_bucket}.s3.{region}.amazonaws.com"
    assert storage.blueprints.presign_upload(KEY, 10, 60).url == f"https://{host}/"
    url = storage.blueprints.presign_download(KEY, 60)
    assert url is not None
    assert url.startswith(f"https://{host}/{KEY}?")
    assert storage.blueprints.key_of_url(url) == KEY
    aws.forget_clients()


BUCKET, AMAZON, OTHER = "ld-dev", "https://s3.eu-west-1.amazonaws.com", "http://127.0.0.1:4566"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        (f"https://ld-dev.s3.amazonaws.com/{KEY}", AMAZON),
        (f"https://ld-dev.s3.eu-west-1.amazonaws.com/{KEY}?X-Amz-Signature=x", AMAZON),
        (f"https://ld-dev.s3-eu-west-1.amazonaws.com/{KEY}", AMAZON),
        (f"https://ld-dev.s3.dualstack.eu-west-1.amazonaws.com:443/{KEY}", AMAZON),
        (f"https://LD-DEV.S3.AMAZONAWS.COM/{KEY}", AMAZON),
        (f"https://s3.eu-west-1.amazonaws.com/ld-dev/{KEY}", AMAZON),
        (f"https://s3.amazonaws.com/ld-dev/{KEY}#fragment", AMAZON),
        ("https://ld-dev.s3.amazonaws.com/blueprints%2Fjob_1/blueprint%2Epdf", AMAZON),
        (f"http://127.0.0.1:4566/ld-dev/{KEY}", OTHER),
        (f"http://ld-dev.localhost:4566/{KEY}", "http://localhost:4566"),
    ],
)
def test_urls_of_this_very_bucket(url: str, endpoint: str) -> None:
    assert key_of_url(url, bucket=BUCKET, region="eu-west-1", endpoint=endpoint) == KEY


@pytest.mark.parametrize(
    "url",
    [
        f"http://ld-dev.s3.amazonaws.com/{KEY}",
        f"https://ld-dev.s3.amazonaws.com:8443/{KEY}",
        f"https://ld-prod.s3.amazonaws.com/{KEY}",
        f"https://x.ld-dev.s3.amazonaws.com/{KEY}",
        f"https://ld-dev.s3.us-west-2.amazonaws.com/{KEY}",
        f"https://ld-dev.s3.amazonaws.com.example.org/{KEY}",
        f"https://ld-dev.s3xamazonaws.com/{KEY}",
        f"https://ld-dev.s3.amazonaws.com@example.org/{KEY}",
        f"https://me:x@ld-dev.s3.amazonaws.com/{KEY}",
        f"https://s3.amazonaws.com/ld-prod/{KEY}",
        f"https://s3.amazonaws.com/{KEY}",
        "https://s3.amazonaws.com/ld-dev/",
        "https://ld-dev.s3.amazonaws.com/",
        "https://ld-dev.s3.amazonaws.com/../x",
        "https://ld-dev.s3.amazonaws.com/%2e%2e/x",
        "https://ld-dev.s3.amazonaws.com//x",
        f"https://127.0.0.1:4566/ld-dev/{KEY}",
        f"http://127.0.0.1:4567/ld-dev/{KEY}",
        "https://[::1",
        "https://ld-dev.s3.amazonaws.com:port/x",
        f"//ld-dev.s3.amazonaws.com/{KEY}",
    ],
)
@pytest.mark.parametrize("endpoint", [AMAZON, OTHER])
def test_urls_of_anything_else(url: str, endpoint: str) -> None:
    assert key_of_url(url, bucket=BUCKET, region="eu-west-1", endpoint=endpoint) is None


@given(st.text(max_size=60))
def test_any_text_may_be_asked(text: str) -> None:
    for url in (text, f"https://{text}", f"https://ld-dev.s3.amazonaws.com/{text}", f"https://{text}.amazonaws.com/a"):
        key = key_of_url(url, bucket=BUCKET, region="eu-west-1", endpoint=AMAZON)
        if key is not None:
            assert key.encode().isascii()
            assert ".." not in key.split("/")


def _bucket(storage: Storage) -> str:
    return urlsplit(storage.blueprints.presign_upload(KEY, 1, 1).url).netloc.partition(".")[0]
