"""A typed method for each call of MLflow's REST API that the operator uses.

Errors are those of `http.Http.body`; an answer of an unexpected shape is a `ServerUnavailable`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from feature_lineage.clock import utc_now
from feature_lineage.errors import RequestRejected
from feature_lineage.models.facts import LoggedModel
from feature_lineage.tracking import mlflow_errors, parsing
from feature_lineage.tracking.cache_budget import count_kept, memory_of_references
from feature_lineage.tracking.circuit_breaker import CircuitBreaker
from feature_lineage.tracking.http import Call, Http
from feature_lineage.tracking.mlflow_server import MLflowServer
from feature_lineage.tracking.page_walk import pages

API: Final = "/api/2.0/mlflow/"
ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts/"
MAX_ARTIFACT: Final = 32 * 1024 * 1024
ARTIFACT_DEADLINE_FACTOR: Final = 4.0
EXPERIMENTS_PAGE: Final = 10_000


class MLflowClient:
    """The REST client of one server and one credential.

    Args:
        server: address and credential.
        now: the current time, aware, in UTC.
    """

    def __init__(self, server: MLflowServer, *, now: Callable[[], datetime] = utc_now) -> None:
        self.server = server
        self.http = Http(server, now=now)

    @property
    def circuit(self) -> CircuitBreaker:
        return self.http.circuit

    async def close(self) -> None:
        await self.http.close()

    # Registry

    async def search_models(
        self, *, page_size: int = 1000, token: str = ""
    ) -> tuple[list[parsing.RegisteredModel], str]:
        """One page of registered models by name, with aliases, and the next page's token or ""."""
        query = {"max_results": str(page_size), "order_by": "name ASC"}
        answer = await self._get("registered-models/search", _paged(query, token))
        with self.parsing_answer("registered-models/search"):
            return parsing.registered_models(answer), parsing.next_page_token(answer)

    async def search_versions(
        self,
        *,
        order_by: Sequence[str],
        filter_string: str = "",
        page_size: int,
        token: str = "",
    ) -> tuple[list[parsing.VersionRow], str]:
        """One page of model versions, without aliases, and the next page's token or ""."""
        query: dict[str, Any] = {"max_results": str(page_size), "order_by": list(order_by)}
        if filter_string:
            query["filter"] = filter_string
        answer = await self._get("model-versions/search", _paged(query, token))
        with self.parsing_answer("model-versions/search"):
            return parsing.model_versions(answer), parsing.next_page_token(answer)

    async def get_version(self, name: str, version: str) -> parsing.VersionRow:
        """One version.

        Raises:
            NotFound: the version or the model does not exist.
        """
        answer = await self._get("model-versions/get", {"name": name, "version": version})
        with self.parsing_answer("model-versions/get"):
            return parsing.model_version(answer["model_version"])

    async def set_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        body = {"name": name, "version": version, "key": key, "value": value}
        await self._post("model-versions/set-tag", body, idempotent=True)

    async def delete_version_tag(self, name: str, version: str, key: str) -> None:
        """Remove a tag; a missing tag is no error.

        Raises:
            NotFound: the version is gone.
        """
        body = {"name": name, "version": version, "key": key}
        path = API + "model-versions/delete-tag"
        await self.http.value(Call("DELETE", path, json=body, idempotent=True))

    async def logged_model_run(self, model_id: str) -> str:
        """The run that logged a model, "" if the model names none.

        Raises:
            NotFound: the LoggedModel does not exist.
        """
        answer = await self._get(f"logged-models/{quote(model_id, safe='')}", {})
        with self.parsing_answer("logged-models"):
            return str(answer["model"]["info"].get("source_run_id", ""))

    async def search_logged_models(
        self, experiment_ids: Sequence[str], filter_string: str, *, page_size: int, token: str = ""
    ) -> tuple[list[tuple[str, LoggedModel]], str]:
        """One page of LoggedModels with their ids, and the next page's token or "".

        Raises:
            NotFound: the server is of MLflow 2 and has no LoggedModels.
        """
        body: dict[str, Any] = {
            "experiment_ids": list(experiment_ids),
            "filter": filter_string,
            "max_results": page_size,
        }
        answer = await self._post("logged-models/search", _paged(body, token), idempotent=True)
        with self.parsing_answer("logged-models/search"):
            found = parsing.logged_models(answer)
            return list(found.items()), parsing.next_page_token(answer)

    # Experiments and runs

    async def experiment_ids(self) -> list[str]:
        """Ids of all experiments, also deleted ones: models may outlive the experiment of a run."""

        async def ask(size: int, token: str) -> tuple[list[str], str]:
            body = {"max_results": size, "view_type": "ALL"}
            answer = await self._post("experiments/search", _paged(body, token), idempotent=True)
            with self.parsing_answer("experiments/search"):
                ids = [str(raw["experiment_id"]) for raw in answer.get("experiments", ())]
                count_kept(memory_of_references(ids))
                return ids, parsing.next_page_token(answer)

        return [each async for page in pages(ask, EXPERIMENTS_PAGE) for each in page]

    async def experiment(self, name: str) -> tuple[str, bool]:
        """(id, deleted) of an experiment.

        Raises:
            NotFound: no experiment has this name.
        """
        answer = await self._get("experiments/get-by-name", {"experiment_name": name})
        with self.parsing_answer("experiments/get-by-name"):
            raw = answer["experiment"]
            return str(raw["experiment_id"]), raw.get("lifecycle_stage") == "deleted"

    async def create_experiment(self, name: str) -> str:
        """Create an experiment; returns its id.

        Raises:
            RequestRejected: ``RESOURCE_ALREADY_EXISTS``, also while it is soft-deleted.
        """
        answer = await self._post("experiments/create", {"name": name})
        with self.parsing_answer("experiments/create"):
            return str(answer["experiment_id"])

    async def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str,
        *,
        page_size: int = 1000,
        order_by: Sequence[str] = (),
        token: str = "",
        deleted_too: bool = True,
    ) -> tuple[list[dict[str, Any]], str]:
        """One page of runs as MLflow's JSON, and the next page's token or ""."""
        body: dict[str, Any] = {
            "experiment_ids": list(experiment_ids),
            "filter": filter_string,
            "run_view_type": "ALL" if deleted_too else "ACTIVE_ONLY",
            "max_results": page_size,
            "order_by": list(order_by),
        }
        answer = await self._post("runs/search", _paged(body, token), idempotent=True)
        with self.parsing_answer("runs/search"):
            return list(answer.get("runs", ())), parsing.next_page_token(answer)

    async def count_metric(self, run_id: str, key: str, most: int) -> int:
        """How many points a metric of a run has, at most `most`."""
        query = {"run_id": run_id, "metric_key": key, "max_results": str(most)}
        answer = await self._get("metrics/get-history", query)
        with self.parsing_answer("metrics/get-history"):
            return min(most, len(answer.get("metrics", ())))

    async def create_run(
        self, experiment_id: str, name: str, start_ms: int, tags: Mapping[str, str]
    ) -> dict[str, Any]:
        """Create a run; never retried: a run may exist although the answer was lost."""
        body = {
            "experiment_id": experiment_id,
            "run_name": name,
            "start_time": start_ms,
            "tags": _pairs(tags),
        }
        answer = await self._post("runs/create", body)
        with self.parsing_answer("runs/create"):
            return dict(answer["run"])

    async def log_batch(
        self,
        run_id: str,
        *,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        metrics: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Log at most 100 tags, 100 params and 1000 metrics; idempotent."""
        body = {
            "run_id": run_id,
            "tags": _pairs(tags or {}),
            "params": _pairs(params or {}),
            "metrics": list(metrics),
        }
        await self._post("runs/log-batch", body, idempotent=True)

    async def finish_run(self, run_id: str, status: str, end_ms: int) -> None:
        body = {"run_id": run_id, "status": status, "end_time": end_ms}
        await self._post("runs/update", body, idempotent=True)

    async def delete_run(self, run_id: str) -> None:
        """Soft-delete a run; idempotent."""
        await self._post("runs/delete", {"run_id": run_id}, idempotent=True)

    # Artifacts

    async def download(self, run_id: str, path: str, *, max_bytes: int = MAX_ARTIFACT) -> bytes:
        """A run's artifact, read through the server from any storage that it can reach.

        Raises:
            NotFound: the artifact does not exist.
            ServerUnavailable: also where the server cannot reach the storage.
        """
        query = {"run_id": run_id, "path": path}
        call = Call(
            "GET",
            "/get-artifact",
            query,
            idempotent=True,
            max_bytes=max_bytes,
            deadline_factor=ARTIFACT_DEADLINE_FACTOR,
        )
        return await self.http.body(call)

    async def download_of_model(self, model_id: str, path: str, *, max_bytes: int) -> bytes:
        """An artifact of a LoggedModel; raises as `download` does."""
        call = Call(
            "GET",
            f"/ajax-api/2.0/mlflow/logged-models/{quote(model_id, safe='')}/artifacts/files",
            {"artifact_file_path": path},
            idempotent=True,
            max_bytes=max_bytes,
            deadline_factor=ARTIFACT_DEADLINE_FACTOR,
        )
        return await self.http.body(call)

    async def upload(self, run_id: str, artifact_uri: str, path: str, content: bytes) -> None:
        """Write a run's artifact; one of the same name is replaced.

        A server that proxies artifacts takes any size; another server stores at most 10 MB with
        its own credentials.

        Raises:
            RequestRejected: more than 10 MB, and the server does not proxy artifacts.
        """
        root = proxied_root(artifact_uri, self.server.host)
        if root is not None:
            call = Call("PUT", ARTIFACTS + quote(f"{root}/{path}".lstrip("/")))
        else:
            query = {"run_uuid": run_id, "path": path}
            call = Call("POST", "/ajax-api/2.0/mlflow/upload-artifact", query)
        factor = ARTIFACT_DEADLINE_FACTOR
        await self.http.body(
            replace(call, content=content, idempotent=True, deadline_factor=factor)
        )

    async def _get(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        return await self.http.value(Call("GET", API + path, query, idempotent=True))

    async def _post(
        self, path: str, body: Mapping[str, Any], *, idempotent: bool = False
    ) -> dict[str, Any]:
        return await self.http.value(Call("POST", API + path, json=body, idempotent=idempotent))

    @contextmanager
    def parsing_answer(self, path: str) -> Iterator[None]:
        """Turn the errors of parsing an untrusted answer into `ServerUnavailable`."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            fact = f"JSON of another shape ({type(error).__name__}: {error})"
            raise mlflow_errors.unexpected_answer(self.server, path, fact) from error


def proxied_root(artifact_uri: str, host: str) -> str | None:
    """The path below the artifact proxy of a server; None if it does not proxy this location.

    MLflow may name another server, as `mlflow-artifacts://host:port/…`: the tracking server itself
    writes there. No credential of ours goes to a host that only a run names.

    Args:
        artifact_uri: of a run.
        host: ``host:port`` of the tracking server.
    """
    scheme, _, rest = artifact_uri.partition(":")
    named, _, path = rest[2:].partition("/") if rest.startswith("//") else ("", "", rest)
    if named.lower() not in {"", host}:
        return None
    if scheme == "mlflow-artifacts":
        return path.lstrip("/")
    if scheme in {"http", "https"} and named and ARTIFACTS in f"/{path}":
        return f"/{path}".split(ARTIFACTS, 1)[1]
    return None


def quoted(value: str) -> str:
    """A quoted string for a filter; MLflow's grammar has no escapes.

    Raises:
        RequestRejected: the value has both kinds of quotes.
    """
    for mark in ("'", '"'):
        if mark not in value:
            return f"{mark}{value}{mark}"
    raise RequestRejected(
        f"{value!r} holds both kinds of quotes; MLflow cannot search for it",
        error_code="INVALID_PARAMETER_VALUE",
    )


def _paged(query: Mapping[str, Any], token: str) -> dict[str, Any]:
    return {**query, "page_token": token} if token else dict(query)


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]
