"""Cursors of lists: opaque, good for one owner, and refused if a letter of them was changed.

A cursor is only a place in the list of the owner who asks. It carries a checksum and no signature: whoever makes one up
gets nothing that the list would not give them anyway.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

_CHECKSUM_BYTES: Final = 12


def write_cursor(owner: str, created_at: str, job_id: str) -> str:
    """The cursor of the place after this job."""
    place = f"{created_at} {job_id}".encode()
    return base64.urlsafe_b64encode(_checksum(owner, place) + place).rstrip(b"=").decode()


def read_cursor(owner: str, cursor: str) -> tuple[str, str]:
    """The `created_at` and the id of the job that the cursor comes after.

    Raises:
        ValueError: it is not a cursor of this owner.
    """
    try:
        token = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        checksum, place = token[:_CHECKSUM_BYTES], token[_CHECKSUM_BYTES:]
        created_at, _, job_id = place.decode().partition(" ")
        # Written again and compared as a whole: base64 has more than one spelling.
        if checksum != _checksum(owner, place) or write_cursor(owner, created_at, job_id) != cursor:
            raise ValueError
    except (ValueError, binascii.Error):
        raise ValueError("the cursor is not one that a list of this owner gave") from None
    return created_at, job_id


def _checksum(owner: str, place: bytes) -> bytes:
    return hashlib.sha256(b"cursor\0" + owner.encode() + b"\0" + place).digest()[:_CHECKSUM_BYTES]
