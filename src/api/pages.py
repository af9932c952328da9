"""The page, the documentation and their assets: files of `static/`, under a policy that lets nothing else in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import Response
from fastapi.responses import FileResponse

from utils.errors import NotFoundError

STATIC: Final = Path(__file__).parent / "static"
PAGE_POLICY: Final = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
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


def static_file(name: str) -> Response:
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
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
    return FileResponse(path, media_type=kind, headers=headers)
