"""Pictures that lean, turned upright for a search that reads rows and columns, and what it found turned back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np

from detection.morphology import resized
from detection.regions import ByteImage, FloatArray, LabelImage

_LEANING_DEG: Final = 1.5  # a scan's small skew does no harm, and turning blurs


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn about the picture's middle that makes its walls upright, and the way back.

    Attributes:
        shape: the picture's height and width.
        turned: the turned picture's height and width, which hold all of it.
        matrix: float64 (2, 3), from the picture to the turned one; None leaves pictures as they are.
    """

    shape: tuple[int, int]
    turned: tuple[int, int]
    matrix: FloatArray | None

    @classmethod
    def upright(cls, grey: ByteImage) -> Turn:
        """The turn for a picture, from the directions of its edges modulo 90 degrees."""
        half = resized(grey, max(1, grey.shape[1] // 2), max(1, grey.shape[0] // 2), cv2.INTER_AREA)
        across, down = (cv2.Sobel(half, cv2.CV_32F, *order, ksize=3) for order in ((1, 0), (0, 1)))
        strength = np.hypot(across, down)
        strong = strength > 80
        directions = np.degrees(np.arctan2(down[strong], across[strong])) % 90
        bins = np.bincount((directions * 2).astype(np.int64) % 180, strength[strong], minlength=180)
        smooth = sum(np.roll(bins, shift) for shift in (-2, -1, 0, 1, 2))
        angle = (float(np.argmax(smooth)) / 2 + 0.25 + 45) % 90 - 45
        shape = grey.shape[0], grey.shape[1]
        return cls.by(shape, angle) if abs(angle) > _LEANING_DEG else cls(shape, shape, None)

    @classmethod
    def by(cls, shape: tuple[int, int], angle_deg: float) -> Turn:
        """The turn of a picture whose walls lean by an angle, clockwise on screen."""
        height, width = shape
        matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, 1.0), np.float64)
        cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
        turned = int(width * sin + height * cos) + 1, int(width * cos + height * sin) + 1
        matrix[:, 2] += (turned[1] - width) / 2, (turned[0] - height) / 2
        return cls(shape, turned, matrix)

    def forth(self, grey: ByteImage) -> ByteImage:
        """The picture turned upright, the corners filled with paper."""
        if self.matrix is None:
            return grey
        height, width = self.turned
        paper = (int(np.percentile(grey, 90)),)
        return cast(
            ByteImage, cv2.warpAffine(grey, self.matrix, (width, height), flags=cv2.INTER_CUBIC, borderValue=paper)
        )

    def back(self, labels: LabelImage) -> LabelImage:
        """The labels of the turned picture, as they lie in the picture itself."""
        if self.matrix is None:
            return labels
        height, width = self.shape
        inverse = cv2.invertAffineTransform(self.matrix)
        upright = cv2.warpAffine(labels.astype(np.float32), inverse, (width, height), flags=cv2.INTER_NEAREST)
        return np.rint(upright).astype(np.int32)

    def point_back(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point of the turned picture, as it lies in the picture itself."""
        if self.matrix is None:
            return point
        x, y = cv2.invertAffineTransform(self.matrix) @ np.array([*point, 1.0])
        return float(x), float(y)
