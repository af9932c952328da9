"""The text of a printed line, read by a recognition model that comes with the optional extra `names`.

The model is PP-OCRv6's small one (Apache-2.0), which lies in the wheel of `rapidocr`; nothing else of that package is
used, and nothing is downloaded. Of the 18,708 signs that it knows, only Latin letters, digits and marks are listened
to: furniture looks like many of the others.
"""

from __future__ import annotations

import importlib.util
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.morphology import resized
from detection.regions import ByteImage

_MODEL: Final = Path("models") / "PP-OCRv6_rec_small.onnx"
_HEIGHT_PX: Final = 48  # what the model takes
_LEAST_WIDTH_PX: Final = 64
_MOST_WIDTH_PX: Final = 960
_MARKS: Final = " !\"#%&'()*+,-./:;<=>?@[]_|~°²³·×’“”′″½¼¾–€£$"

_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Letter:
    """A sign that was read.

    Attributes:
        sign: one character.
        chance: how sure the model is of it, 0 to 1.
        place: where along the line its middle is, 0 to 1.
    """

    sign: str
    chance: float
    place: float


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether the extra was installed when this process first asked."""
    return importlib.util.find_spec("onnxruntime") is not None and _model_path() is not None


def read_line(line: ByteImage, threads: int) -> list[Letter]:
    """The letters in the picture of one upright line.

    Args:
        line: uint8 (h, w), ink dark.
        threads: how many threads may work on it; the letters do not depend on it.
    """
    width = min(_MOST_WIDTH_PX, max(1, round(line.shape[1] * _HEIGHT_PX / line.shape[0])))
    method = cv2.INTER_AREA if line.shape[0] > _HEIGHT_PX else cv2.INTER_CUBIC
    fitted = resized(line, width, _HEIGHT_PX, method)
    given = max(width, _LEAST_WIDTH_PX)
    values = np.zeros((1, 3, _HEIGHT_PX, given), np.float32)
    values[..., :width] = fitted.astype(np.float32) / np.float32(127.5) - np.float32(1)
    model = _model(threads)
    with _lock:
        chances = model.session.run(None, {model.taken: values})[0][0][:, model.columns]
    return _letters(chances, model.signs, width / given)


def _letters(chances: NDArray[np.float32], signs: tuple[str, ...], used: float) -> list[Letter]:
    """What the model says step by step, as letters: a sign said in several steps in a row is one letter."""
    best = chances.argmax(axis=1)
    letters: list[Letter] = []
    begin = 0
    for step in range(1, len(best) + 1):
        if step < len(best) and best[step] == best[begin]:
            continue
        if best[begin]:
            chance = float(chances[begin:step, best[begin]].max())
            place = (begin + step) / 2 / len(best) / used
            letters.append(Letter(signs[best[begin]], chance, min(1.0, place)))
        begin = step
    return letters


@dataclass(frozen=True, slots=True)
class _Model:
    """The session, its input's name, the columns that are listened to and their signs; the first is no letter."""

    session: Any
    taken: str
    columns: NDArray[np.intp]
    signs: tuple[str, ...]


def _model_path() -> Path | None:
    package = importlib.util.find_spec("rapidocr")
    folders = package.submodule_search_locations if package is not None else None
    paths = [Path(folder) / _MODEL for folder in folders or ()]
    return next((path for path in paths if path.is_file()), None)


@lru_cache(maxsize=4)
def _model(threads: int) -> _Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = _model_path()
    if path is None:
        raise RuntimeError("The extra `names` is not installed.")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    known = ["", *session.get_modelmeta().custom_metadata_map["character"].splitlines(), " "]
    columns = [0, *(k for k, sign in enumerate(known) if k and _listened_to(sign))]
    return _Model(session, session.get_inputs()[0].name, np.array(columns), tuple(known[k] for k in columns))


def _listened_to(sign: str) -> bool:
    """Letters of Latin-1 and Latin Extended-A, digits and the marks of print in Europe and America."""
    return len(sign) == 1 and (sign in _MARKS or (sign.isalnum() and ord(sign) < 0x180 and sign not in "ªº¹"))
