"""A View that is made up: every text of it is as hostile as its field lets it be."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from dulcimer.web import view

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&{{7*7}}"


def made(of: Any, **given: Any) -> Any:
    """Make a value of a type; texts are hostile unless they are given."""
    if of is str:
        return HOSTILE
    if of in (int, float):
        return of(3)
    if of is bool:
        return True
    if is_dataclass(of):
        hints = get_type_hints(of)
        return of(**{each.name: made(hints[each.name]) for each in fields(of)} | given)  # type: ignore[misc]
    origin, arguments = get_origin(of), get_args(of)
    if origin is Literal:
        return arguments[0]
    if origin is tuple:
        return tuple(made(each) for each in arguments)
    if origin is dict or "Mapping" in str(origin):
        return {HOSTILE: made(arguments[1])}
    return [made(arguments[0])]


class MadeUp:
    """Implements :class:`dulcimer.web.view.View` and remembers what it was asked for."""

    def __init__(self, picture: Path | None = None) -> None:
        self.picture = picture
        self.asked: list[tuple[Any, ...]] = []
        self.tell: Callable[[view.Topic], object] = lambda topic: None
        self.well = True

    def node(self) -> view.NodeInfo:
        return made(view.NodeInfo)

    def overview(self) -> view.Overview:
        return made(view.Overview)

    def associations(self) -> list[view.Association]:
        return [made(view.Association)]

    def studies(self, words: str, before: int, limit: int) -> view.StudyPage:
        self.asked.append((words, before, limit))
        return made(view.StudyPage)

    def study(self, study_instance_uid: str) -> view.StudyDetail | None:
        self.asked.append((study_instance_uid,))
        if study_instance_uid == "none":
            return None
        return view.StudyDetail(made(view.Study), [made(view.Series, series_instance_uid="1.2")])

    def instances(
        self, study_instance_uid: str, series_instance_uid: str, after: int, limit: int
    ) -> view.InstancePage:
        self.asked.append((study_instance_uid, series_instance_uid, after, limit))
        return made(view.InstancePage)

    def instance(self, sop_instance_uid: str) -> view.Instance | None:
        self.asked.append((sop_instance_uid,))
        return None if sop_instance_uid == "none" else made(view.Instance)

    def object_file(self, sop_instance_uid: str) -> Path | None:
        self.asked.append((sop_instance_uid,))
        return self.picture

    def board(self, limit: int) -> view.Board:
        return view.Board(
            [made(view.Step, column=column) for column in view.COLUMNS], dict.fromkeys(view.COLUMNS, 1)
        )

    def films(self, limit: int) -> list[view.Film]:
        return [made(view.Film), made(view.Film, picture=False)]

    def film_file(self, uid: str) -> Path | None:
        self.asked.append((uid,))
        return self.picture

    def commitments(self, limit: int) -> list[view.Commitment]:
        return [made(view.Commitment)]

    def log(self, limit: int, warnings: bool) -> view.Log:
        self.asked.append((limit, warnings))
        return made(view.Log)

    def health(self) -> view.Health:
        return view.Health(self.well, [view.Check("index", self.well, HOSTILE)])

    def counters(self) -> view.Counters:
        return made(view.Counters)

    def on_change(self, tell: Callable[[view.Topic], object]) -> None:
        self.tell = tell

    def look_for_changes(self) -> None:
        self.asked.append(("changes",))
