"""Probe: does the online store serve what the models ask for, with the keys that it should have?

Each question is retrieved once through Feast, for keys that materializations wrote. A source is
read only for keys that the request asks for, and to compare values with it after a
materialization. Nothing is written. Feast runs the code of on-demand views that the registry
stores.
"""

import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from typing import Any, Final

from feast import FeatureStore
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus

from feature_lineage.api.enums import ProbeSkew
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.probe_answer import (
    FEWEST,
    MAX_FEATURES,
    FeatureAnswer,
    ProbeAnswer,
    ProbeCause,
)
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.serving import Cause, Question, key_of_question
from feature_lineage.operations.skew import SkewAnswer
from feature_lineage.runner.dry_retrieval import (
    FORMS,
    MAX_SECONDS,
    NoAnswer,
    cause_of,
    function_of,
    registry_in_memory,
    within,
)
from feature_lineage.runner.errors import RegistryUnreadable, error_line
from feature_lineage.runner.feature_server import FeatureServer
from feature_lineage.runner.job import Job
from feature_lineage.runner.probe_rows import Rows, rows_of
from feature_lineage.runner.reader import Reading
from feature_lineage.runner.request_context import RequestContext, ViewRequest, request_context
from feature_lineage.runner.retrieval import Retrieval, retrieve
from feature_lineage.runner.skew import Comparer
from feature_lineage.runner.source_keys import read_sources
from feature_lineage.shorten import one_line, visible

_MAX_WORDS: Final = 300
_UNREACHABLE: Final = frozenset(
    {
        *("OperationalError", "InterfaceError", "ConnectionError", "TimeoutError"),
        *("RpcError", "ServiceUnavailable", "EndpointConnectionError", "NoHostAvailable"),
        *("ClientError", "NoCredentialsError", "Unauthenticated", "PermissionDenied"),
        *("InsufficientPrivilege", "FeastExtrasDependencyImportError", "FeastModuleImportError"),
    }
)
"""Names of the errors with which the clients of stores, and Feast, say that this job cannot ask."""
MAX_UNAVAILABLE: Final = 2
"""After so many answers in a row without a store, the others are not asked for: each may wait."""


def probe(job: Job) -> JobReport:
    """Retrieve the features of each question from the online store."""
    request = job.request.probe or ProbeRequest()
    reading = job.read()
    if not reading.exists:
        raise RegistryUnreadable("there is no registry yet: apply the repo first")
    store = job.open_store()
    # All answers are about the registry that was read.
    store._registry = registry_in_memory(store, reading)
    with job.progress.phase("sources"):
        wanted = frozenset(request.sources)
        read = tuple(read_sources(job, reading, store, wanted, request.most))
    with job.progress.phase("probe"):
        keys = {each.view: each.keys for each in read if each.keys is not None}
        asking = _Probe(store, request.model_copy(update={"keys": request.keys | keys}), reading)
        answers = tuple(asking.ask_all(request.questions))
    return job.report(
        Outcome.SUCCEEDED,
        previous=job.snapshot(reading).objects_digest,
        answers=answers,
        source_keys=read,
    )


