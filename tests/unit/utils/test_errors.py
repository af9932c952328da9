from __future__ import annotations

import pytest

from utils import errors
from utils.errors import FileTooLargeError, ServiceError, ServiceUnavailableError

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, ServiceError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_has_a_sentence_a_code_and_a_status(kind: type[ServiceError]) -> None:
    error = kind()
    assert error.message.endswith(".")
    assert str(error) == error.message
    assert 400 <= error.http_status < 600
    assert error.to_json() == {"code": error.code, "message": error.message, "details": {}}


def test_no_two_errors_share_a_code() -> None:
    codes = [kind.code for kind in CLASSES if kind is not ServiceError]
    assert len(codes) == len(set(codes))


def test_the_specified_codes_are_there() -> None:
    specified = {
        "INVALID_FILE_FORMAT",
        "FILE_TOO_LARGE",
        "JOB_NOT_FOUND",
        "JOB_ALREADY_COMPLETED",
        "SERVICE_UNAVAILABLE",
    }
    assert specified <= {kind.code for kind in CLASSES}


def test_only_an_outage_is_worth_asking_again() -> None:
    assert [kind for kind in CLASSES if kind.retryable] == [ServiceUnavailableError]


def test_details_and_a_better_message_are_kept() -> None:
    error = FileTooLargeError("Too big.", limit="max_file_bytes", value=5)
    assert error.to_json()["message"] == "Too big."
    assert error.details == {"limit": "max_file_bytes", "value": 5}
