"""Every error that the operator raises on purpose, grouped by the reaction of the caller.

    FeatureLineageError
    ├── TransientError                 try again, with back-off
    │   └── ServerUnavailable          a shared server does not answer: no retry is used up
    ├── WaitingError                   something else has to happen first: try again later
    │   ├── AccessRefused              a server refuses a credential, or a permission is missing
    │   ├── AccessNotGranted           the platform's access to its server does not include it
    │   └── NotFound                   the named object does not exist, or not yet
    └── TerminalError                  nothing helps until spec, source or annotation changes
        ├── HostNotAllowed             an address or host name in the spec may not be used
        ├── InvalidManifest            a resource does not validate
        ├── InvalidReport              a job's report, which is untrusted, does not parse
        │   └── TooManyDependencies    a registry is too large to compute its lineage
        ├── RequestRejected            a server understood the request and rejects it
        └── StateUnusable              the state folder is read-only or locked by another host

An error carries the `Reason` that its condition shows, and a message of the object, the fact and
the next step. A message never contains a secret.
"""

from typing import Final

from feature_lineage.reasons import Reason

WHERE_JOBS_RUN: Final = "to this machine, or to the runner image (spec.runtime.image)"
"""Where a user adds a package: jobs run in pods, or on the machine of the local host."""


class FeatureLineageError(Exception):
    """Base class of all errors.

    Args:
        message: names the object, the fact and the next step.
        reason: reason of the condition that shows the error; the class's own by default.
    """

    reason = Reason.ERROR

    def __init__(self, message: str, *, reason: Reason | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason

    @property
    def message(self) -> str:
        return str(self)


class TransientError(FeatureLineageError):
    """The caller tries again, with exponential back-off and jitter."""

    reason = Reason.TRANSIENT_ERROR


class ServerUnavailable(TransientError):
    """A server that many objects share does not answer; its recovery enqueues all of them."""

    reason = Reason.MLFLOW_UNAVAILABLE


class WaitingError(FeatureLineageError):
    """Something else has to happen first; the caller tries again at a fixed interval."""

    reason = Reason.WAITING


class AccessRefused(WaitingError):
    """The server answers and refuses: 401 or 403."""

    reason = Reason.AUTH_FAILED


class AccessNotGranted(WaitingError):
    """The platform's values give this namespace no such access to its MLflow server."""

    reason = Reason.ACCESS_NOT_GRANTED


class NotFound(WaitingError):
    """The named object does not exist, or not yet."""

    reason = Reason.NOT_FOUND


class TerminalError(FeatureLineageError):
    """Only a change of the spec, the source or an annotation can help."""

    reason = Reason.INVALID


class HostNotAllowed(TerminalError):
    """An address or host name in the spec may not be used as it is.

    The form of the address, a list of the platform, a redirect or the server's own host check
    excludes it.
    """

    reason = Reason.HOST_NOT_ALLOWED


class InvalidManifest(TerminalError):
    """A resource does not validate; the message lists every wrong field."""

    reason = Reason.INVALID_MANIFEST


class InvalidReport(TerminalError):
    """A job's report is too large, does not parse, or has another protocol."""

    reason = Reason.RUNNER_INCOMPATIBLE


class TooManyDependencies(InvalidReport):
    """The views and services of a registry depend on so much that its lineage is not computed."""

    reason = Reason.REPORT_TOO_LARGE


class RequestRejected(TerminalError):
    """The server understood the request and will never accept it.

    Args:
        error_code: the server's own code, such as MLflow's ``INVALID_PARAMETER_VALUE``.
    """

    reason = Reason.REQUEST_REJECTED

    def __init__(self, message: str, *, error_code: str = "", reason: Reason | None = None) -> None:
        super().__init__(message, reason=reason)
        self.error_code = error_code


class StateUnusable(TerminalError):
    """The state folder cannot be written, or another host has locked it."""

    reason = Reason.STATE_UNUSABLE
