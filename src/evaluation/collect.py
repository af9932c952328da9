"""A folder of labelled plans: which labels lie in it, which pictures they are of, and what is wrong with them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from evaluation.drafts import Draft
from evaluation.geometry import LabelsError
from evaluation.readers import read_labels
from evaluation.truth import LabelledPage, Problem
from models.blueprint import PageSelection

PICTURE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".pdf"})
#: Folders that hold the labels of the set around them; pictures often lie in a folder beside.
_LABEL_FOLDERS: Final = frozenset({"annotations", "labels"})


@dataclass(frozen=True, slots=True)
class Collection:
    """What a folder holds: plans in order of set and file, what cannot be used, and what a person should know."""

    pages: tuple[LabelledPage, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def collect(root: Path) -> Collection:
    """The labelled plans in the folder and the folders below it."""
    files = list(_files(root))
    pictures = Pictures(root, [file for file in files if file.suffix.casefold() in PICTURE_SUFFIXES])
    pages: list[LabelledPage] = []
    problems: list[Problem] = []
    notes: list[str] = []
    for path in (file for file in files if file.suffix.casefold() == ".json"):
        where = path.relative_to(root).as_posix()
        try:
            drafts = read_labels(path)
        except LabelsError as error:
            problems.append(Problem(where, str(error)))
            continue
        if drafts is None:
            notes.append(f"{where}: no labels in a format known here (our own, COCO, labelme); left out")
            continue
        if not drafts:
            notes.append(f"{where}: lists no picture with rooms; left out")
        for draft in drafts:
            try:
                pages.append(_page(draft, path, root, pictures))
            except LabelsError as error:
                name = f"{where}: {draft.source}" if len(drafts) > 1 else where
                problems.append(Problem(name, str(error)))
    unique = _drop_repeated(sorted(pages, key=lambda page: page.set_name), root, notes)
    return Collection(tuple(unique), tuple(problems), tuple(notes))


def selected(
    pages: Iterable[LabelledPage], selection: PageSelection, limit: int | None = None, sets: Sequence[str] | None = None
) -> list[LabelledPage]:
    """The plans of the sets and on the pages wanted, at most `limit` a set, spread evenly over it."""
    kept_sets: dict[str, list[LabelledPage]] = defaultdict(list)
    for page in pages:
        on_page = not selection.ranges or any(first <= page.page <= last for first, last in selection.ranges)
        if on_page and (not sets or page.set_name in sets):
            kept_sets[page.set_name].append(page)
    kept = []
    for members in kept_sets.values():
        count = len(members) if limit is None else min(limit, len(members))
        kept += [members[place * len(members) // count] for place in range(count)]
    return kept


def _files(root: Path) -> Iterator[Path]:
    """The files below the folder, sorted, hidden ones left out; links to folders are not followed."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _page(draft: Draft, path: Path, root: Path, pictures: Pictures) -> LabelledPage:
    if draft.problem is not None:
        raise LabelsError(draft.problem)
    return LabelledPage(
        set_name=_set_name(path, root),
        labels=path,
        document=pictures.find(draft.source, path.parent),
        page=draft.page,
        width=draft.width,
        height=draft.height,
        kind=draft.kind,
        rooms=tuple(draft.rooms),
        notes=draft.all_notes(),
    )


def _set_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).parts[:-1]
    if parts and parts[-1].casefold() in _LABEL_FOLDERS:
        parts = parts[:-1]
    return "/".join(parts) or root.resolve().name


def _drop_repeated(pages: list[LabelledPage], root: Path, notes: list[str]) -> Iterator[LabelledPage]:
    """The pages without those that were labelled before, which are noted."""
    first: dict[tuple[Path, int], LabelledPage] = {}
    for page in pages:
        known = first.setdefault((page.document, page.page), page)
        if known is page:
            yield page
        else:
            second, labels = (p.labels.relative_to(root).as_posix() for p in (page, known))
            notes.append(f"{second}: {page.document.name} page {page.page} is labelled by {labels} too; left out")


class Pictures:
    """The pictures and PDFs below a folder, found by the names that labels give them."""

    def __init__(self, root: Path, files: list[Path]) -> None:
        self._root = root
        self._files = set(files)
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for file in files:
            self._by_name[file.name].append(file)
            self._by_stem[file.stem].append(file)

    def find(self, name: str, beside: Path) -> Path:
        """The file that a label in the folder `beside` calls by this name or path.

        It is looked for where the path says, in the usual folders beside, and then by its bare name anywhere; never
        outside the root, whatever the labels say.

        Raises:
            LabelsError: there is none, or there are several and nothing tells which.
        """
        path = PurePosixPath(name.replace("\\", "/"))
        for folder in (beside, beside / "images", beside.parent, beside.parent / "images"):
            candidate = Path(os.path.normpath(folder / path))
            if candidate in self._files:
                return candidate
        known = self._by_name.get(path.name) or ([] if path.suffix else self._by_stem.get(path.name, []))
        near = [file for file in known if file.parent == beside] or known
        if len(near) == 1:
            return near[0]
        if near:
            listed = ", ".join(file.relative_to(self._root).as_posix() for file in near[:4])
            raise LabelsError(f"{len(near)} files could be its picture {path.name!r}: {listed}; give its path instead")
        if path.suffix.casefold() not in PICTURE_SUFFIXES and path.suffix:
            raise LabelsError(f"its picture {path.name!r} is no PNG, JPG or PDF; convert it and name it so")
        raise LabelsError(f"its picture {path.name!r} is missing; put it beside the labels or mend its name in them")
