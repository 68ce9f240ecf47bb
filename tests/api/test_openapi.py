"""The OpenAPI document: whole, valid, and the same as what is served.

Not tested here: that every answer under random requests is documented (that is schemathesis's work, tests/e2e).
"""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from gateway.api.application import build_app, routes_of
from gateway.api.http.openapi import document
from tests.api.client import Client
from tests.api.fakes import FakeGateway, order, refused


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return document(routes_of(FakeGateway().api()))


def _operations(openapi: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _refs(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for held in node.values():
            yield from _refs(held)
    elif isinstance(node, list):
        for held in node:
            yield from _refs(held)


def test_every_route_of_the_application_is_in_the_document(openapi: dict[str, Any]) -> None:
    app = build_app(FakeGateway().api())
    served = {(route.resource.canonical, route.method) for route in app.router.routes() if route.resource is not None}
    described = {(path, method) for path, method, _ in _operations(openapi)}
    # HEAD is GET without its body, and not described by itself.
    assert described | {(path, "HEAD") for path, method in described if method == "GET"} == served


def test_every_reference_leads_somewhere(openapi: dict[str, Any]) -> None:
    refs = set(_refs(openapi))
    assert refs
    assert {ref.removeprefix("#/components/schemas/") for ref in refs} <= set(openapi["components"]["schemas"])


def test_every_schema_is_a_json_schema_of_2020_12(openapi: dict[str, Any]) -> None:
    assert openapi["openapi"].startswith("3.1.")
    for schema in openapi["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_operation_is_described_whole(openapi: dict[str, Any]) -> None:
    ids = []
    for path, _, operation in _operations(openapi):
        ids.append(operation["operationId"])
        assert operation["summary"]
        assert operation["tags"]
        named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5][0-9][0-9]", status)
            assert response["description"]
            assert response["content"]
    assert len(ids) == len(set(ids))


def test_every_call_says_who_may_make_it(openapi: dict[str, Any]) -> None:
    schemes = openapi["components"]["securitySchemes"]
    for path, _, operation in _operations(openapi):
        named = {name for entry in operation["security"] for name in entry}
        assert named <= set(schemes)
        assert (named == {"appKey"}) == path.startswith("/v1/")
        assert ("401" in operation["responses"]) == bool(named)


def test_requests_and_their_problems_are_described(openapi: dict[str, Any]) -> None:
    withhold = openapi["paths"]["/v1/withholds"]["post"]
    statuses = {200, 201, 400, 401, 403, 408, 409, 413, 415, 422, 500, 503}
    assert {str(status) for status in statuses} == set(withhold["responses"])
    schema = openapi["components"]["schemas"]["WithholdRequest"]
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"merchant_order_no", "scene", "user_id", "amount", "currency"}
    assert schema["properties"]["amount"]["minimum"] == 1


@pytest.mark.parametrize(
    ("path", "model"),
    [("/v1/withholds", "WithholdRequest"), ("/v1/charges", "ChargeRequest"), ("/v1/routes", "RouteQuestion")],
)
async def test_the_examples_work(client: Client, openapi: dict[str, Any], path: str, model: str) -> None:
    (example,) = openapi["components"]["schemas"][model]["examples"]
    assert (await client.post(path, example)).status in {200, 201}


async def test_the_served_document_is_this_one(client: Client, openapi: dict[str, Any]) -> None:
    assert (await client.get("/openapi.json", key=None)).json == openapi


async def test_answers_are_what_the_document_says(
    client: Client, gateway: FakeGateway, openapi: dict[str, Any]
) -> None:
    def conforms(path: str, method: str, status: int, body: object) -> None:
        (content,) = openapi["paths"][path][method]["responses"][str(status)]["content"].values()
        schema = {"$ref": content["schema"]["$ref"].replace("#/components/", "#/")}
        schema["schemas"] = _relocated(openapi["components"]["schemas"])
        jsonschema_rs.validate(schema, body)

    gateway.books.becomes = refused
    taken = await client.post("/v1/withholds", order())
    payment = f"/v1/payments/{taken.json['id']}"
    conforms("/v1/withholds", "post", 201, taken.json)
    conforms("/v1/withholds", "post", 422, (await client.post("/v1/withholds", {})).json)
    conforms("/v1/payments", "get", 200, (await client.get("/v1/payments")).json)
    for part in ("", "/decision", "/timeline"):
        conforms(f"/v1/payments/{{id}}{part}", "get", 200, (await client.get(payment + part)).json)
    conforms("/v1/events", "get", 200, (await client.get("/v1/events")).json)
    routed = await client.post("/v1/routes", {"user_id": "u", "scene": "withhold", "amount": 1, "bank": "ICBC"})
    conforms("/v1/routes", "post", 200, routed.json)
    conforms("/readyz", "get", 200, (await client.get("/readyz")).json)


def _relocated(node: Any) -> Any:
    """The same with its references as they are when the schemas stand one level higher."""
    if isinstance(node, dict):
        return {
            key: held.replace("#/components/", "#/") if key == "$ref" else _relocated(held)
            for key, held in node.items()
        }
    return [_relocated(held) for held in node] if isinstance(node, list) else node
