"""Every error the operator raises on purpose, told apart by what to do about it.

    FeatureLineageError
    ├── TransientError                 try again, with back-off
    │   └── ServerUnavailable          a shared server is out: nobody's retry is consumed
    ├── WaitingError                   something else must happen first: look again later
    │   ├── AccessRefused              a credential, a host check or a permission stands in the way
    │   └── NotFound                   what was named is not there (yet)
    └── TerminalError                  nothing helps until spec, source or annotation changes
        ├── InvalidManifest            a resource that does not validate
        ├── InvalidReport              a job's report that does not parse: untrusted input
        ├── RequestRejected            a server understood the request and refuses it
        └── StateUnusable              the state folder is read-only or locked by another host

An error carries the condition `reason` it becomes and a message that names the object, the fact
and the next step. Secrets never enter a message.
"""


class FeatureLineageError(Exception):
    """Base of the tree.

    Args:
        message: names the object, the fact and the next step.
        reason: CamelCase condition reason this error is shown as; the class's own by default.
    """

    reason = "Error"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason

    @property
    def message(self) -> str:
        return str(self)


class TransientError(FeatureLineageError):
    """Try again, with exponential back-off and jitter."""

    reason = "TransientError"


class ServerUnavailable(TransientError):
    """A server that many objects share does not answer; its recovery wakes all of them."""

    reason = "MLflowUnavailable"


class WaitingError(FeatureLineageError):
    """Something else must happen first; look again at a fixed interval."""

    reason = "Waiting"


class AccessRefused(WaitingError):
    """The server is there and refuses: 401, 403, or its host check."""

    reason = "AuthFailed"


class NotFound(WaitingError):
    """What was named is not there, or not yet."""

    reason = "NotFound"


class TerminalError(FeatureLineageError):
    """Stalled until spec, source or annotation changes."""

    reason = "Invalid"


class InvalidManifest(TerminalError):
    """A resource that does not validate; the message lists every offending field."""

    reason = "InvalidManifest"


class InvalidReport(TerminalError):
    """A job's report that is too large, does not parse, or is of another protocol."""

    reason = "RunnerIncompatible"


class RequestRejected(TerminalError):
    """The server understood the request and will never accept it as it is.

    Args:
        error_code: the server's own code, such as MLflow's ``INVALID_PARAMETER_VALUE``.
    """

    reason = "RequestRejected"

    def __init__(self, message: str, *, error_code: str = "", reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.error_code = error_code


class StateUnusable(TerminalError):
    """The state folder cannot be written, or another host holds it."""

    reason = "StateUnusable"
