"""Receivers of the actions of a host: metrics, the terminal, the log, a test."""

from feature_lineage.decide.facts import Event, Key, Resource
from feature_lineage.errors import InvalidManifest
from feature_lineage.reconcile.reconciler import ReconcileResult


class Listener:
    """Receives the actions of a host; a subclass overrides the methods that it needs."""

    def event(self, event: Event) -> None:
        """A Kubernetes Event, on a host that has no API server to write the Event to."""

    def reconciled(
        self, key: Key, before: Resource, result: ReconcileResult, seconds: float
    ) -> None:
        """A reconcile succeeded.

        Args:
            before: the resource as the reconcile found it.
            seconds: how long the reconcile took.
        """

    def failed(self, key: Key, error: Exception, retry_after: float) -> None:
        """A reconcile failed.

        Args:
            retry_after: seconds until the next reconcile of the resource.
        """

    def invalid(self, error: InvalidManifest) -> None:
        """Changed manifests do not validate; the resources stay as they were."""

    def manifest_removed(self, key: Key) -> None:
        """The manifest of a project with deletionPolicy Delete was removed; the project stays."""


class Listeners(Listener):
    """Passes every call on to several listeners, in their order."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def event(self, event: Event) -> None:
        for listener in self._listeners:
            listener.event(event)

    def reconciled(
        self, key: Key, before: Resource, result: ReconcileResult, seconds: float
    ) -> None:
        for listener in self._listeners:
            listener.reconciled(key, before, result, seconds)

    def failed(self, key: Key, error: Exception, retry_after: float) -> None:
        for listener in self._listeners:
            listener.failed(key, error, retry_after)

    def invalid(self, error: InvalidManifest) -> None:
        for listener in self._listeners:
            listener.invalid(error)

    def manifest_removed(self, key: Key) -> None:
        for listener in self._listeners:
            listener.manifest_removed(key)
