"""Dry retrieval: can Feast serve what a model asks for, from a given registry?

Feast's own online path runs on the registry in force and on the staged one, both in memory, with
made-up values. Life-cycle states are made equal: a view that is being materialized now
says nothing about the change.
"""

import signal
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache, cached_property
from io import StringIO
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import feast
from feast import FeatureStore
from feast.utils import _utc_now
from typeguard import suppress_type_checks

from feature_lineage.api.enums import ColumnNames
from feature_lineage.operations.serving import Answers, Cause, Failed, Question
from feature_lineage.runner.changes import Changes
from feature_lineage.runner.errors import error_line
from feature_lineage.runner.made_up_store import MadeUpStore, sample
from feature_lineage.runner.reader import Reading, views_of
from feature_lineage.runner.repo import memory_registry
from feature_lineage.runner.request_context import RequestContext, request_context

MAX_SECONDS: Final = 20.0
"""For one question: a function may wait for a service that this job cannot reach."""
FORMS: Final = {
    ColumnNames.FULL: (True,),
    ColumnNames.SHORT: (False,),
    ColumnNames.UNKNOWN: (True, False),
}
"""Values of `full_feature_names`. With full names, Feast leaves out without an error the columns
of an on-demand view of mode python."""
_FEAST: Final = str(Path(feast.__file__).parent)
_TRANSFORMATIONS: Final = str(Path(feast.__file__).parent / "transformation")


class DryRegistry:
    """A registry in memory in which questions are tried."""

    def __init__(self, store: FeatureStore, registry: Any) -> None:
        """Take over the registry: its life-cycle states are cleared."""
        self._store = store
        self._registry = registry
        for _, message in views_of(registry.cached_registry_proto, store.project):
            if "state" in message.meta.DESCRIPTOR.fields_by_name:  # a view of labels has none
                message.meta.ClearField("state")
        found = cache(registry.get_feature_service)
        registry.get_feature_service = lambda name, project, allow_cache=False: found(name, project)  # noqa: ARG005  Feast's signature
        # Feast caches what it resolved by this time.
        registry.cached_registry_proto_created = _utc_now()

    def ask(self, question: Question) -> Failed | None:
        """Retrieve the features with made-up values; None if Feast serves them.

        Full names are tried first: Feast refuses short ones that two columns have.
        """
        failed = None
        for full in FORMS[question.names]:
            again = self._retrieve(question, full=full)
            if again is None:
                return None
            failed = failed or again
        return failed

    def _retrieve(self, question: Question, *, full: bool) -> Failed | None:
        project = self._store.project
        try:
            # The registry's objects were checked when they were applied; that is half of the time.
            with (
                warnings.catch_warnings(),
                redirect_stdout(StringIO()),
                suppress_type_checks(),
                within(MAX_SECONDS),
            ):
                warnings.simplefilter("ignore")
                features: Any = list(question.refs)
                if question.service:
                    features = self._registry.get_feature_service(question.service, project)
                    # Vectors that are computed in advance are in the online store only.
                    features.precompute_online = False
                asked = request_context(
                    self._registry, project, features, self._entities, full=full
                )
                answer = MadeUpStore().get_online_features(
                    self._store.config,
                    features,
                    [_row(asked)],
                    self._registry,
                    project,
                    full_feature_names=full,
                )
            if lacks := asked.left_out(answer.proto.metadata.feature_names.val):
                return Failed(Cause.SERVING, lacks)
        except BaseException as error:  # noqa: BLE001  also sys.exit in a function is an answer
            return Failed(cause_of(error), error_line(error))
        return None

    @cached_property
    def _entities(self) -> dict[str, Any]:
        entities = self._registry.list_entities(self._store.project, allow_cache=True)
        return {entity.name: entity for entity in entities}


def _row(asked: RequestContext) -> dict[str, Any]:
    """One entity row with made-up values for the join keys and the data of the request."""
    keys = (key for view in asked.views for key in view.columns.values())
    row = {key: sample(asked.types[key]) for key in keys}
    row |= {name: sample(value_type) for name, value_type in asked.data.items()}
    return row or {"": 1}  # Feast counts the rows by any column


def retrieve(
    store: FeatureStore, before: Reading, changes: Changes, questions: Iterable[Question]
) -> dict[Question, Answers]:
    """The answers of the registry in force, and of the one that the changes would make of it.

    Raises:
        InvalidRepo: Feast refuses one of the changes.
    """
    asked = dict.fromkeys(questions)
    if not asked:
        return {}
    staged = registry_in_memory(store, before)
    changes.write(staged, store.project)
    in_force, after = (
        DryRegistry(store, registry_in_memory(store, before)),
        DryRegistry(store, staged),
    )
    answers = {}
    for question in asked:
        failed = after.ask(question)
        answers[question] = Answers(in_force.ask(question) if failed else None, failed)
    return answers


def ask(
    store: FeatureStore, reading: Reading, questions: Iterable[Question]
) -> dict[Question, Failed | None]:
    """The answers of the registry that was read."""
    registry = DryRegistry(store, registry_in_memory(store, reading))
    return {question: registry.ask(question) for question in questions}


def registry_in_memory(store: FeatureStore, before: Reading) -> Any:
    """A registry with what was read, which Feast serves from."""
    registry = memory_registry(store, before.proto)
    settings = store.config.registry
    registry.enable_online_versioning = settings.enable_online_feature_view_versioning
    return registry


class NoAnswer(BaseException):
    """A function did not end in its time. No `except Exception` of the function stops it."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `NoAnswer` in the block after this time; only in the main thread."""

    def expire(*_: object) -> None:
        raise NoAnswer(f"no answer within {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def cause_of(error: BaseException) -> Cause:
    """What the error proves.

    An error outside of an on-demand function is Feast's refusal. In the function, an unknown name,
    and a column or attribute that the code names, are errors whatever the values are. Any other
    error may come from the made-up values: a lookup, a division, a parser.
    """
    if isinstance(error, ImportError):
        return Cause.IMAGE
    if isinstance(error, NoAnswer):
        return Cause.VALUES
    function = function_of(error.__traceback__)
    if function is None:
        return Cause.SERVING
    match error:
        case NameError() | SyntaxError():
            return Cause.SERVING
        case AttributeError() if error.obj is not None:
            return Cause.SERVING
        case KeyError() if _key_of(error) in _constants(function):
            return Cause.SERVING
        case _:
            return Cause.VALUES


def _key_of(error: KeyError) -> str | None:
    return error.args[0] if error.args and isinstance(error.args[0], str) else None


def function_of(trace: TracebackType | None) -> Any:
    """The code of the on-demand function in which the error was raised; None if in none."""
    codes = [frame.tb_frame.f_code for frame in _frames(trace)]
    for caller, called in pairwise(codes):
        outside = not called.co_filename.startswith(_FEAST)
        if outside and caller.co_filename.startswith(_TRANSFORMATIONS):
            return called
    return None


def _frames(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _constants(code: Any) -> set[str]:
    """Texts that the code contains, nested functions included."""
    found = {value for value in code.co_consts if isinstance(value, str)}
    for inner in code.co_consts:
        if hasattr(inner, "co_consts"):
            found |= _constants(inner)
    return found
