"""Queries over the index in SQLite (PS3.4 C.2.2.2).

A query takes two steps. The first finds the row numbers of all matches in one short transaction: SQL narrows
down, with the indexes, whatever it can decide or at least bound, and what it cannot is decided here while its
rows come by. Eight bytes are kept of each. The second step reads, page by page and each in a transaction of
its own, what is to be said about them, as fast as the peer takes it. So neither memory nor the write-ahead
log grows with a slow peer, and nobody who writes has to wait.
"""

from __future__ import annotations

import json
from array import array
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
)

from dulcimer.node.adapters.schema import FOLDED_NAMES, INSTANCES, PATIENTS, SERIES, STUDIES
from dulcimer.node.domain.matching import Combined, On
from dulcimer.services import names
from dulcimer.services.matchers import (
    AnyOf,
    DateRange,
    Name,
    Nothing,
    OneOf,
    Wildcard,
    literal_prefix,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Engine, Table

    from dulcimer.node.domain.catalogue import Attribute, Level
    from dulcimer.node.domain.matching import Condition
    from dulcimer.node.domain.query import Query
    from dulcimer.services.matchers import Matcher

_NUMBER: Final = "_number"
_PAGE: Final = 250
_MOST_ASTERISKS: Final = 4
"""Up to how many of them a pattern is left to SQLite: each may cost it the length of a value once more."""
_MOST_LISTED: Final = 8
"""Up to how many values are parameters of their own; more are one, as JSON."""

_TABLES: Final[dict[Level, tuple[Table, ...]]] = {
    "PATIENT": (PATIENTS,),
    "STUDY": (STUDIES,),
    "SERIES": (SERIES, STUDIES),
    "IMAGE": (INSTANCES, SERIES, STUDIES),
}
"""The table of a level, then those of the levels above."""

_NOT_BY_SQL: Final = frozenset({"IS", "DS", "US", "TM", "DT", "SQ"})
"""What is compared as something else than the text it is kept as."""


class SqlSearch:
    """Searches the index with connections that only read."""

    def __init__(self, readers: Engine) -> None:
        self._readers = readers

    def find(self, query: Query, limit: int = 0) -> SqlMatches:
        """Return the entities that satisfy a query, at most ``limit`` unless that is 0."""
        statement, finish = _search(query)
        numbers = array("q")
        with self._readers.connect().execution_options(yield_per=_PAGE) as connection:
            for row in connection.execute(statement).mappings():
                if finish is None or finish(row):
                    numbers.append(row[_NUMBER])
                    if limit and len(numbers) == limit:
                        break
        return SqlMatches(self._readers, query, array("q", sorted(numbers)))

    def instances(self, query: Query) -> SqlHoldings:
        """Return the instances that a retrieval asks for."""
        statement, finish = _search(query)
        statement = statement.add_columns(
            INSTANCES.c.sop_class_uid.label("_class"), INSTANCES.c.transfer_syntax_uid.label("_syntax")
        )
        numbers = array("q")
        kinds: dict[tuple[str, str], int] = {}
        with self._readers.connect().execution_options(yield_per=_PAGE) as connection:
            for row in connection.execute(statement).mappings():
                if finish is None or finish(row):
                    numbers.append(row[_NUMBER])
                    kind = row["_class"], row["_syntax"]
                    kinds[kind] = kinds.get(kind, 0) + 1
        return SqlHoldings(self._readers, array("q", sorted(numbers)), kinds)


class SqlMatches:
    """The matches of a query, by row number in the order in which they were first stored."""

    def __init__(self, readers: Engine, query: Query, numbers: array[int]) -> None:
        self._readers = readers
        self._query = query
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def rows(self) -> Iterator[dict[str, str]]:
        """Describe the matches one by one; what has gone meanwhile is left out."""
        level = self._query.level
        wanted = [wish.attribute for wish in self._query.wishes]
        columns = [_value(attribute, level).label(attribute.name) for attribute in wanted]
        statement = select(_number(level), *columns).select_from(_from(level))
        for page in _pages(self._readers, statement, level, self._numbers):
            for row in page:
                yield {
                    attribute.name: value if isinstance(value, str) else str(value or "")
                    for attribute, value in zip(wanted, row[1:], strict=True)
                }


class SqlHoldings:
    """Instances by row number."""

    def __init__(self, readers: Engine, numbers: array[int], kinds: Mapping[tuple[str, str], int]) -> None:
        self._readers = readers
        self._numbers = numbers
        self.kinds = kinds

    def __len__(self) -> int:
        return len(self._numbers)

    def paths(self) -> Iterator[str]:
        """Give the files one by one."""
        statement = select(_number("IMAGE"), INSTANCES.c.path).select_from(INSTANCES)
        for page in _pages(self._readers, statement, "IMAGE", self._numbers):
            for row in page:
                yield row[1]


def _pages(
    readers: Engine, statement: Select[Any], level: Level, numbers: array[int]
) -> Iterator[Sequence[Any]]:
    statement = statement.where(_number(level).in_(bindparam("numbers", expanding=True))).order_by(
        _number(level)
    )
    for at in range(0, len(numbers), _PAGE):
        with readers.connect() as connection:
            page = connection.execute(statement, {"numbers": numbers[at : at + _PAGE].tolist()}).all()
        yield page


def _number(level: Level) -> ColumnElement[int]:
    return literal_column(f"{_TABLES[level][0].name}.rowid", Integer)


def _from(level: Level) -> FromClause:
    if level == "SERIES":
        return SERIES.join(STUDIES, SERIES.c.study_instance_uid == STUDIES.c.study_instance_uid)
    if level == "IMAGE":
        i, s = INSTANCES.c, SERIES.c
        of_series = and_(
            i.study_instance_uid == s.study_instance_uid, i.series_instance_uid == s.series_instance_uid
        )
        of_study = i.study_instance_uid == STUDIES.c.study_instance_uid
        return INSTANCES.join(SERIES, of_series).join(STUDIES, of_study)
    return _TABLES[level][0]


def _search(query: Query) -> tuple[Select[Any], Any]:
    """Return the statement for the row numbers, and what decides about its rows unless that is all of it."""
    level = query.level
    needed: dict[str, ColumnElement[Any]] = {}
    left: list[Condition] = []
    clauses: list[ColumnElement[bool]] = [*_holds_something(level)]
    for condition in query.conditions:
        clause, decided = _condition(condition, level)
        if clause is not None:
            clauses.append(clause)
        if not decided:
            left.append(condition)
            for attribute in _attributes(condition):
                needed[attribute.name] = _value(attribute, level).label(attribute.name)
    statement = (
        select(_number(level).label(_NUMBER), *needed.values()).select_from(_from(level)).where(*clauses)
    )
    if not left:
        return statement, None
    return statement, lambda row: all(condition.holds(row) for condition in left)


def _attributes(condition: Condition) -> tuple[Attribute, ...]:
    return (condition.attribute,) if isinstance(condition, On) else (condition.date, condition.time)


def _holds_something(level: Level) -> Iterator[ColumnElement[bool]]:
    """What an entity must have to be shown: its unique key and an instance."""
    i, s = INSTANCES.c, STUDIES.c
    if level == "PATIENT":
        yield exists(
            select(literal(1))
            .select_from(
                STUDIES.join(INSTANCES, i.study_instance_uid == s.study_instance_uid)
            )
            .where(_of_patient(PATIENTS), s.study_instance_uid != "")
        )  # fmt: skip
        return
    yield _TABLES[level][0].c.study_instance_uid != ""
    if level == "STUDY":
        yield exists().where(i.study_instance_uid == s.study_instance_uid)
        return
    yield _TABLES[level][0].c.series_instance_uid != "" if level == "SERIES" else literal(True)
    if level == "SERIES":
        yield exists().where(
            i.study_instance_uid == SERIES.c.study_instance_uid,
            i.series_instance_uid == SERIES.c.series_instance_uid,
        )


def _of_patient(table: Table, studies: Any = STUDIES) -> ColumnElement[bool]:
    """Say that a study is of the patient of a row; who has no ID is told from others by the name."""
    t, s = table.c, studies.c
    return and_(
        s.patient_id == t.patient_id,
        s.issuer_of_patient_id == t.issuer_of_patient_id,
        or_(t.patient_id != "", s.patient_name == t.patient_name),
    )


# ---- conditions ----------------------------------------------------------------------------------------


def _condition(condition: Condition, level: Level) -> tuple[ColumnElement[bool] | None, bool]:
    """Return what SQL can say about a condition, and whether that is all there is to say.

    What is returned is never false for a match.
    """
    if isinstance(condition, Combined):
        return _clause(condition.dates, _value(condition.date, level)), False
    attribute, matcher = condition.attribute, condition.matcher
    if attribute.counted:
        return _in_study(attribute, matcher, level), False
    if attribute.many:
        return None, False
    if attribute.name == "patient_name":
        if isinstance(matcher, Name):
            return _patient_name(matcher, _TABLES[level][-1]), False
        if isinstance(matcher, AnyOf):
            return None, False
    value = _value(attribute, level)
    if attribute.vr in _NOT_BY_SQL and not isinstance(matcher, (Nothing, Wildcard)):
        return None, False
    clause = _clause(matcher, value)
    return clause, clause is not None and _decides(matcher)


def _decides(matcher: Matcher) -> bool:
    if isinstance(matcher, AnyOf):
        return all(map(_decides, matcher.choices))
    return isinstance(matcher, (Nothing, OneOf)) or (
        isinstance(matcher, Wildcard) and matcher.pattern.count("*") <= _MOST_ASTERISKS
    )


@singledispatch
def _clause(_matcher: Matcher, _value: ColumnElement[Any]) -> ColumnElement[bool] | None:
    return None


@_clause.register
def _(matcher: Nothing, value: ColumnElement[Any]) -> ColumnElement[bool]:
    return value == ""


@_clause.register
def _(matcher: OneOf, value: ColumnElement[Any]) -> ColumnElement[bool]:
    values = sorted(matcher.values)
    if len(values) == 1:
        return value == values[0]
    if len(values) <= _MOST_LISTED:
        return value.in_(values)
    each = func.json_each(literal(json.dumps(values), String)).table_valued("value")
    return value.in_(select(column("value")).select_from(each))


@_clause.register
def _(matcher: Wildcard, value: ColumnElement[Any]) -> ColumnElement[bool]:
    return _glob(value, matcher.pattern)


@_clause.register
def _(matcher: DateRange, value: ColumnElement[Any]) -> ColumnElement[bool]:
    ends = [value != ""]
    if matcher.low:
        ends.append(value >= matcher.low)
    if matcher.high:
        ends.append(value <= matcher.high)
    return and_(*ends)


@_clause.register
def _(matcher: AnyOf, value: ColumnElement[Any]) -> ColumnElement[bool] | None:
    clauses = [_clause(choice, value) for choice in matcher.choices]
    known = [clause for clause in clauses if clause is not None]
    return or_(*known) if len(known) == len(clauses) else None


def _patient_name(matcher: Name, table: Table) -> ColumnElement[bool] | None:
    """Bound a name by its folded component groups, which are indexed."""
    columns = [table.c[name] for name in FOLDED_NAMES]
    bounds = [_folded_pattern(group) for group in matcher.groups]
    if len(bounds) == 1:
        pattern = bounds[0]
        return None if pattern is None else or_(*(_bounded(each, pattern) for each in columns))
    known = [
        _bounded(each, pattern) for each, pattern in zip(columns, bounds, strict=False) if pattern is not None
    ]
    return and_(*known) if known else None


def _folded_pattern(group: str) -> str | None:
    if not group.strip("*"):
        return None
    # A character may be folded to several or none; components after it may be missing.
    pattern = names.folded(group).replace("?", "*")
    stripped = pattern.rstrip("*").rstrip("^")
    return stripped + "*" if pattern.endswith("*") else pattern


def _bounded(value: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    return _glob(value, pattern) if "*" in pattern else value == pattern


def _glob(value: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """Match wild cards; what comes before the first is a range that an index can search."""
    prefix = literal_prefix(pattern)
    clauses: list[ColumnElement[bool]] = [value != ""]
    if pattern.count("*") <= _MOST_ASTERISKS:
        clauses.append(value.op("GLOB")(pattern.replace("[", "[[]")))
    if prefix:
        clauses.append(value >= prefix)
        after = _after(prefix)
        if after is not None:
            clauses.append(value < after)
    return and_(*clauses)


def _after(prefix: str) -> str | None:
    """Return the first text, in the order of code points, that comes after all that begin with a prefix."""
    while prefix:
        number = ord(prefix[-1]) + 1
        if number <= 0x10FFFF:
            # The surrogates are no characters.
            return prefix[:-1] + chr(0xE000 if number == 0xD800 else number)
        prefix = prefix[:-1]
    return None


# ---- what is worked out --------------------------------------------------------------------------------


def _value(attribute: Attribute, level: Level) -> ColumnElement[Any]:
    """Return the expression for an attribute of an entity: its own, or of the level that it belongs to."""
    if attribute.counted:
        return _worked_out(attribute.name, level)
    for table in _TABLES[level]:
        if attribute.name in table.c:
            found: ColumnElement[Any] = table.c[attribute.name]
            return found
    raise KeyError(attribute.name)


def _study_uid(level: Level) -> ColumnElement[Any]:
    found: ColumnElement[Any] = _TABLES[level][0].c.study_instance_uid
    return found


def _in_study(attribute: Attribute, matcher: Matcher, level: Level) -> ColumnElement[bool] | None:
    """Say that a study has something of a modality or SOP class."""
    table, name = _LISTED[attribute.name]
    part = table.alias()
    clause = _clause(matcher, part.c[name])
    if clause is None or isinstance(matcher, Nothing):
        return None
    return exists().where(part.c.study_instance_uid == _study_uid(level), clause)


_LISTED: Final = {
    "modalities_in_study": (SERIES, "modality"),
    "sop_classes_in_study": (INSTANCES, "sop_class_uid"),
}


def _worked_out(name: str, level: Level) -> ColumnElement[Any]:
    i, s, t = INSTANCES.alias(), SERIES.alias(), STUDIES.alias()
    if name in _LISTED:
        table, listed = _LISTED[name]
        part = table.alias()
        each = (
            select(part.c[listed].label("each"))
            .where(part.c.study_instance_uid == _study_uid(level), part.c[listed] != "")
            .distinct()
            .order_by(part.c[listed])
            .correlate(_TABLES[level][0])
            .subquery()
        )
        return select(func.coalesce(func.group_concat(each.c.each, "\\"), "")).scalar_subquery()
    counts: dict[str, Select[Any]] = {}
    if name.endswith("_of_patient"):
        studies = select(t.c.study_instance_uid).where(_of_patient(_TABLES[level][-1], t))
        studies = studies.where(t.c.study_instance_uid != "").correlate(*_TABLES[level])
        counts = {
            "studies_of_patient": select(func.count()).select_from(t).where(
                _of_patient(_TABLES[level][-1], t), t.c.study_instance_uid != ""
            ),
            "series_of_patient": select(func.count()).select_from(s).where(
                s.c.study_instance_uid.in_(studies)
            ),
            "instances_of_patient": select(func.count()).select_from(i).where(
                i.c.study_instance_uid.in_(studies)
            ),
        }  # fmt: skip
    elif name == "series_of_study":
        counts[name] = select(func.count()).select_from(s).where(
            s.c.study_instance_uid == _study_uid(level), s.c.series_instance_uid != ""
        )  # fmt: skip
    elif name == "instances_of_study":
        counts[name] = select(func.count()).select_from(i).where(i.c.study_instance_uid == _study_uid(level))
    else:
        series = _TABLES[level][0].c.series_instance_uid
        counts[name] = select(func.count()).select_from(i).where(
            i.c.study_instance_uid == _study_uid(level), i.c.series_instance_uid == series
        )  # fmt: skip
    return cast(counts[name].correlate(*_TABLES[level]).scalar_subquery(), String)
