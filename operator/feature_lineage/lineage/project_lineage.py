"""The lineage of one project at one time, and the questions that it answers. No I/O."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.observed import LinkedVersion
from feature_lineage.decide.project.views import view_states
from feature_lineage.errors import NotFound, ServerUnavailable, TerminalError
from feature_lineage.features.freshness import ViewState, judge_model
from feature_lineage.features.signatures import question_key
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.lineage.answers import (
    AffectedVersion,
    AsOf,
    Features,
    GraphAnswer,
    ImpactAnswer,
    NodeAnswer,
    SearchPage,
    UnknownVersions,
    UnusedAnswer,
    UnusedPage,
    VersionAnswer,
    VersionsPage,
)
from feature_lineage.lineage.graph import LineageGraph, sorted_nodes
from feature_lineage.lineage.nodes import (
    Node,
    NodeKind,
    feature_node,
    logged_model_id,
    parse_node,
    run_id,
    short_name,
    version_node,
    view_of,
)
from feature_lineage.models.facts import TrainingRun
from feature_lineage.models.index import IndexedVersion, ReverseIndex, version_order
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.operations.protected_services import protected_services
from feature_lineage.untrusted import TooLarge

MAX_UNKNOWN: Final = 10
"""Names of versions whose features are not known, in one answer."""
MAX_NAMES: Final = 2_000
MAX_NAME: Final = 100
"""Names, and characters of a name, for which a similar one is looked for; it takes long."""
MAX_VERSIONS: Final = 100
"""Versions of one run in one answer."""
MAX_EDGES: Final = 50_000
MAX_NODES: Final = 5_000
"""Nodes of one answer; a graph with more is refused, with the way to a smaller one."""


@dataclass(frozen=True)
class ProjectLineage:
    """Everything that is known about the lineage of one project at one time.

    Attributes:
        snapshot: the registry; None if it was not read.
        linked: model versions by (model, version), with their verdicts.
        declared: the TrainedModels for a version, as ``namespace/name``.
        runs: training runs of the versions by id; None if they are not in memory now.
        mlflow_url: of MLflow's UI; "" if it is not known.
        probe: the last probe; None if there was none.
        now: when the answers are given.
    """

    project: FeatureStoreProject
    snapshot: RegistrySnapshot | None
    index: ReverseIndex
    graph: LineageGraph
    as_of: AsOf
    now: datetime
    linked: Mapping[tuple[str, str], LinkedVersion] = field(default_factory=dict)
    declared: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    runs: Mapping[str, TrainingRun] | None = None
    mlflow_url: str = ""
    probe: ProbeRecord | None = None

    @property
    def resource(self) -> str:
        return f"{self.project.metadata.namespace}/{self.project.metadata.name}"

    def around(
        self,
        name: str | None,
        *,
        up: int | None = None,
        down: int | None = None,
        features: bool = True,
        limit: int = MAX_NODES,
    ) -> GraphAnswer:
        """What an object depends on and what depends on it; the whole graph without a name.

        Args:
            up, down: how many steps; None: all.
            features: whether features are nodes; a named one always is.

        Raises:
            NotFound: the project has no object of this name.
            TerminalError: the name has another form, or the graph has more than `limit` nodes.
        """
        focus = self._known(name) if name is not None else None
        try:
            found = self.graph.around(
                focus, up, down, features=features, nodes=limit, edges=MAX_EDGES
            )
        except TooLarge as error:
            raise TerminalError(
                f"{self.resource}: the graph has {error}; name an object, take fewer steps up and "
                "down, or leave out features"
            ) from error
        place = {node: number for number, node in enumerate(found.nodes)}
        return GraphAnswer(
            resource=self.resource,
            as_of=self.as_of,
            focus=str(focus) if focus is not None else None,
            nodes=tuple(map(self._node, found.nodes)),
            edges=tuple((place[before], place[after]) for before, after in found.edges),
        )

    def impact(self, name: str, *, after: str | None = None, limit: int = 100) -> ImpactAnswer:
        """The model versions and protected services that a change of an object may affect.

        Raises:
            NotFound: neither the registry nor a model has the name.
            TerminalError: the name has another form, or is that of a model.
        """
        node = self._known(name)
        if node.kind in (NodeKind.MODEL, NodeKind.ALIAS):
            raise TerminalError(f"{name} is a {node.kind}; name what models use, such as a view")
        versions, reached = self.graph.users_of(node)
        protected = set(self._protected()) & reached
        following = _following(versions, after)
        chosen = following[:limit]
        return ImpactAnswer(
            resource=self.resource,
            as_of=self.as_of,
            name=str(node),
            total=len(versions),
            promoted=sum(1 for version in versions if version.aliases),
            services=tuple(sorted({version.service for version in versions} - {""})),
            protected_services=tuple(sorted(service.name for service in protected)),
            unknown=self._unknown(but=versions),
            after=chosen[-1].cursor if len(following) > len(chosen) else None,
            items=tuple(
                AffectedVersion(
                    model=version.model,
                    version=version.version,
                    aliases=version.aliases,
                    service=version.service,
                    features=tuple(
                        str(ref)
                        for ref in version.refs
                        if node.kind is NodeKind.SERVICE or feature_node(ref) in reached
                    ),
                )
                for version in chosen
            ),
        )

    def features(self, name: str) -> tuple[Features, ...]:
        """The features of a model version, or of all versions of a run, in recorded order.

        Args:
            name: a model version or alias (``model/NAME/3``, ``models:/NAME/3``,
                ``models:/NAME@ALIAS``), a LoggedModel (``models:/m-…``) or a run (``runs:/…``).

        Raises:
            NotFound: the project has no such version.
            TerminalError: the name is not of a model version.
        """
        found = self._versions_named(name)
        if len(found) > MAX_VERSIONS:
            raise TerminalError(
                f"{name} has {len(found)} versions, and an answer at most {MAX_VERSIONS}; name one"
            )
        return tuple(
            Features(
                resource=self.resource,
                as_of=self.as_of,
                version=self._version(version),
                refs=tuple(map(str, self._linked(version).link.refs)),
                complete=self._linked(version).link.complete,
            )
            for version in found
        )

    def _versions_named(self, name: str) -> tuple[IndexedVersion, ...]:
        logged, run = logged_model_id(name), run_id(name)
        if not logged and not run:
            node = self._known(name)
            if node.kind is NodeKind.ALIAS:
                node = next(self.graph.upstream(node))
            if node.kind is not NodeKind.MODEL:
                raise TerminalError(
                    f"{name} is a {node.kind}, not a model version; write models:/NAME/VERSION"
                )
            model, _, number = node.name.rpartition("/")
            version = self.index.version(model, number)
            return (version,) if version is not None else ()
        found = []
        for version in self.index.versions:
            facts = self._linked(version).version
            if (logged and facts.model_id == logged) or (run and facts.run_id == run):
                found.append(version)
        if not found:
            raise NotFound(
                f"{self.resource}: no registered version that names this project comes from {name}"
            )
        return tuple(found)

    def versions(
        self, model: str | None = None, *, after: str | None = None, limit: int = 100
    ) -> VersionsPage:
        """All versions of the project's models, or of one model.

        Raises:
            NotFound: the project has no model of this name.
        """
        found = self.index.versions if model is None else self.index.of_model(model)
        if model is not None and not found:
            raise NotFound(f"{self.resource}: no version of model {model} names this project")
        following = _following(found, after)
        chosen = following[:limit]
        return VersionsPage(
            resource=self.resource,
            as_of=self.as_of,
            total=len(found),
            after=chosen[-1].cursor if len(following) > len(chosen) else None,
            items=tuple(map(self._version, chosen)),
        )

    def search(self, text: str, *, after: int = 0, limit: int = 100) -> SearchPage:
        """Objects whose name contains a text in any case: equal first, then those that begin so."""
        wanted = text.casefold()
        ranked = sorted(
            (0 if name == wanted else 1 if name.startswith(wanted) else 2, number, node)
            for number, node in enumerate(sorted_nodes(self.graph.nodes()))
            if wanted in (name := node.name.casefold())
        )
        items = tuple(self._node(node) for _, _, node in ranked[after : after + limit])
        following = after + limit if len(ranked) > after + limit else None
        return SearchPage(
            resource=self.resource,
            as_of=self.as_of,
            total=len(ranked),
            after=following,
            items=items,
        )

    def unused(self, since: datetime, *, after: int = 0, limit: int = 100) -> UnusedPage:
        """Views without a user, and features without one of the views that have one.

        A user is a version with an alias, or one that was registered at `since` or later; also a
        protected feature service.
        """
        every = tuple(self._unused(since))
        return UnusedPage(
            resource=self.resource,
            as_of=self.as_of,
            since=since,
            unknown=self._unknown(),
            total=len(every),
            after=after + limit if len(every) > after + limit else None,
            items=every[after : after + limit],
        )

    def _unused(self, since: datetime) -> Iterator[UnusedAnswer]:
        created = {
            version_node(version): self._linked(version).version.created_at
            for version in self.index.versions
        }
        newest_first = sorted(created.items(), key=itemgetter(1), reverse=True)
        last_used = self.graph.upstream_of(newest_first)
        promoted = (version_node(version) for version in self.index.versions if version.aliases)
        used = set(self.graph.upstream_of((node, None) for node in (*promoted, *self._protected())))
        used |= {node for node, at in last_used.items() if at >= since}
        for node in sorted_nodes(self.graph.defined - used):
            is_view = node.kind is NodeKind.VIEW
            of_used = node.kind is NodeKind.FEATURE and Node(NodeKind.VIEW, view_of(node)) in used
            if is_view or of_used:
                yield UnusedAnswer(kind=node.kind, name=node.name, last_used_at=last_used.get(node))

    def _unknown(self, but: Iterable[IndexedVersion] = ()) -> UnknownVersions | None:
        """The versions whose features are not all known, without those that are in the answer."""
        shown = {version.cursor for version in but}
        found = [
            version.cursor
            for version in self.index.versions
            if not self._linked(version).link.complete and version.cursor not in shown
        ]
        return (
            UnknownVersions(total=len(found), first=tuple(found[:MAX_UNKNOWN])) if found else None
        )

    def _protected(self) -> Iterable[Node]:
        """The feature services that are protected without a model."""
        if self.snapshot is None:
            return ()
        globs = self.project.spec.apply.protection.services
        names = protected_services(self.snapshot, globs)
        return (Node(NodeKind.SERVICE, name) for name in names)

    def _known(self, name: str) -> Node:
        """The node that a person names. A typo must not give the answer "nothing uses this"."""
        node = parse_node(name)
        if node in self.graph:
            return node
        hint = f"; did you mean {short_name(near)}?" if (near := self._near(node)) else ""
        raise NotFound(f"{self.resource} has no {short_name(node)}, and no model uses it{hint}")

    def _near(self, node: Node) -> Node | None:
        """The object of the most similar name, if that can be told soon."""
        if len(node.name) > MAX_NAME:
            return None
        known = {
            each.name: each
            for each in islice((n for n in self.graph.nodes() if n.kind is node.kind), MAX_NAMES)
            if len(each.name) <= MAX_NAME
        }
        near = get_close_matches(node.name, sorted(known), 1)
        return known[near[0]] if near else None

    def _node(self, node: Node) -> NodeAnswer:
        if node.kind is not NodeKind.MODEL:
            defined = node in self.graph.defined or node.kind is NodeKind.ALIAS
            return NodeAnswer(kind=node.kind, name=node.name, defined=defined)
        model, _, version = node.name.rpartition("/")
        judged = self.linked[model, version].judgement
        return NodeAnswer(
            kind=node.kind,
            name=node.name,
            verdict=judged.verdict if judged else None,
            reason=judged.reason if judged else None,
        )

    def run_of(self, version: IndexedVersion) -> TrainingRun | None:
        """The run from which a version comes; None if MLflow has none.

        Raises:
            ServerUnavailable: the runs are not in memory now.
        """
        if self.runs is None:
            raise ServerUnavailable(f"{self.resource}: MLflow is being read again")
        return self.runs.get(self._linked(version).version.run_id)

    def _linked(self, version: IndexedVersion) -> LinkedVersion:
        return self.linked[version.model, version.version]

    def _version(self, version: IndexedVersion) -> VersionAnswer:
        item = self._linked(version)
        judged, link = item.judgement, item.link
        fresh, why = self._freshness(version)
        serves, error = self._serving(item)
        return VersionAnswer(
            model=version.model,
            version=version.version,
            created_at=item.version.created_at,
            aliases=version.aliases,
            service=version.service or None,
            features=len(version.refs),
            origin=link.origin,
            verdict=judged.verdict if judged else None,
            reason=judged.reason if judged else None,
            message=(judged.message if judged else "; ".join(link.problems)) or None,
            fresh=fresh,
            freshness_reason=why,
            serves=serves,
            serving_error=error,
            declared_by=self.declared.get((version.model, version.version), ()),
        )

    def _freshness(self, version: IndexedVersion) -> tuple[bool | None, str | None]:
        if self.snapshot is None or self.as_of.at is not None or not version.refs:
            return None, None
        read_at = self.as_of.registry_read_at
        judged = judge_model(self.snapshot, version.refs, self._states, self.now, read_at)
        return judged.fresh, judged.reason

    @cached_property
    def _states(self) -> Mapping[str, ViewState]:
        return view_states(self.project.spec, self.project.status, self.snapshot)

    def _serving(self, item: LinkedVersion) -> tuple[bool | None, str | None]:
        if self.probe is None:
            return None, None
        link = item.link
        known = self.probe.answers.get(question_key(link.service, link.refs, link.names))
        if known is None or not known.confirmed:
            return None, None
        return known.answer.cause is None, known.answer.error or None


def _following(
    versions: tuple[IndexedVersion, ...], after: str | None
) -> tuple[IndexedVersion, ...]:
    """The versions behind the cursor ``model/version``, which need not exist any more."""
    if after is None:
        return versions
    model, _, version = after.rpartition("/")
    place = bisect_right(versions, version_order(model, version), key=lambda item: item.sort_key)
    return versions[place:]
