"""What happens to a sheet after it was drawn: skew, blur, uneven light, grain, dirt, hard contrast."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np


def scan(picture: Any, seed: int, angle_deg: float = 0.5) -> Any:
    """A grey scan (uint8 h x w) of a BGR picture; the matrix that was applied comes with it."""
    rng = np.random.default_rng(seed)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    height, width = grey.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, 1.0)
    grey = cv2.warpAffine(grey, matrix, (width, height), flags=cv2.INTER_AREA, borderValue=(255,))
    grey = cv2.GaussianBlur(grey, (0, 0), 0.8).astype(np.float32)
    light = cv2.resize(rng.uniform(0.9, 1.0, (4, 5)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    grey = (grey * light * 0.93 + 12) + rng.normal(0, 4, grey.shape)
    for _ in range(60):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        cv2.circle(grey, (x, y), 1, (float(rng.integers(60, 160)),), -1)
    fold = height // 2
    grey[fold - 1 : fold + 1] *= 0.86
    levels = np.clip((grey - 40) * 1.25, 0, 255)
    return (np.round(levels / 17) * 17).astype(np.uint8), matrix
