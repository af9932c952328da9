from __future__ import annotations

from pathlib import Path, PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from storage.keys import MAX_KEY_LENGTH, is_key, is_prefix

texts = st.text(alphabet=st.sampled_from("ab0_-./\\%\x00 ~é:"), max_size=20) | st.text(max_size=20)


@given(texts)
def test_a_key_stays_below_its_root(text: str) -> None:
    if is_key(text):
        root = Path("/srv/store")
        path = Path(root / text)
        assert path.is_relative_to(root)
        assert path != root
        assert ".." not in path.parts
        assert str(PurePosixPath(text)) == text  # one spelling a key


@given(texts, st.integers(1, 20))
def test_what_a_key_begins_with_is_a_prefix(text: str, length: int) -> None:
    if is_key(text):
        assert is_prefix(text[:length])


@given(texts)
def test_a_prefix_stays_below_its_root_too(text: str) -> None:
    if is_prefix(text):
        assert text
        assert ".." not in PurePosixPath(text).parts
        assert not text.startswith("/")


def test_length_is_limited() -> None:
    assert is_key("/".join(["a" * 128] * 3))
    assert not is_key("a" * 129)
    assert not is_key("/".join(["a"] * MAX_KEY_LENGTH))
