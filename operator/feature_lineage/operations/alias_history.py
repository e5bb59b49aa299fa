"""The history of aliases: which version each alias of a project's models named, and since when.

Each observed change of a project's aliases is one record, an MLflow run: its tags name the moves.
At least every `WHOLE_EVERY` records, a record has all aliases, too. So the aliases at any time are
one such record and the moves of the few after it. A record names the record before it: two records
never count for the same change, and a gap is seen.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from feature_lineage.errors import InvalidReport
from feature_lineage.features.snapshot import digest_of
from feature_lineage.operations.records import (
    OPERATION_ID_TAG,
    RESOURCE_TAG,
    OpsRun,
    in_pieces,
    joined,
)
from feature_lineage.shorten import cut, visible
from feature_lineage.untrusted import Many, Name, TooLarge, parse_json

HISTORY_TAG: Final = "featurelineage.io/history"
WHOLE_TAG: Final = "featurelineage.io/history-whole"
PREVIOUS_TAG: Final = "featurelineage.io/history-previous"
MOVES_TAG: Final = "featurelineage.io/alias-moves"
ALIASES_TAG: Final = "featurelineage.io/aliases"
ALIASES: Final = "aliases"
"""Value of `HISTORY_TAG`, and the suffix of the experiment."""

WHOLE_EVERY: Final = 50
MAX_MOVES_TEXT: Final = 8000
"""Characters of the moves of a record without all aliases."""
MAX_ALIASES: Final = 20_000
"""Aliases of a project's models; with more, their history is not recorded."""
MAX_PARSE_BYTES: Final = 32 * 1024 * 1024
_SOONEST: Final = timedelta(milliseconds=1)

Aliases = Mapping[str, Mapping[str, str]]
"""Registered model → alias → version."""
Versions = Mapping[str, Collection[str]]
"""Registered model → its versions."""

Gone = Literal["", "AliasRemoved", "VersionGone", "ModelGone", "NotOfProject"]
"""Why an alias names no version any more; "" if it names one."""

_Row = tuple[Name, Name, Name, Name, Gone]
_MOVES: Final[TypeAdapter[tuple[_Row, ...]]] = TypeAdapter(Many[_Row])
_STATE: Final[TypeAdapter[Aliases]] = TypeAdapter(dict[Name, dict[Name, Name]])
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class AliasMove:
    """An alias names another version than before.

    Attributes:
        before, after: versions; "" if it named none.
        why: why it names none any more.
    """

    model: Name
    alias: Name
    before: Name
    after: Name
    why: Gone = ""


@dataclass(frozen=True, slots=True)
class AliasState:
    """All aliases of a project's models, as of one record.

    Attributes:
        record: id of the record; "" before the first one.
        at: when the state was observed: the time of the reading of MLflow.
        digest: identifies the aliases and the place in MLflow where they are recorded.
        deltas: records since the last one with all aliases.
    """

    record: str
    at: datetime
    aliases: Aliases
    digest: str
    deltas: int = WHOLE_EVERY


@dataclass(frozen=True, slots=True)
class AliasChange:
    """A change that was observed, and has to be recorded.

    Attributes:
        moves: what has changed; empty in the first record, which has only the state.
        previous: id of the record before; "" for the first.
        state: the aliases afterwards.
    """

    moves: tuple[AliasMove, ...]
    previous: str
    state: AliasState

    @property
    def whole(self) -> bool:
        """Whether its record has all aliases."""
        return self.state.deltas == 0


@dataclass(frozen=True, slots=True)
class AliasRecord:
    """A record as it was read.

    Attributes:
        run_id: its MLflow run.
        aliases: all aliases; None if it has only the moves.
    """

    record: str
    previous: str
    at: datetime
    run_id: str
    moves: tuple[AliasMove, ...]
    aliases: Aliases | None


def changed(
    before: AliasState,
    aliases: Aliases,
    digest: str,
    at: datetime,
    exists: Versions,
    others: Aliases,
) -> AliasChange:
    """The change from a state to other aliases.

    The id of its record follows from the state before and the aliases: a process that observes the
    same change again after a crash completes the same record.

    Args:
        at: when the reading began that found the aliases.
        exists: the versions of each model that MLflow has.
        others: the aliases in MLflow of the models that were the project's and are not any more.
    """
    if before.record and at <= before.at:
        at = before.at + _SOONEST
    moves = tuple(_moves(before.aliases, aliases, exists, others)) if before.record else ()
    record = f"aliases-{digest_of([before.record, before.digest, digest])[:32]}"
    whole = before.deltas >= WHOLE_EVERY or len(_moves_text(moves)) > MAX_MOVES_TEXT
    state = AliasState(record, at, aliases, digest, 0 if whole else before.deltas + 1)
    return AliasChange(moves, before.record, state)


def _moves(
    before: Aliases, after: Aliases, exists: Versions, others: Aliases
) -> Iterator[AliasMove]:
    for model in sorted({*before, *after}):
        was, now = before.get(model, {}), after.get(model, {})
        for alias in sorted({*was, *now}):
            old, new = was.get(alias, ""), now.get(alias, "")
            if old == new:
                continue
            why: Gone = ""
            if not new and alias in others.get(model, {}):
                why = "NotOfProject"
            elif not new:
                versions = exists.get(model, ())
                why = "AliasRemoved" if old in versions else "VersionGone"
                why = why if versions else "ModelGone"
            yield AliasMove(model, alias, old, new, why)


