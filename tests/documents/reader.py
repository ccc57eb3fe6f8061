"""Reads the documents as a client would, and more strictly than one should."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from machine.documents import page

Json = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    method: str
    path: str
    told: Json

    @property
    def name(self) -> str:
        return str(self.told["operationId"])

    @property
    def media_type(self) -> str:
        return next(iter(self._content), "")

    @property
    def requests(self) -> list[Any]:
        """Bodies to send: the examples, b"" for a file, None for nothing."""
        if "requestBody" not in self.told:
            return [None]
        examples = self._content[self.media_type].get("examples", {})
        return [each["value"] for each in examples.values()] or [b"\x89PNG"]

    @property
    def _content(self) -> Json:
        return dict(self.told.get("requestBody", {}).get("content", {}))

    def target(self, **values: str) -> str:
        """Return path and query of the example, with some values replaced."""
        path, query = self.path, []
        for each in self.told["parameters"]:
            name = each["name"]
            value = values.get(name, each.get("example"))
            if each["in"] == "path":
                path = path.replace(f"{{{name}}}", str(value))
            elif value is not None:
                query.append(f"{name}={value}")
        return path + ("?" + "&".join(query) if query else "")

    def refusals(self) -> Iterator[tuple[int, str, Json]]:
        """Yield status, name and body of every refusal that is shown."""
        for status, response in self.told["responses"].items():
            if status.isdecimal() and status != "200":
                content = response["content"]["application/json"]
                for name, example in content.get("examples", {}).items():
                    yield int(status), name, example["value"]


class Document:
    """The API document."""

    def __init__(self, whole: Json) -> None:
        self.whole = whole
        self.operations = {
            told["operationId"]: Operation(method, path, told)
            for method, path, told in page.operations(whole)
        }

    def schema(self, schema: Json) -> Json:
        """Return a schema that can be used by itself."""
        return {**schema, "components": self.whole["components"]}

    def resolve(self, schema: Json) -> Json:
        while "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = self.whole["components"]["schemas"][name]
        return schema

    def check_answer(self, operation: Operation, status: int, body: Any) -> None:
        """Check that an answer is documented, and holds nothing that is not."""
        responses = operation.told["responses"]
        response = responses.get(str(status)) or responses.get("default")
        assert response, f"{operation.name} answers {status}: {body}"
        schema = response["content"]["application/json"]["schema"]
        check(closed(self.schema(schema)), body)


def check(schema: Json, value: Any) -> None:
    validator = Draft202012Validator(
        schema, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    wrong = [f"{e.json_path}: {e.message}" for e in validator.iter_errors(value)]
    assert wrong == [], json.dumps(value)


def closed(schema: Any) -> Any:
    """Return *schema*, refusing every field that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(each) for name, each in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        inner.setdefault("additionalProperties", False)
    return inner
