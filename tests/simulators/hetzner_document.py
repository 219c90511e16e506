"""Hetzner's own OpenAPI document, and a project in the simulated cloud whose every answer is validated against it.

The document is of mid-2026 and third-party: it is read from beside the repository and never copied. What has changed
since is in TOLERATED, each with its reason.
"""

import json
import os
import time
import urllib.error
import urllib.request
import uuid
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker

DOCUMENT = Path(__file__).parents[3] / "shared" / "contracts" / "hetzner-openapi.json"

# (object, key) -> why the simulator's answer differs from the document.
TOLERATED = {
    ("primary_ip", "datacenter"): "Likewise.",
    ("server", "datacenter"): "Required in the document; withdrawn from servers on 2026-07-01 "
    "(docs.hetzner.cloud/changelog#2026-07-01-removing-datacenters).",
}


@cache
def document():
    if not DOCUMENT.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{DOCUMENT.name} is missing: in CI it must be there")
        pytest.skip(f"{DOCUMENT.name} is not there: it is Hetzner's, and not part of the repository")
    return json.loads(DOCUMENT.read_text())


def resolved(schema):
    while "$ref" in schema:
        node = document()
        for key in schema["$ref"].removeprefix("#/").split("/"):
            node = node[key.replace("~1", "/")]
        schema = node
    return schema


def as_json_schema(schema, name="", closed=True):
    """OpenAPI 3.0 as JSON Schema: nullable, and (beyond the document) no keys it does not know."""
    schema = resolved(schema)
    plain = {key: value for key, value in schema.items() if key not in ("example", "examples", "nullable", "xml")}
    if "properties" in plain:
        plain["properties"] = {key: as_json_schema(value, key) for key, value in schema["properties"].items()}
        if closed:
            plain.setdefault("additionalProperties", False)
    if "required" in plain:
        plain["required"] = [key for key in schema["required"] if (name, key) not in TOLERATED]
    if "items" in plain:
        plain["items"] = as_json_schema(schema["items"], name.removesuffix("s"))
    for word in ("allOf", "oneOf", "anyOf"):
        if word in plain:
            # The members of an allOf each know only their own keys.
            plain[word] = [as_json_schema(member, name, closed and word != "allOf") for member in schema[word]]
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") else plain


@cache
def validator(template, method, status):
    responses = document()["paths"][template][method.lower()]["responses"]
    response = responses.get(str(status)) or responses[f"{status // 100}xx"]
    if "content" not in response:
        return None
    schema = as_json_schema(response["content"]["application/json"]["schema"])
    formats = FormatChecker(formats=())
    formats.checks("date-time", ValueError)(lambda text: text is None or bool(datetime.fromisoformat(text).tzinfo))
    formats.checks("decimal", InvalidOperation)(lambda text: text is None or Decimal(text).is_finite())
    return Draft202012Validator(schema, format_checker=formats)


class Account:
    """A project asked over plain HTTP; every answer is validated before it is given."""

    def __init__(self, world, **described):
        name = f"honest-{uuid.uuid4().hex[:10]}"
        ready = world.add({"hetzner_projects": [{"name": name, **described}]})
        token = next(project["token"] for project in ready["hetzner_projects"] if project["name"] == name)
        self.world, self.name, self.token, self.url = world, name, token, ready["hetzner_url"]
        self.asked = set()

    def ask(self, method, template, body=None, query="", *, token=None, **named):
        path = template.format(**{key: urllib.request.quote(str(value), safe="") for key, value in named.items()})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path + query, data, method=method)
        request.add_header("Authorization", f"Bearer {token or self.token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                status, headers, text = response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            with error:
                status, headers, text = error.code, error.headers, error.read()
        assert headers["RateLimit-Limit"]
        assert headers["X-Correlation-Id"]
        answer = json.loads(text) if text else None
        self._validate(method, template, status, answer)
        return status, answer

    def _validate(self, method, template, status, answer):
        self.asked.add((method, template))
        wanted = validator(template, method, status)
        if wanted is None:
            assert answer is None
            return
        problems = [f"{error.json_path}: {error.message[:300]}" for error in wanted.iter_errors(answer)]
        assert problems == [], f"{method} {template} {status}"

    def ok(self, *arguments, **named):
        status, answer = self.ask(*arguments, **named)
        assert status in (200, 201, 204), answer
        return answer

    def refused(self, *arguments, **named):
        status, answer = self.ask(*arguments, **named)
        return status, answer["error"]["code"]

    def wait(self, id, status):
        deadline = time.monotonic() + 5
        while self.ok("GET", "/servers/{id}", id=id)["server"]["status"] != status or self.locked(id):
            assert time.monotonic() < deadline, f"the server never became {status}"
            time.sleep(0.02)

    def locked(self, id):
        return self.ok("GET", "/servers/{id}", id=id)["server"]["locked"]
