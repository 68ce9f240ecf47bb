"""The OpenAPI 3.1 document, made from the table of routes and the models that check and describe them."""

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from gateway.api.http.answers import ProblemAnswer
from gateway.api.http.problems import CONTENT_TYPE, of_status
from gateway.api.http.routing import JSON, Answer, Route, Scope

__all__ = ["document"]

_REF = "#/components/schemas/{model}"
_SECURITY: dict[Scope, list[dict[str, list[str]]]] = {
    "app": [{"appKey": []}],
    "admin": [{"adminToken": []}],
    "none": [],
}
_REQUEST_ID_HEADER = {"X-Request-Id": {"schema": {"type": "string"}, "description": "names this exchange in our logs"}}

_ABOUT = """One API to collect money through several payment companies in China.

Amounts are whole numbers of fen (1/100 yuan) in CNY. Times are UTC, RFC 3339. Errors are problems (RFC 9457) with a
stable `code`. Messages are English or Chinese by `Accept-Language`. A request that was answered with 503 or not at all
may be sent again with the same `merchant_order_no`: it never pays twice."""


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole document."""
    refs, schemas = _schemas(routes)
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sluice", "version": version("sluice"), "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(tag for route in routes for tag in route.tags)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "appKey": {"type": "http", "scheme": "bearer", "description": "a key of an app, sk_…"},
                "adminToken": {"type": "http", "scheme": "bearer", "description": "the operators' token"},
            },
        },
    }


_Refs = dict[Any, dict[str, Any]]  # by model class


class _Schemas(GenerateJsonSchema):
    """Schemas without the titles that pydantic makes from field names: they tell nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def _schemas(routes: Iterable[Route]) -> tuple[_Refs, dict[str, Any]]:
    bodies = {route.body for route in routes if route.body} | {route.query for route in routes if route.query}
    answered = {answer.model for route in routes for answer in route.answers.values() if answer.model}
    by_name = sorted(bodies, key=_name)
    answers_by_name = sorted(answered | {ProblemAnswer}, key=_name)
    made, definitions = models_json_schema(
        [(model, "validation") for model in by_name] + [(model, "serialization") for model in answers_by_name],
        ref_template=_REF,
        schema_generator=_Schemas,
    )
    refs: _Refs = {model: schema for (model, _mode), schema in made.items()}
    found: dict[str, Any] = definitions.get("$defs", {})
    return refs, found


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _operation(route: Route, refs: _Refs) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": list(route.tags),
        "security": _SECURITY[route.scope],
        "parameters": _path_parameters(route) + _query_parameters(route),
        "responses": _responses(route, refs),
    }
    if route.description:
        operation["description"] = route.description
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": refs[route.body]}}}
    elif route.uploads:
        binary = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(route.uploads, binary)}
    elif route.raw_body:
        operation["requestBody"] = {"content": {"*/*": {"schema": {"type": "string"}}}}
    return operation


def _operation_id(route: Route) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", route.path.removeprefix("/v1")).strip("_")
    return f"{route.method.lower()}_{words}"


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": route.path_about.get(name, ""),
            "schema": {"type": "string", "minLength": 1},
        }
        for name in re.findall(r"{(\w+)}", route.path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema(mode="validation", ref_template=_REF, schema_generator=_Schemas)
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(field)}
        for name, field in schema.get("properties", {}).items()
    ]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """An address has no null: a parameter that is not wanted is left out."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
    rest = {key: value for key, value in field.items() if key != "anyOf" and not (key == "default" and value is None)}
    return {**kinds[0], **rest} if len(kinds) == 1 else rest if not kinds else {**rest, "anyOf": kinds}


def _responses(route: Route, refs: _Refs) -> dict[str, Any]:
    responses = {str(status): _response(answer, refs) for status, answer in route.answers.items()}
    for status in sorted(_problem_statuses(route)):
        problem = {"schema": {"type": "string"} if route.page else refs[ProblemAnswer]}
        known = responses.setdefault(
            str(status), {"description": of_status(status).detail, "headers": dict(_REQUEST_ID_HEADER), "content": {}}
        )
        known["content"]["text/html" if route.page else CONTENT_TYPE] = problem
        known["headers"] |= _problem_headers(status)
    return responses


def _response(answer: Answer, refs: _Refs) -> dict[str, Any]:
    # What a payment company wants to read is text or JSON, as it says.
    plain = {} if answer.content_type == "*/*" else {"type": "string"}
    schema = refs[answer.model] if answer.model is not None else plain
    headers = {name: {"schema": {"type": "string"}, "description": about} for name, about in answer.headers.items()}
    return {
        "description": answer.description,
        "headers": headers | _REQUEST_ID_HEADER,
        "content": {answer.content_type: {"schema": schema}},
    }


def _problem_headers(status: int) -> dict[str, Any]:
    name = {401: "WWW-Authenticate", 503: "Retry-After"}.get(status)
    return {name: {"schema": {"type": "string"}}} if name else {}


def _problem_statuses(route: Route) -> set[int]:
    statuses = {*route.problems, 500, 503}
    if route.scope != "none":
        # Parameters that are not known are refused everywhere, so every such call can be answered 422.
        statuses |= {401, 403, 422}
    if route.body is not None:
        statuses |= {400, 408, 413, 415, 422}
    if route.raw_body or route.uploads:
        statuses |= {400, 408, 413, 415}
    if "{" in route.path:
        statuses.add(404)
    return statuses
