"""What the last probe says about a model: its status, and condition Serving."""

from typing import Final

from feature_lineage.api.conditions import ModelCondition as C
from feature_lineage.api.enums import OperationKind, Result
from feature_lineage.api.meta import Condition
from feature_lineage.api.model_status import FeatureServerStatus, ServingStatus
from feature_lineage.decide.budget import ERROR, fit
from feature_lineage.decide.condition_set import ConditionSet
from feature_lineage.decide.observed import Failure, LinkedVersion, ObservedModel
from feature_lineage.features.signatures import question_key
from feature_lineage.operations.feature_server import ServerAnswer, ServerCause
from feature_lineage.operations.probe_answer import ProbeAnswer, ProbeCause
from feature_lineage.operations.probe_record import Probed
from feature_lineage.operations.skew import SkewAnswer
from feature_lineage.reasons import Reason

_UNKNOWN: Final = frozenset({Reason.NOT_PROBED, Reason.PROBE_UNAVAILABLE})


def probed(observed: ObservedModel, linked: LinkedVersion | None) -> Probed | None:
    """The last answer to what the model asks; None if it was not asked yet."""
    if linked is None or observed.probe is None:
        return None
    link = linked.link
    known = observed.probe.answers.get(question_key(link.service, link.refs, link.names))
    return known.of_server(server_of(observed)) if known is not None else None


def server_of(observed: ObservedModel) -> str:
    """Address of the feature server of the project; "" without one."""
    return observed.project.spec.feature_server if observed.project is not None else ""


def serving(observed: ObservedModel, linked: LinkedVersion) -> ServingStatus | None:
    """The last answer as the status shows it; None if the project has no probe."""
    known = probed(observed, linked) if is_probed(observed) else None
    if known is None:
        return None
    answer, worst, skew = known.answer, known.answer.worst, known.answer.skew
    skewed, farthest = skew.worst if skew is not None else None, answer.skewed or worst
    return ServingStatus(
        checked_at=known.at.replace(microsecond=0),
        keys=answer.keys,
        served=answer.cause is None,
        error=fit(answer.error, ERROR) or None,
        null_ratio=_rounded(worst.null_ratio if worst else None),
        source_null_ratio=_rounded(worst.source_null_ratio if worst else None),
        missing_ratio=_rounded(worst.missing_ratio if worst else None),
        newest_event=answer.newest_event and answer.newest_event.replace(microsecond=0),
        skew_ratio=_rounded(skewed.ratio if skewed else None),
        compared_at=skew.at.replace(microsecond=0) if skew else None,
        late_rows=skew.late if skew else None,
        worst_feature=farthest.column if farthest else None,
        feature_server=_server_status(answer.server) if answer.server else None,
    )


def _server_status(answer: ServerAnswer) -> FeatureServerStatus:
    worst = answer.worst if answer.differing else None
    return FeatureServerStatus(
        url=answer.url,
        healthy=answer.healthy,
        version=fit(answer.version, ERROR) or None,
        served=answer.cause is None,
        error=fit(answer.error, ERROR) or None,
        differing_ratio=_rounded(answer.worst.ratio if answer.worst else None),
        worst_feature=worst.column if worst else None,
    )


def is_probed(observed: ObservedModel) -> bool:
    """Whether the project asks its online store."""
    return observed.project is not None and observed.project.spec.is_probed


def set_serving(observed: ObservedModel, conditions: ConditionSet) -> None:
    """Condition Serving, which exists only with `spec.probe`.

    A bad answer that no second probe has confirmed leaves the condition as it is.
    """
    if not is_probed(observed):
        conditions.only_while(C.SERVING, False, "", "")
        return
    linked = observed.linked
    if observed.view is None and conditions.get(C.SERVING) is not None:
        return  # during an outage of MLflow, the last facts count
    known, failure = probed(observed, linked), _failed_probe(observed)
    judgement = linked.judgement if linked is not None else None
    if judgement is not None and judgement.reason == Reason.NOT_SERVED_ONLINE:
        conditions.unknown(C.SERVING, Reason.NOT_SERVED_ONLINE, judgement.message)
    elif failure is not None:
        message = failure + _unread(observed, linked)
        conditions.unknown(C.SERVING, Reason.PROBE_UNAVAILABLE, message)
    elif known is None:
        conditions.unknown(
            C.SERVING,
            Reason.NOT_PROBED,
            "no probe has retrieved the features of this model yet; versions whose features are "
            "known are probed",
        )
    elif known.confirmed or conditions.get(C.SERVING) is None:
        unasked = _not_asked(observed, known.answer)
        if unasked is not None and known.answer.finding is Reason.SUCCEEDED:
            conditions.unknown(C.SERVING, *unasked)
        else:
            _set_confirmed(conditions, known, _unread(observed, linked))


def _not_asked(observed: ObservedModel, answer: ProbeAnswer) -> tuple[str, str] | None:
    """Reason and message if the feature server of the project was not asked; None otherwise."""
    refused, server = observed.server_refused, server_of(observed)
    if refused is not None:
        return refused.reason, refused.message
    if not server or answer.server is not None:
        return None
    record = observed.probe
    if record is None or record.server != server:
        return Reason.NOT_PROBED, f"no probe has asked the feature server {server} yet"
    old = "run operator and runner (spec.runtime.image) of the same version"
    return Reason.NOT_PROBED, f"the probe did not ask the feature server {server}: {old}"


def _unread(observed: ObservedModel, linked: LinkedVersion | None) -> str:
    """Why a source was not read for keys; "" if all were, or need not be."""
    unread = observed.probe.unread if observed.probe is not None else {}
    views = {ref.view for ref in linked.link.refs} if linked is not None else set()
    name = min(views & unread.keys(), default="")
    return f" (the source of view {name} is not read: {unread[name]})" if name else ""


