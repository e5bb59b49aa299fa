"""Names for the writes of an operator: each distinct write has the same name in each run.

Names contain no digests and times: a write that is repeated for the same reason has the same name.
For the objects of a job and the parts of an ops run, each kind has one name for all jobs and runs;
`test_starting` and the contract tests of `tracking` test these one by one.
"""

import json
import re
from typing import Any, Final

from feature_lineage.operations.newer_guard import ANSWERED_KEY
from feature_lineage.operations.records import OPERATION_ID_TAG
from feature_lineage.tracking.ops import RECORDED_TAG

Object = dict[str, Any]

_DIGEST: Final = re.compile(r"-([0-9a-f]{16})(?=-|$)")
_MLFLOW: Final = "/api/2.0/mlflow/"
_ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts/"


class Writes:
    """The names of the writes in one scenario with one project; some depend on earlier writes."""

    def __init__(self) -> None:
        self._known: dict[str, list[str]] = {}
        self._operation = ""

    def to_api_server(self, method: str, path: str, body: Object) -> str:
        """Return the name of a request, or "" if the request is not part of the leader's work."""
        _, _, rest = path.partition("/namespaces/")
        _, plural, name, subresource = (*rest.split("/"), "", "")[:4]
        metadata = body.get("metadata") or {}
        name = name or metadata.get("name", "")
        match plural, subresource:
            case "leases", _:
                return ""  # the change of leaders has its own tests
            case "events", _:
                about = (body.get("regarding") or {}).get("kind", "")
                return f"Event {body['reason']} of a {about}" if method == "POST" else "Event again"
            case "featurestoreprojects", "status":
                return f"project's status: {self._project(body['status'])}"
            case "trainedmodels", "status":
                return f"model's status: {_conditions(body['status'])}"
            case "featurestoreprojects", _:
                return f"finalizer {'set' if metadata['finalizers'] else 'removed'}"
            case "configmaps", _:
                return self._config_map(name, body)
            case "jobs", _ if method == "PATCH":
                return f"Job {_plain(name)}: {', '.join(sorted(body['spec']))}"
        return f"{body.get('kind')} {_plain(name)}"

    def to_mlflow(self, method: str, path: str, content: bytes) -> str:
        """Return the name of a request, or "" if the request only reads."""
        if path.startswith(_ARTIFACTS):
            return f"artifact {path.rpartition('/')[2]}" if method == "PUT" else ""
        call = path.removeprefix(_MLFLOW)
        if method == "GET" or call.endswith("/search"):
            return ""
        body: Object = json.loads(content)
        match call:
            case "experiments/create":
                return "experiment"
            case "runs/create":
                return f"run of {_plain(_pairs(body)[OPERATION_ID_TAG])}"
            case "runs/log-batch" if RECORDED_TAG in _pairs(body):
                return f"run {self._nth('run', body['run_id'])} is recorded"
            case "runs/log-batch":
                return (
                    f"a run's {'+'.join(p for p in ('tags', 'params', 'metrics') if body.get(p))}"
                )
            case "runs/update":
                return "a run's end"
            case "model-versions/set-tag":
                return f"tag {body['key']}"
            case "model-versions/delete-tag":
                return f"tag {body['key']} removed"
        return f"{method} {path}"

    def _project(self, status: Object) -> str:
        """Return the name of a patch: its operation in flight, and its finished operations."""
        said = []
        operation = status.get("operation") or {}
        if "id" in operation:
            self._operation = _plain(operation["id"])
        if "phase" in operation:
            said.append(f"{self._operation} {operation['phase']}")
        if "operations" in status:
            ended = status["operations"]
            recorded = sum("mlflowRunId" in each for each in ended)
            said.append(f"{recorded} of {len(ended)} recorded")
        return ", ".join(said) or _conditions(status)

    def _config_map(self, name: str, body: Object) -> str:
        if "history.json" in (body.get("data") or {}):
            return f"timeline of {len(json.loads(body['data']['history.json']))}"
        if name.startswith("feature-lineage-registry-"):
            (digest,) = _DIGEST.findall(name)
            return f"snapshot {self._nth('snapshot', digest)}"
        if ANSWERED_KEY in (body.get("data") or {}):
            return "a newer guard"
        return f"a job's {'request' if name.endswith('-request') else 'report'}"

    def _nth(self, sort: str, known_as: str) -> int:
        """Return the number of an object of its kind, in the order of the first writes."""
        known = self._known.setdefault(sort, [])
        if known_as not in known:
            known.append(known_as)
        return known.index(known_as) + 1


def _plain(name: str) -> str:
    return _DIGEST.sub("", name)


def _conditions(status: Object) -> str:
    conditions = (f"{each['type']} {each['status']}" for each in status.get("conditions") or ())
    return ", ".join(conditions) or "+".join(sorted(status))


def _pairs(body: Object) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in body.get("tags") or ()}
