"""The memory of all readings of model registries together.

A limit for each listing is not enough: one tenant may name many servers of its own. So the readings
of all servers that tenants name share a budget, and those of the platform's servers another one.
When a budget is used up, the owner that uses most of it loses its largest reading: the reading is
dropped, and its next caller gets an error that says so. No other reading is affected.

A reading that several namespaces use counts for the one that uses least besides: so nobody loses a
reading because a namespace with many others uses it, too.

The text of an answer counts until it is parsed. From then on, an estimate of what is kept of it
counts: so a reading that is too large ends at the page with which it is, and one whose runs have
large parameters, of which nothing is kept, does not.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from feature_lineage.models.facts import LoggedModel, ModelVersion, RegistryView, TrainingRun
from feature_lineage.tracking.parsing import RegisteredModel

PLATFORM_BYTES: Final = 128 * 1024 * 1024
"""17 servers of 1,000 versions with 5 kB of tags each, or one of 17,000."""
TENANTS_BYTES: Final = 64 * 1024 * 1024
"""8 servers of 1,000 versions with 5 kB of tags each."""
VERSION_BYTES: Final = 1200
"""Of a version, or of a run, with `USUAL_TAGS` tags besides their text; measured with
`tracemalloc`."""
USUAL_TAGS: Final = 2
TAG_BYTES: Final = 200
"""Of each further tag besides its text: a value, and places in a dict and among shared strings."""
MODEL_BYTES: Final = 600
"""Of a registered model without aliases, besides its name."""
ALIAS_BYTES: Final = 300
"""Of an alias besides its text, with its places in a dict and among shared strings; measured."""
LOGGED_BYTES: Final = 300
"""Of a LoggedModel without inputs."""
OUTPUT_BYTES: Final = 200
"""Of a LoggedModel that a run names: its id, its step and the tuple of both."""
REFERENCE_BYTES: Final = 32
"""Of a feature reference or a column besides its text; most of them are shared strings."""


class GivenUp(Exception):
    """The reading used too much of its budget; it was dropped."""


class Share:
    """The part of a budget that one reading uses.

    Attributes:
        owners: who is accountable: the namespaces that use it, or a server of the platform.
        held: bytes of the last good reading.
        arriving: bytes of what is kept so far of a reading in progress.
        on_given_up: called to free the reading.
    """

    def __init__(self, budget: "CacheBudget", owner: str) -> None:
        self._budget = budget
        self._why = ""
        self.owners = {owner}
        self.held = 0
        self.arriving = 0
        self.on_given_up: list[Callable[[], None]] = []

    @property
    def size(self) -> int:
        """The larger of both: equal texts of the old and the new reading are the same objects."""
        return max(self.held, self.arriving)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count the answers of MLflow in this block, in this task and those that it starts."""
        self._why = ""
        token = _READING.set(self)
        try:
            yield
        finally:
            _READING.reset(token)
            self.arriving = 0

    def grow(self, size: int) -> None:
        """Count what is kept of a further answer, in bytes.

        Raises:
            GivenUp: there is no room for this reading.
        """
        self.arriving += size
        self._check()

    def pass_through(self, size: int) -> None:
        """Count the text of an answer, in bytes, only until its caller has parsed it.

        Nothing else runs in between, so it is only compared with what the others use now.

        Raises:
            GivenUp: there is no room for this reading.
        """
        self.grow(size)
        self.arriving -= size

    def hold(self, size: int) -> None:
        """Count the finished reading in place of its answers and of the one before.

        Raises:
            GivenUp: there is no room for this reading.
        """
        self.held, self.arriving = size, 0
        if self._why:
            # Given up while it was put together: what is kept of it now must be freed, too.
            self.give_up(self._why)
        self._check()

    def give_up(self, why: str) -> None:
        """Drop the reading; its owner learns it with the next answer."""
        self.held = self.arriving = 0
        self._why = why
        for free in self.on_given_up:
            free()

    def close(self) -> None:
        """Count nothing any more."""
        self._budget.shares.discard(self)

    def _check(self) -> None:
        if not self._why:
            self._budget.make_room()
        if self._why:
            raise GivenUp(self._why)