class _Probe:
    def __init__(self, store: FeatureStore, request: ProbeRequest, reading: Reading) -> None:
        self._store = store
        self._request = request
        compares = request.skew is not ProbeSkew.OFF
        self._comparer = Comparer(store, request, reading) if compares else None
        self._server = FeatureServer(request.server) if request.server else None
        registry = store._registry
        entities = registry.list_entities(store.project, allow_cache=True)
        self._entities = {entity.name: entity for entity in entities}

    def ask_all(self, questions: Iterable[Question]) -> Iterator[ProbeAnswer]:
        """The answers to the questions, in order."""
        last, unavailable = ProbeAnswer(question=""), 0
        for question in questions:
            if unavailable >= MAX_UNAVAILABLE:
                yield last.model_copy(update={"question": key_of_question(question)})
                continue
            last = self.ask(question)
            unavailable = unavailable + 1 if last.cause is ProbeCause.UNAVAILABLE else 0
            yield last

    def ask(self, question: Question) -> ProbeAnswer:
        """The answer of the online store, with the names of columns that are served."""
        first: ProbeAnswer | None = None
        for full in FORMS[question.names]:
            answer = self._ask(question, full=full)
            if answer.cause is None:
                return answer
            first = first or answer
        assert first is not None
        return first

    def _ask(self, question: Question, *, full: bool) -> ProbeAnswer:
        key, count = key_of_question(question), 0
        try:
            with warnings.catch_warnings(), redirect_stdout(StringIO()), within(MAX_SECONDS):
                warnings.simplefilter("ignore")
                features: Any = list(question.refs)
                if question.service:
                    features = self._store.get_feature_service(question.service)
                context = self._context(features, full=full)
                asked = rows_of(self._request, context)
                count = len(asked.rows)
            columns = self._retrieve(features, asked, full=full)
        except BaseException as error:  # noqa: BLE001  also sys.exit in a function is an answer
            words = one_line(visible(_words(error)), _MAX_WORDS)
            return ProbeAnswer(question=key, keys=count, cause=_cause_of(error), error=words)
        if lacks := context.left_out(columns):
            return ProbeAnswer(question=key, keys=count, cause=ProbeCause.SERVING, error=lacks)
        found = sorted(
            self._answers(context, asked, columns),
            key=lambda each: (each.keys == 0, each.keys < FEWEST, -each.excess),
        )
        retrieval = Retrieval(features, context, asked, columns)
        server = self._server.ask(question, retrieval, self._again) if self._server else None
        return ProbeAnswer(
            question=key,
            keys=count,
            known=len(set().union(*asked.written)) if context.views else count,
            newest_event=_newest(columns),
            features=tuple(found[:MAX_FEATURES]),
            skew=self._skew(retrieval),
            server=server,
        )

    def _again(self, retrieval: Retrieval) -> Mapping[str, Any]:
        """The answer of a second retrieval; empty if it fails."""
        try:
            return self._retrieve(retrieval.features, retrieval.asked, full=retrieval.context.full)
        except BaseException:  # noqa: BLE001  also sys.exit in a function is an answer
            return {}

    def _retrieve(self, features: Any, asked: Rows, *, full: bool) -> Mapping[str, Any]:
        """The answer of Feast: name → FeatureVector."""
        with warnings.catch_warnings(), redirect_stdout(StringIO()), within(MAX_SECONDS):
            warnings.simplefilter("ignore")
            return retrieve(self._store, features, asked.rows, full=full)

    def _skew(self, retrieval: Retrieval) -> SkewAnswer | None:
        if self._comparer is None:
            return None
        try:
            return self._comparer.compare(retrieval)
        except BaseException as error:  # noqa: BLE001  also sys.exit in a function is an answer
            return SkewAnswer(
                at=datetime.now(UTC), why=one_line(visible(_words(error)), _MAX_WORDS)
            )

    def _context(self, features: Any, *, full: bool) -> RequestContext:
        store = self._store
        return request_context(store._registry, store.project, features, self._entities, full=full)

    def _written(self, view: ViewRequest, feature: str) -> bool:
        """Whether rows with this feature were written: it may be newer than they are."""
        sampled = self._request.keys.get(view.view.name)
        return sampled is not None and feature in sampled.features

    def _answers(
        self, context: RequestContext, asked: Rows, columns: Mapping[str, Any]
    ) -> Iterator[FeatureAnswer]:
        """Each column of a view, compared with what was written."""
        for view, written in zip(context.views, asked.written, strict=True):
            for feature in view.features:
                column = context.column(view, feature)
                vector = columns.get(column)
                if vector is None or not self._written(view, feature):
                    continue
                missing = nulls = 0
                for number in written:
                    absent = vector.statuses[number] == FieldStatus.NOT_FOUND
                    missing += absent
                    nulls += not absent and vector.values[number].WhichOneof("val") is None
                yield FeatureAnswer(
                    column=column,
                    keys=len(written),
                    missing=missing,
                    nulls=nulls,
                    source_nulls=sum(feature in key.nulls for key in written.values()),
                )


def _newest(columns: Mapping[str, Any]) -> datetime | None:
    """The newest event timestamp of the answer; None without one."""
    seconds = max(
        (at.seconds for vector in columns.values() for at in vector.event_timestamps), default=0
    )
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None


def _words(error: BaseException) -> str:
    """The error on one line; of an on-demand function without its text, which may have values."""
    function = function_of(error.__traceback__)
    if function is None:
        return error_line(error)
    return f"{type(error).__name__} in the on-demand function {function.co_name}"


def _cause_of(error: BaseException) -> ProbeCause:
    """Whether the store was asked: a store that is not reached says nothing about the models.

    Keys and request data may be made up, so an on-demand function may fail on them alone.
    """
    if function_of(error.__traceback__) is not None:
        certain = cause_of(error) is Cause.SERVING
        return ProbeCause.SERVING if certain else ProbeCause.VALUES
    if isinstance(error, sqlite3.Error):
        # The database is a file: without a table it is reached, with a lock it is not.
        return ProbeCause.SERVING if "no such" in str(error) else ProbeCause.UNAVAILABLE
    unreachable = isinstance(error, ImportError | OSError | NoAnswer)
    named = any(cls.__name__ in _UNREACHABLE for cls in type(error).__mro__)
    return ProbeCause.UNAVAILABLE if unreachable or named else ProbeCause.SERVING
