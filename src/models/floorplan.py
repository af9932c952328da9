"""A floorplan: the rooms and openings found on a blueprint, in the one JSON form that every face shares.

Coordinates are pixels of the image as decoded (EXIF orientation applied) or PDF points of the page as displayed
(crop box and /Rotate applied); the origin is the top left corner and y grows downwards.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.blueprint import BlueprintFormat

SCHEMA_VERSION: Literal[1] = 1

Point = tuple[float, float]
Ring = Annotated[list[Point], Field(min_length=3)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Flag = Literal["leaky", "closed_by_guess", "no_label", "odd_shape"]


class _Model(BaseModel):
    # JSON has no NaN: it would be written as null and could not be read back.
    # Built when first used: the API knows the names of these alone.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Source(_Model):
    """The blueprint that the floorplan was read from."""

    format: BlueprintFormat
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Scale(_Model):
    """How long one unit of the page is in the building, and what says so."""

    metres_per_unit: float = Field(gt=0)
    from_: str = Field(alias="from", description="what the scale was read from, such as printed areas")
    agreement: Ratio = Field(description="the share of the evidence that agrees with this value")

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Room(_Model):
    """A closed space that a person walks into, bounded by the inner faces of its walls."""

    id: str = Field(pattern=r"^room_\d{3,}$", description="counts over the whole document, in reading order")
    polygon: Ring = Field(
        description="inner wall faces, not closed by repetition, clockwise on screen, the top-left-most vertex first"
    )
    holes: list[Ring] = Field(default_factory=list, description="what inside the polygon is not the room")
    bounding_box: Annotated[list[int], Field(min_length=4, max_length=4)] = Field(
        description="x_min, y_min, x_max, y_max, normalised to 0..1000 of the page's width and height"
    )
    name_hint: str | None = Field(default=None, description="the room's name as printed")
    number: str | None = Field(default=None, description="the room's number as printed")
    area_m2: float | None = Field(default=None, ge=0, description="null where no scale is known")
    confidence: Ratio = Field(description="the expected share of such rooms that are right at IoU 0.7")
    flags: list[Flag] = Field(default_factory=list, description="why the confidence is low")


class Opening(_Model):
    """A door, window or bare gap in a wall, as the segment that closes it."""

    kind: Literal["door", "window", "gap"]
    line: Annotated[list[Point], Field(min_length=2, max_length=2)]
    rooms: Annotated[list[str], Field(max_length=2)] = Field(description="ids of the rooms on its sides")
    confidence: Ratio


class Page(_Model):
    """One page of the document, an image being a document of one page."""

    page: int = Field(ge=1)
    width: float = Field(gt=0)
    height: float = Field(gt=0)
    unit: Literal["px", "pt"]
    message: str | None = Field(default=None, description="why the page has no rooms, or what was left out")
    scale: Scale | None = None
    rooms: list[Room] = Field(default_factory=list)
    openings: list[Opening] = Field(default_factory=list)


class Floorplan(_Model):
    """Everything that was found on one blueprint."""

    schema_version: Literal[1] = Field(default=SCHEMA_VERSION, alias="schema")
    model_version: str
    source: Source
    pages: list[Page]

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, protected_namespaces=())

    def to_json(self) -> str:
        """The document's one JSON text: equal floorplans give equal bytes."""
        return self.model_dump_json(by_alias=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Floorplan:
        """The floorplan in a text that `to_json` wrote.

        Raises:
            pydantic.ValidationError: the text does not have the schema's form.
        """
        return cls.model_validate_json(text)

    @property
    def room_count(self) -> int:
        """How many rooms there are on all pages."""
        return sum(len(page.rooms) for page in self.pages)


def floorplan_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a floorplan document."""
    schema = Floorplan.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