class CacheBudget:
    """The readings of several servers.

    Args:
        most: bytes of all of them together.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.shares: set[Share] = set()

    def share(self, owner: str) -> Share:
        """A share that counts until it is closed."""
        made = Share(self, owner)
        self.shares.add(made)
        return made

    def make_room(self) -> None:
        """Give up readings until the others are within the budget."""
        while sum(share.size for share in self.shares) > self._most:
            largest = self._largest_of_largest()
            largest.give_up(
                f"it needs {largest.size // 1024**2} MiB of memory, and all readings together may "
                f"have {self._most // 1024**2} MiB"
            )

    def _largest_of_largest(self) -> Share:
        """The largest reading of the owner that uses most."""
        used: Counter[str] = Counter()
        largest: dict[str, Share] = {}
        for share in sorted(self.shares, key=lambda each: (len(each.owners), -each.size)):
            owner = min(share.owners, key=lambda each: (used[each], each))
            used[owner] += share.size
            largest[owner] = max(largest.get(owner, share), share, key=lambda each: each.size)
        return largest[max(used, key=lambda each: (used[each], each))]


_READING: ContextVar[Share | None] = ContextVar("reading", default=None)


def count_answer(size: int) -> None:
    """Count the text of an answer of MLflow, in bytes, which its caller parses without an await.

    It counts for the reading in whose task it arrived, if there is one.

    Raises:
        GivenUp: there is no room for this reading.
    """
    share = _READING.get()
    if share is not None:
        share.pass_through(size)


def count_kept(size: int) -> None:
    """Count what is kept of an answer, in bytes, in the same way until the reading is finished.

    Raises:
        GivenUp: there is no room for this reading.
    """
    share = _READING.get()
    if share is not None:
        share.grow(size)


def memory_of(
    view: RegistryView,
    models: Iterable[RegisteredModel] = (),
    logged: Iterable[LoggedModel] = (),
) -> int:
    """About how many bytes a view takes.

    Args:
        models: with their aliases, which are kept for the next reading.
        logged: LoggedModels that are kept for the next reading.
    """
    seen: set[int] = set()
    size = sum(map(memory_of_model, models))
    for versions in view.versions.values():
        for version in versions.values():
            size += memory_of_version(version)
            if version.logged is not None:
                size += _memory_of_logged(version.logged, seen)
    for run in view.runs.values():
        each: TrainingRun | None = run
        while each is not None and id(each) not in seen:
            seen.add(id(each))
            size += memory_of_run(each)
            each = each.parent
    return size + sum(_memory_of_logged(model, seen) for model in logged)


def memory_of_model(model: RegisteredModel) -> int:
    """About how many bytes a registered model with its aliases takes."""
    aliases = model.aliases
    texts = (model.name, *aliases, *aliases.values())
    return MODEL_BYTES + len(aliases) * ALIAS_BYTES + _memory_of_texts(texts)


def memory_of_version(version: ModelVersion) -> int:
    """About how many bytes a version takes, without its LoggedModel."""
    names = (version.name, version.version, version.source, version.run_id, version.model_id)
    texts = (*names, *version.aliases, *version.tags, *version.tags.values())
    more_tags = max(0, len(version.tags) - USUAL_TAGS) * TAG_BYTES
    return VERSION_BYTES + more_tags + len(version.aliases) * ALIAS_BYTES + _memory_of_texts(texts)


def memory_of_run(run: TrainingRun) -> int:
    """About how many bytes a run takes, without the run around it."""
    features = memory_of_references(run.features_artifact)
    return VERSION_BYTES + features + len(run.models) * OUTPUT_BYTES + _memory_of_tags(run.tags)


def memory_of_logged(model: LoggedModel) -> int:
    """About how many bytes a LoggedModel takes."""
    return LOGGED_BYTES + memory_of_references(model.inputs)


def memory_of_references(references: Iterable[str] | None) -> int:
    """About how many bytes references to features, or names of columns, take."""
    return sum(REFERENCE_BYTES + text_bytes(each) for each in references or ())


def text_bytes(text: str) -> int:
    """The most bytes that the characters of a text take."""
    return len(text) if text.isascii() else 4 * len(text)


def _memory_of_logged(model: LoggedModel, seen: set[int]) -> int:
    """Inputs count once: versions and caches share them."""
    if model.inputs is None or id(model.inputs) in seen:
        return LOGGED_BYTES
    seen.add(id(model.inputs))
    return memory_of_logged(model)


def _memory_of_tags(tags: Mapping[str, str]) -> int:
    texts = _memory_of_texts((*tags, *tags.values()))
    return texts + max(0, len(tags) - USUAL_TAGS) * TAG_BYTES


def _memory_of_texts(texts: Sequence[str]) -> int:
    if all(map(str.isascii, texts)):
        return sum(map(len, texts))
    return sum(map(text_bytes, texts))
