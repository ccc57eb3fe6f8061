"""The two documents as one page of plain HTML, to be read without a script."""

import json
import shlex
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from backstop.domain.message import Json
from machine.documents.fields import fold, inline, row, shape

INTRODUCTION = """\
Everything that an app says to Backstop, and hears from it. The same for machines: \
<a href="/openapi.json">openapi.json</a> (OpenAPI 3.1) and \
<a href="/events.json">events.json</a> (JSON Schema). The commands go to this \
machine as they stand; only the last wants a file of yours."""


def render(api: Json, events: Json, *, url: str) -> str:
    """Return the page; *url* is where the commands on it go."""
    title = escape(api["info"]["title"])
    version = escape(api["info"]["version"])
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: the API and its events</title>
<link rel="stylesheet" href="/docs.css">
<header>
<h1>{title} <small>{version}</small></h1>
<p>{INTRODUCTION}</p>
</header>
<nav aria-label="Contents">{_contents(api, events)}</nav>
<main>
<section id="api"><h2>The API</h2>
{_prose(api["info"]["description"])}
{"".join(_operations(api, url))}
</section>
<section id="schemas"><h2>Schemas</h2>
{"".join(_schemas(api))}
</section>
<section id="events"><h2>Events</h2>
{_prose(events["info"]["description"])}
{"".join(_events(events))}
</section>
</main>
</html>
"""


def operations(api: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield the operations: method, path, and what is said of them."""
    for path, item in api["paths"].items():
        shared = item.get("parameters", [])
        for method, told in item.items():
            if method != "parameters":
                parameters = shared + told.get("parameters", [])
                yield method.upper(), path, {**told, "parameters": parameters}


def curl(method: str, path: str, operation: Json, url: str) -> str:
    """Return the command that makes an operation's first example."""
    shown = [each for each in operation["parameters"] if "example" in each]
    for each in shown:
        path = path.replace(f"{{{each['name']}}}", str(each["example"]))
    query = [f"{p['name']}={p['example']}" for p in shown if p["in"] == "query"]
    target = shlex.quote(url + path + ("?" + "&".join(query) if query else ""))
    command = f"curl {target}" if method == "GET" else f"curl -X {method} {target}"
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, told in content.items():
        body = "@menu.png"
        if "examples" in told:
            first = next(iter(told["examples"].values()))
            body = shlex.quote(_pretty(first["value"]))
        header = shlex.quote(f"Content-Type: {media_type}")
        command += f" \\\n  -H {header} --data-binary {body}"
    return command


def _contents(api: Json, events: Json) -> str:
    told = [operation for _method, _path, operation in operations(api)]
    groups = {
        tag["name"]: [
            (each["operationId"], each["summary"])
            for each in told
            if tag["name"] in each["tags"]
        ]
        for tag in api["tags"]
    }
    groups["Schemas"] = [(f"schema-{n}", n) for n in api["components"]["schemas"]]
    groups["Events"] = [(each["name"], each["name"]) for each in events["events"]]
    return "".join(fold(title, _links(links)) for title, links in groups.items())


def _links(links: Iterable[tuple[str, str]]) -> str:
    items = (f'<li><a href="#{anchor}">{escape(text)}</a>' for anchor, text in links)
    return f"<ul>{''.join(items)}</ul>"


def _operations(api: Json, url: str) -> Iterator[str]:
    group = ""
    for method, path, told in operations(api):
        if group not in told["tags"]:
            (group,) = told["tags"]
            yield f"<h3>{escape(group)}</h3>"
        yield _head(told["operationId"], told["summary"])
        yield f"<p><b>{method}</b> <code>{escape(path)}</code></p>"
        yield _prose(told.get("description", ""))
        yield _code(curl(method, path, told, url))
        if told["parameters"]:
            yield f"<h5>Parameters</h5><dl>{''.join(_parameters(told))}</dl>"
        if "requestBody" in told:
            yield f"<h5>Body</h5>{_body(told['requestBody'])}"
        yield f"<h5>Answers</h5>{''.join(_answers(told['responses']))}</article>"


def _parameters(operation: Json) -> Iterator[str]:
    for each in operation["parameters"]:
        schema = {**each["schema"], "description": each["description"]}
        yield row(each["name"], schema, required=each.get("required", False))


def _body(body: Json) -> str:
    ((media_type, content),) = body["content"].items()
    form = shape(content["schema"]) or "<p>The file.</p>"
    size = escape(body["description"])
    head = f"<p><code>{media_type}</code>. {size}</p>"
    return head + form + _examples(content)


def _answers(responses: Json) -> Iterator[str]:
    for status, response in responses.items():
        content = response["content"]["application/json"]
        form = shape(content["schema"]) if status == "200" else ""
        head = f"<b>{status}</b> {escape(response['description'])}"
        yield f'<div class="answer"><p>{head}</p>{form}{_examples(content)}</div>'


def _schemas(api: Json) -> Iterator[str]:
    for name, schema in api["components"]["schemas"].items():
        yield _head(f"schema-{name}", name)
        yield f"{_prose(schema.get('description', ''))}{shape(schema)}</article>"


def _events(events: Json) -> Iterator[str]:
    kinds = dict.fromkeys(event["kind"] for event in events["events"])
    for kind in kinds:
        yield f"<h3>{escape(kind)}</h3>"
        for event in events["events"]:
            if event["kind"] == kind:
                yield _event(event)


def _event(event: Json) -> str:
    parts = (
        _head(event["name"], event["name"]),
        _prose(event["when"]),
        fold("Attributes", shape(event["attributes"])),
        fold("Data", shape(event["data"]) or _prose(event["data"]["description"])),
        fold("An example", _code(_pretty(event["example"]))),
    )
    return f"{''.join(parts)}</article>"


def _head(anchor: str, title: str) -> str:
    link = f'<a href="#{anchor}">{escape(title)}</a>'
    return f'<article id="{anchor}"><h4>{link}</h4>'


def _examples(content: Json) -> str:
    return "".join(
        fold(example["summary"], _code(_pretty(example["value"])))
        for example in content.get("examples", {}).values()
    )


def _code(text: str) -> str:
    return f'<pre tabindex="0"><code>{escape(text, quote=False)}</code></pre>'


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _prose(text: str) -> str:
    paragraphs = filter(None, text.strip().split("\n\n"))
    return "".join(f"<p>{inline(paragraph)}</p>" for paragraph in paragraphs)
