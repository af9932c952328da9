"""How much goes through the API itself, and what a client is told to do with more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from models.blueprint import MAX_FILE_BYTES
from storage.base import UPLOAD_PATH
from utils.errors import FileTooLargeError

_MIB: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request and one answer may carry; `answer_bytes` is None where an answer may have any size."""

    inline_file_bytes: int = MAX_FILE_BYTES
    answer_bytes: int | None = None

    @property
    def json_bytes(self) -> int:
        """The longest JSON body that a file within the limit may need."""
        # Four letters of base64 hold three bytes; some clients break lines or write "/" as "\/"; the rest needs room.
        return self.inline_file_bytes * 4 // 3 * 17 // 16 + 64 * 1024

    @property
    def form_bytes(self) -> int:
        """The longest form that a file within the limit may need."""
        return self.inline_file_bytes + 64 * 1024

    def check(self, size_bytes: int) -> None:
        """Nothing, if a file of this size may come in with the request.

        Raises:
            FileTooLargeError: it may not.
        """
        if size_bytes > self.inline_file_bytes:
            raise self.too_large()

    def too_large(self) -> FileTooLargeError:
        """The error for a body that no file within the limit needs."""
        if self.inline_file_bytes < MAX_FILE_BYTES:
            return FileTooLargeError(
                f"A file of more than {self.inline_file_bytes // _MIB} MB goes through an upload: POST {UPLOAD_PATH}.",
                limit="max_inline_bytes",
                value=self.inline_file_bytes,
                upload=UPLOAD_PATH,
            )
        return FileTooLargeError(
            f"The file is larger than {MAX_FILE_BYTES // _MIB} MB.", limit="max_file_bytes", value=MAX_FILE_BYTES
        )


ONE_MACHINE: Final = Limits()
# Lambda takes 6 MB each way, with whatever is binary as base64; what is more the gateway refuses by itself.
LAMBDA: Final = Limits(inline_file_bytes=4 * _MIB, answer_bytes=4 * _MIB)
