"""Parses MLflow's JSON into values; only the tags that lineage needs are kept.

10,000 versions are read every ten minutes. Repeated strings (keys, names, references, ids) are
interned, so that equal strings are one object and no value keeps the JSON of its page in memory.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from feature_lineage.models.facts import LoggedModel, ModelVersion, TrainingRun

Json = Mapping[str, Any]

KEPT_PREFIXES: Final = ("feast.", "featurelineage.io/")
MAX_TOKEN: Final = 4096
PARENT_TAG: Final = "mlflow.parentRunId"
RETRIEVAL_METRIC: Final = "feast.job_submission_sec"
"""Feast adds a point to this metric at each retrieval; MLflow keeps all points."""
RUN_ID: Final = re.compile(r"[a-zA-Z0-9][\w-]{0,63}", re.ASCII)
MODEL_ID: Final = re.compile(r"m-[\w-]{1,64}", re.ASCII)
MAX_MODELS: Final = 100
"""LoggedModels of a run that are kept."""
MAX_NAME: Final = 250
"""Characters of a run's name; MLflow itself accepts far more."""
MAX_ALIASES: Final = 1000
"""Of a registered model; each is a name that its users gave to a version."""
PROMPT_TAG: Final = "mlflow.prompt.is_prompt"
FINAL_STATUS: Final = frozenset({"FINISHED", "FAILED", "KILLED"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_TAGS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model as the list of models shows it.

    Attributes:
        name: as MLflow writes it.
        created_ms: in milliseconds since 1970; differs from a deleted model of the same name.
        aliases: alias → version.
        has_versions: whether the list names at least one version of it.
    """

    name: str
    created_ms: int
    aliases: Mapping[str, str]
    has_versions: bool


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version with its ``last_updated_timestamp``, which tags and aliases do not change."""

    version: ModelVersion
    updated_ms: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run, and whether it is in a final status."""

    run: TrainingRun
    final: bool


def moment(milliseconds: int | str) -> datetime:
    """The exact time of MLflow's milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=int(milliseconds))


def milliseconds(moment: datetime) -> int:
    """The inverse of `moment`, rounded down to milliseconds."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def tags_of(raw: Json) -> Mapping[str, str]:
    """The tags that lineage needs."""
    kept = {
        sys.intern(tag["key"]): sys.intern(tag.get("value", ""))
        for tag in raw.get("tags", ())
        if tag["key"].startswith(KEPT_PREFIXES)
    }
    return kept or _NO_TAGS


def registered_models(answer: Json) -> list[RegisteredModel]:
    """One page of ``registered-models/search`` without prompts."""
    return [
        RegisteredModel(
            name=sys.intern(raw["name"]),
            created_ms=int(raw["creation_timestamp"]),
            aliases=_aliases(raw),
            has_versions=bool(raw.get("latest_versions")),
        )
        for raw in answer.get("registered_models", ())
        if not _is_prompt(raw)
    ]


def _aliases(raw: Json) -> dict[str, str]:
    """The first `MAX_ALIASES` aliases of a registered model, by name.

    More aliases of one model must not make the models of others unreadable.
    """
    aliases = raw.get("aliases", ())
    if len(aliases) > MAX_ALIASES:
        aliases = sorted(aliases, key=lambda alias: str(alias["alias"]))[:MAX_ALIASES]
    return {sys.intern(a["alias"]): sys.intern(str(a["version"])) for a in aliases}


def model_versions(answer: Json) -> list[VersionRow]:
    """One page of ``model-versions/search`` without prompts."""
    rows = answer.get("model_versions", ())
    return [model_version(raw) for raw in rows if not _is_prompt(raw)]


def model_version(raw: Json) -> VersionRow:
    """One version, without aliases: only the list of models has them."""
    source = _text(raw, "source")
    version = ModelVersion(
        name=sys.intern(raw["name"]),
        version=sys.intern(str(raw["version"])),
        created_at=moment(raw["creation_timestamp"]),
        source=source,
        run_id=_text(raw, "run_id"),
        model_id=_text(raw, "model_id") or logged_model_of(source),
        tags=tags_of(raw),
    )
    return VersionRow(version, int(raw.get("last_updated_timestamp", 0)))


def logged_model_of(source: str) -> str:
    """``m-…`` of ``models:/m-…``, "" for any other source; MLflow does not store the id itself."""
    rest = source.removeprefix("models:/")
    if rest == source or not rest.startswith("m-"):
        return ""
    head, _, tail = rest.partition("/")
    # models:/m-other/3 is version 3 of a model with the name "m-other".
    return "" if tail.isdecimal() or "@" in head else head


def runs(answer: Json) -> list[RunRow]:
    """One page of ``runs/search``."""
    return [_run(raw) for raw in answer.get("runs", ())]


def _run(raw: Json) -> RunRow:
    info, data = raw["info"], raw.get("data", {})
    return RunRow(
        TrainingRun(
            run_id=sys.intern(info["run_id"]),
            started_at=moment(info.get("start_time", 0)),
            deleted=info.get("lifecycle_stage") == "deleted",
            tags=tags_of(data),
            last_retrieval=max(_retrievals(data), default=0),
            models=tuple(islice(_models(raw), MAX_MODELS)),
            parent_id=next(filter(RUN_ID.fullmatch, _values(data, PARENT_TAG)), ""),
            name=str(info.get("run_name", ""))[:MAX_NAME],
            status=sys.intern(str(info.get("status", ""))[:MAX_NAME]),
            experiment_id=sys.intern(str(info.get("experiment_id", ""))[:MAX_NAME]),
        ),
        final=info.get("status") in FINAL_STATUS,
    )


def _models(raw: Json) -> Iterator[tuple[str, int]]:
    for output in raw.get("outputs", {}).get("model_outputs", ()):
        if MODEL_ID.fullmatch(model_id := str(output.get("model_id", ""))):
            yield sys.intern(model_id), int(output.get("step", 0))


def _values(data: Json, key: str) -> Iterator[str]:
    return (str(tag.get("value", "")) for tag in data.get("tags", ()) if tag["key"] == key)


def _retrievals(data: Json) -> Iterator[int]:
    """When Feast recorded retrievals of features, in ms since 1970."""
    for metric in data.get("metrics", ()):
        if metric["key"] == RETRIEVAL_METRIC:
            yield int(metric["timestamp"])


def logged_models(answer: Json) -> dict[str, LoggedModel]:
    """One page of ``logged-models/search``, by id, without those that are still being logged."""
    return {
        str(raw["info"]["model_id"]): logged_model(raw)
        for raw in answer.get("models", ())
        if raw["info"].get("status") != "LOGGED_MODEL_PENDING"
    }


def logged_model(raw: Json) -> LoggedModel:
    """One LoggedModel. When it is logged, MLflow copies the points of the metrics of its run.

    Only points at the step of the model are copied. Those of Feast have step 0.
    """
    run_id = str(raw["info"].get("source_run_id", ""))
    own = [m for m in raw.get("data", {}).get("metrics", ()) if m.get("run_id") == run_id]
    points = set(_retrievals({"metrics": own}))
    return LoggedModel(
        run_id=run_id if RUN_ID.fullmatch(run_id) else "",
        retrievals=len(points),
        last_retrieval=max(points, default=0),
    )


def pairs(raw: Iterable[Json]) -> dict[str, str]:
    """MLflow's list of {key, value} as a dict."""
    return {_text(pair, "key"): _text(pair, "value") for pair in raw}


def _text(raw: Json, key: str) -> str:
    """A text that MLflow may leave out.

    Raises:
        TypeError: it is no text.
    """
    value = raw.get(key) or ""
    if not isinstance(value, str):
        raise TypeError(f"{key} is a {type(value).__name__}")
    return value


def next_page_token(answer: Json) -> str:
    """The token of the next page, "" if there is none.

    Raises:
        ValueError: it is longer than a token of MLflow can be.
    """
    token = _text(answer, "next_page_token")
    if len(token) > MAX_TOKEN:
        raise ValueError(f"next_page_token has {len(token)} characters")
    return token


def _is_prompt(raw: Json) -> bool:
    if not (tags := raw.get("tags")):
        return False
    return any(t["key"] == PROMPT_TAG and t.get("value", "").lower() == "true" for t in tags)