def alias_run(change: AliasChange, project: str, resource: str, experiment: str) -> OpsRun:
    """The MLflow run of a change."""
    aliases = change.state.aliases
    tags = {
        HISTORY_TAG: ALIASES,
        WHOLE_TAG: "true" if change.whole else "false",
        PREVIOUS_TAG: change.previous,
        RESOURCE_TAG: resource,
        "feast.project": project,
        **in_pieces(MOVES_TAG, _moves_text(change.moves)),
    }
    if change.whole:
        tags |= in_pieces(ALIASES_TAG, _text(aliases))
    return OpsRun(
        operation_id=change.state.record,
        experiment=experiment,
        name=_name(change),
        started_at=change.state.at,
        ended_at=change.state.at,
        status="FINISHED",
        tags={key: value for key, value in tags.items() if value},
    )


def count(aliases: Aliases) -> int:
    """How many aliases there are."""
    return sum(map(len, aliases.values()))


def aliases_experiment(project: str, suffix: str) -> str:
    """The experiment with the history of aliases, beside that of the ops runs."""
    return f"{project}{suffix}-{ALIASES}"


def read_record(run_id: str, at: datetime, tags: Mapping[str, str]) -> AliasRecord:
    """A record from the tags of its run, which others may have written.

    Raises:
        InvalidReport: it has another form, or is too large.
    """
    try:
        moves, aliases = joined(MOVES_TAG, tags), ""
        if tags.get(WHOLE_TAG) == "true":
            aliases = joined(ALIASES_TAG, tags)
        elif len(moves) > MAX_MOVES_TEXT:
            raise TooLarge(f"its moves have {len(moves)} characters; at most {MAX_MOVES_TEXT}")
        return AliasRecord(
            record=tags[OPERATION_ID_TAG],
            previous=tags.get(PREVIOUS_TAG, ""),
            at=at,
            run_id=run_id,
            moves=tuple(AliasMove(*row) for row in _parsed(_MOVES, moves)),
            aliases=_parsed(_STATE, aliases) if aliases else None,
        )
    except (KeyError, ValueError, ValidationError) as error:
        said = str(error).partition("\n")[0]
        raise InvalidReport(
            f"MLflow run {run_id} is no record of aliases: {cut(visible(said), 200)}; "
            "delete the run"
        ) from error


class AliasFold:
    """The aliases after records, which are added one by one, oldest first.

    Only the state is kept, and a record costs no more than its own moves: others may have written
    many large records.

    Args:
        records: the first ones; raises as `add` does.
    """

    def __init__(self, *records: AliasRecord) -> None:
        self._state: AliasState | None = None
        self._aliases: dict[str, dict[str, str]] = {}
        self._count = 0
        self._seen: set[str] = set()
        for record in records:
            self.add(record)

    @property
    def state(self) -> AliasState | None:
        """The aliases after the records so far; valid until the next one is added."""
        return self._state

    def add(self, record: AliasRecord) -> None:
        """Add a record; the first one has all aliases.

        A record that follows another one than the last is a second writer's, and does not count.

        Raises:
            InvalidReport: the record follows one that is missing or does not count, or there are
                more than `MAX_ALIASES`.
        """
        if record.aliases is not None:
            self._aliases = {model: dict(named) for model, named in record.aliases.items()}
            self._count, deltas = count(self._aliases), 0
        elif self._state is None or record.previous not in self._seen:
            raise InvalidReport(
                f"MLflow run {record.run_id} follows the record {visible(record.previous)} of "
                "aliases, which is missing or a second writer's: the aliases are not known until "
                "the next record with all aliases"
            )
        elif record.previous == self._state.record:
            self._move(record.moves)
            deltas = self._state.deltas + 1
        else:
            return
        if self._count > MAX_ALIASES:
            raise InvalidReport(
                f"after MLflow run {record.run_id} there are {self._count} aliases; at most "
                f"{MAX_ALIASES} are recorded: delete the run"
            )
        self._state = AliasState(record.record, record.at, self._aliases, "", deltas)
        self._seen |= {record.previous, record.record}

    def _move(self, moves: Iterable[AliasMove]) -> None:
        for move in moves:
            named = self._aliases.setdefault(move.model, {})
            self._count -= named.pop(move.alias, None) is not None
            if move.after:
                named[move.alias] = move.after
                self._count += 1
            if not named:
                del self._aliases[move.model]


def _parsed(form: TypeAdapter[_Value], text: str) -> _Value:
    return form.validate_python(parse_json(text.encode(), MAX_PARSE_BYTES))


def _moves_text(moves: Iterable[AliasMove]) -> str:
    return _text([[m.model, m.alias, m.before, m.after, m.why] for m in moves])


def _text(value: object) -> str:
    """JSON in ASCII: a character of a tag is a byte in every database."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _name(change: AliasChange) -> str:
    """A name of the run for people, who read it in MLflow."""
    if not change.moves:
        return f"{count(change.state.aliases)} aliases"
    first, *more = change.moves
    what = f"{first.model}@{first.alias} {first.before or '-'} -> {first.after or '-'}"
    return visible(cut(what, 200)) + (f" and {len(more)} more" if more else "")
