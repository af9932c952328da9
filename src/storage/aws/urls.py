"""Which URLs point into a bucket: those of S3, path-style and virtual-hosted, and those of a given endpoint."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit

from storage.keys import is_key


def key_of_url(url: str, *, bucket: str, region: str, endpoint: str) -> str | None:
    """The key in this very bucket that the URL points at, whatever its query, or None.

    Args:
        url: any text.
        bucket: the bucket's name.
        region: the region in which it is.
        endpoint: the URL that the client of S3 uses: AWS's own, or that of another store.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.password is not None or parts.hostname is None:
        return None
    path = unquote(parts.path)
    if _is_endpoint(parts, port, "", region, endpoint):
        prefix = f"/{bucket}/"
        key = path[len(prefix) :] if path.startswith(prefix) else ""
    elif _is_endpoint(parts, port, f"{bucket}.", region, endpoint):
        key = path[1:]
    else:
        return None
    return key if is_key(key) else None


def _is_endpoint(parts: SplitResult, port: int | None, subdomain: str, region: str, endpoint: str) -> bool:
    """Whether the URL's server is S3 or the endpoint, below the subdomain."""
    host = parts.hostname or ""
    own = urlsplit(endpoint)
    if (parts.scheme, host, port) == (own.scheme, f"{subdomain}{own.hostname}", own.port):
        return True
    amazon = rf"{re.escape(subdomain)}s3(?:\.dualstack)?(?:[.-]{re.escape(region)})?\.amazonaws\.com(?:\.cn)?"
    return parts.scheme == "https" and port in (None, 443) and re.fullmatch(amazon, host) is not None