def _failed_probe(observed: ObservedModel) -> str | None:
    """The failure of the newest probe as a whole; None if it did not fail."""
    project = observed.project
    last = project.status.newest(OperationKind.PROBE) if project is not None else None
    if last is None or last.result is not Result.FAILED:
        return None
    return f"{last.id} failed: {last.message}; the next probe tries again"


def not_serving(served: Condition | None) -> Failure | None:
    """Why a model that requires Serving is not Ready; None if it serves, or is never online.

    Args:
        served: condition Serving; None if the project has no probe.
    """
    if served is None:
        return Failure(
            Reason.NOT_PROBED,
            "spec.readyRequires has Serving, and the project is not probed; set its spec.probe",
            terminal=True,
        )
    if served.status == "True" or served.reason == Reason.NOT_SERVED_ONLINE:
        return None
    return Failure(served.reason, served.message)


def _set_confirmed(conditions: ConditionSet, known: Probed, unread: str) -> None:
    finding, message = known.answer.finding, _message(known, unread)
    if not known.confirmed:
        conditions.unknown(
            C.SERVING, Reason.NOT_PROBED, f"a second probe has to confirm: {message}"
        )
    elif finding is Reason.SUCCEEDED:
        conditions.true(C.SERVING, message=message)
    elif finding in _UNKNOWN:
        conditions.unknown(C.SERVING, finding, message)
    else:
        conditions.false(C.SERVING, finding, message)


def _message(known: Probed, unread: str) -> str:
    answer, worst = known.answer, known.answer.worst
    if (server := answer.server_at_fault) is not None:
        return _server_message(server)
    if answer.finding is Reason.SERVING_FAILS:
        return (
            f"the retrieval of the model's features fails: {answer.error}; correct the definitions "
            "or the online store, the next probe tries again"
        )
    if answer.finding is Reason.PROBE_UNAVAILABLE:
        return (
            f"the job of the probe does not reach the online store: {answer.error}; check its "
            "network, and the image of the runner"
        )
    if answer.cause is ProbeCause.VALUES:
        return (
            f"{answer.error} fails, perhaps only on the keys and request data of the probe; "
            "whether the model is served is not known"
        )
    if (skewed := answer.skewed) is not None:
        return (
            f"{skewed.column}: {skewed.differing} of {skewed.compared} values in the online store "
            f"differ from those that training gets for the same rows of the source{_late(answer)}; "
            "find out who wrote the store or changed the source, and materialize the view again"
        )
    if worst is None:
        if answer.known:
            none = "no feature of them can be compared"
            return f"served for {answer.keys} keys; {none}{_same(answer.server)}"
        return f"no keys of the model's views are known{unread}; materialize the views"
    if answer.finding is Reason.NOT_SERVED:
        return (
            f"{worst.column}: the online store lacks {worst.missing} of {worst.keys} keys that "
            "it should have; materialize the view again"
        )
    if answer.finding is Reason.MOSTLY_NULL:
        found = worst.keys - worst.missing
        return (
            f"{worst.column}: {worst.nulls} of {found} values in the online store are null, "
            f"{worst.source_nulls} should be; materialize the view again"
        )
    return f"served for {answer.keys} keys{_compared(answer.skew)}{_same(answer.server)}"


def _same(answer: ServerAnswer | None) -> str:
    if answer is None:
        return ""
    name = f"the feature server {answer.url}"
    if answer.cause is ServerCause.UNASKABLE:
        return f"; {name} was not asked: {answer.error}"
    return f"; {name} answers the same"


def _server_message(answer: ServerAnswer) -> str:
    """The fault of a feature server, where Feast in the job serves the same features."""
    name, version = f"the feature server {answer.url}", f"; its version: {answer.version}"
    older = (
        "its registry is older than the one in force, or another one: restart it, lower its "
        f"--registry_ttl_sec, or correct the registry in its feature_store.yaml{version}"
    )
    if answer.cause is ServerCause.UNAVAILABLE:
        return (
            f"{name} does not answer the job of the probe: {answer.error}; check "
            "spec.probe.featureServerUrl, the server and the network of the jobs"
        )
    if answer.cause is ServerCause.REFUSED:
        other = (
            "Feast in the job serves the same: compare its registry, online store and image with "
            f"those of the jobs, and restart it{version}"
        )
        return f"{name} fails: {answer.error}; {older if answer.stale else other}"
    if answer.lacks or answer.adds:
        parts = [f"lacks {answer.lacks}"] * bool(answer.lacks)
        parts += [f"has {answer.adds}, which Feast in the job has not"] * bool(answer.adds)
        return f"{name}: its answer {' and '.join(parts)}; {older}"
    if answer.differing and (worst := answer.worst) is not None:
        nulls = f" ({answer.absent} of all columns are null)" if answer.absent else ""
        return (
            f"{worst.column}: {worst.differing} of {worst.compared} values of {name} differ from "
            f"those that Feast in the job reads{nulls}; its online store or its registry is "
            f"another one: correct its feature_store.yaml, or restart it{version}"
        )
    return (
        f"{name} answers the same, but its /health says 503, so a load balancer may send it no "
        "requests: read its log, and check that it reaches its registry"
    )


def _compared(skew: SkewAnswer | None) -> str:
    if skew is None:
        return ""
    found = f"; {skew.compared} values compared with the source, {skew.late} of late rows"
    return (found if skew.compared else "") + (f"; not compared: {skew.why}" if skew.why else "")


def _late(answer: ProbeAnswer) -> str:
    late = answer.skew.late if answer.skew is not None else 0
    return f" ({late} more of all columns are of late rows)" if late else ""


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 4)
