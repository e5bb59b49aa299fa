"""The OpenAPI 3.1 document of the HTTP API, from the models of its parameters and answers."""

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from feature_lineage import __version__
from feature_lineage.lineage.answers import Answer, ProjectsAnswer
from feature_lineage.lineage.endpoints import ENDPOINTS, FEAST_ENDPOINTS, Endpoint

PREFIX: Final = "/api/v1alpha1"
PROJECT: Final = PREFIX + "/namespaces/{namespace}/projects/{name}"
FEAST: Final = "/feast/{namespace}/{name}/api"
_REF: Final = "#/components/schemas/{model}"
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "Object, fact and next step."},
    },
}
_ERRORS: Final = {
    "400": "A parameter is wrong, or the answer would be too large.",
    "404": "There is no such project or object.",
    "503": "The facts are not known now, or this process is not the leader; try again.",
}
_ERRORS_WITH_TOKENS: Final = {
    **_ERRORS,
    "401": "There is no valid bearer token.",
    "403": "The caller may not get this FeatureStoreProject.",
}


def openapi_document(*, tokens: bool) -> bytes:
    """The document as JSON.

    Args:
        tokens: whether callers need a bearer token.
    """
    errors = _ERRORS_WITH_TOKENS if tokens else _ERRORS
    answers: list[type[Answer]] = [
        ProjectsAnswer,
        *(endpoint.answer for endpoint in (*ENDPOINTS, *FEAST_ENDPOINTS)),
    ]
    _, schemas = models_json_schema(
        [(model, "serialization") for model in answers], by_alias=True, ref_template=_REF
    )
    paths = {
        f"{PREFIX}/projects": {
            "get": _operation(
                "projects", "Projects that the caller may read", [], ProjectsAnswer, errors
            )
        }
    }
    placed = [(PROJECT, each) for each in ENDPOINTS] + [(FEAST, each) for each in FEAST_ENDPOINTS]
    for root, endpoint in placed:
        parameters = [_in_path("namespace"), _in_path("name"), *_query(endpoint)]
        operation = _operation(endpoint.path, endpoint.summary, parameters, endpoint.answer, errors)
        paths[f"{root}/{endpoint.path}"] = {"get": operation}
    schemes = {"bearer": {"type": "http", "scheme": "bearer"}} if tokens else {}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "feature-lineage-operator", "version": __version__},
        "security": [{name: []} for name in schemes],
        "paths": paths,
        "components": {
            "schemas": {**schemas.get("$defs", {}), "Problem": _PROBLEM},
            "securitySchemes": schemes,
        },
    }
    return json.dumps(document, indent=2).encode()


def _operation(
    path: str,
    summary: str,
    parameters: list[dict[str, Any]],
    answer: type[Answer],
    errors: Mapping[str, str],
) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}}
    schema = {"$ref": _REF.format(model=answer.__name__)}
    return {
        "operationId": path,
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": summary, "content": {"application/json": {"schema": schema}}},
            "304": {"description": "The answer still has the ETag of If-None-Match."},
            **{
                status: {"description": text, "content": problem}
                for status, text in sorted(errors.items())
            },
        },
    }


def _in_path(name: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(endpoint: Endpoint) -> list[dict[str, Any]]:
    schema = _inlined(endpoint.parameters)
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": part.pop("description", ""),
            "schema": part,
        }
        for name, part in schema.get("properties", {}).items()
    ]


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of parameters; an absent one is absent, and not the text "null"."""
    schema = model.model_json_schema(by_alias=True)
    for part in schema.get("properties", {}).values():
        kinds = [kind for kind in part.pop("anyOf", []) if kind.get("type") != "null"]
        if kinds:
            part.update(kinds[0])
        if part.get("default", ...) is None:
            del part["default"]
        part.pop("title", None)
    return schema
