"""The page, the documentation and their assets: files of `static/`, under a policy that lets nothing else in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fastapi import Response
from fastapi.responses import FileResponse

from storage.base import Storage
from utils.errors import NotFoundError

STATIC: Final = Path(__file__).parent / "static"
PAGE_POLICY: Final = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_ANY_S: Final = 60
# Written down, because what a system's own table says of these differs.
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


def page_policy(store_origins: Sequence[str] = ()) -> str:
    """The policy of a page whose script also sends files to these origins and fetches files from them."""
    connect = " ".join(("connect-src 'self'", *store_origins))
    return f"{PAGE_POLICY}; {connect}" if store_origins else PAGE_POLICY


def store_origins(storage: Storage) -> tuple[str, ...]:
    """Where uploads go and large files come from, if not from the service itself: the origins of the store's URLs."""
    if storage.uploads is not None:
        return ()
    urls = (
        storage.blueprints.presign_upload("uploads/any/blueprint", 1, _ANY_S).url,
        storage.cache.presign_download("cache/any/any", _ANY_S),
    )
    return tuple(dict.fromkeys("{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in urls if url is not None))


def static_file(name: str, policy: str = PAGE_POLICY) -> Response:
    """The file of `static/` with this name.

    Raises:
        NotFoundError: there is none, or it is of a kind that is not served.
    """
    kind = _TYPES.get(Path(name).suffix)
    if kind is None or "\x00" in name or "\\" in name:
        raise NotFoundError
    path = (STATIC / name).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file():
        raise NotFoundError
    # Asked for anew each time (with an ETag), so that a page and its script are never of two versions.
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    return FileResponse(path, media_type=kind, headers=headers)
