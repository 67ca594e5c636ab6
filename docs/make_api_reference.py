#!/usr/bin/python3
"""Makes docs/api-reference.md of the document that the sidecar serves (control/http/openapi.json).

    docs/make_api_reference.py [--check]     --check: only whether the page is of that document
"""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = "control/http/openapi.json"
PAGE = "docs/api-reference.md"
HEAD = f"""# API reference

Made of [the document](../{DOCUMENT}) that every sidecar serves at `/api/v1/openapi.json` (OpenAPI
3.1), by `docs/make_api_reference.py`. What calls mean, and in which order they are made, is told in
[Control API](api.md). Paths are below `/api/v1`; successes are `{{"status": "success", "data": …}}`, of which
`data` is described here.
"""


def linked(name):
    return f"[{name}](#{name.lower()})"


def sort_of(schema):
    """What a value may be, in a few words."""
    if "$ref" in schema:
        return linked(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    for some in ("anyOf", "oneOf"):
        if some in schema:
            return " or ".join(sort_of(one) for one in schema[some])
    sorts = schema.get("type", "any value")
    sorts = [sorts] if isinstance(sorts, str) else sorts
    words = []
    for sort in sorts:
        if sort == "array":
            words.append(f"array of {sort_of(schema.get('items', {}))}")
        elif sort == "object" and schema.get("properties"):
            words.append("{" + ", ".join(f"`{name}`" for name in schema["properties"]) + "}")
        elif sort == "string" and schema.get("format"):
            words.append(schema["format"])
        else:
            words.append(sort)
    return " or ".join(words)


def members(schema):
    required = schema.get("required", [])
    lines = ["| member | is | |", "|---|---|---|"]
    for name, member in schema["properties"].items():
        note = member.get("description", "")
        if name in required:
            note = "always" + (f"; {note}" if note else "")
        lines.append(f"| `{name}` | {sort_of(member)} | {note} |")
    return "\n".join(lines)


def described(name, schema):
    text = f"### {name}\n\n"
    if "properties" in schema:
        return text + members(schema) + "\n"
    options = schema.get("oneOf", [])
    if not options:
        return text + sort_of(schema) + "\n"
    parts = []
    for option in options:
        head = next((sort_of(option["properties"][key]) for key in ("type", "mode")
                     if key in option["properties"]), "")
        about = f": {option['description']}" if option.get("description") else ""
        parts.append(f"{head}{about}\n\n{members(option)}\n")
    return text + "\n".join(parts)


def operation_text(document, method, path, operation):
    lines = [f"### {method.upper()} {path}", "", f"{operation['summary']}. Role: {operation['x-role']}.", ""]
    parameters = [document["components"]["parameters"][one["$ref"].rpartition("/")[2]]
                  for one in operation.get("parameters", [])]
    for one in parameters:
        if one["in"] != "path":
            lines.append(f"- `{one['name']}` ({one['in']}): {one['description']}")
    body = operation.get("requestBody")
    if body:
        lines.append(f"- body: {sort_of(body['content']['application/json']['schema'])}")
    for code, response in operation["responses"].items():
        if code.startswith("2"):
            envelope = response["content"]["application/json"]["schema"]["properties"]
            lines.append(f"- {code}: {sort_of(envelope['data'])}")
    errors = [code for code in operation["responses"] if not code.startswith("2")]
    lines.append(f"- refused with {', '.join(errors)}")
    return "\n".join(lines) + "\n"


def page():
    document = json.loads((ROOT / DOCUMENT).read_text(encoding="utf-8"))
    parts = [HEAD]
    for tag in document["tags"]:
        parts.append(f"## {tag['name'].capitalize()}\n\n{tag['description'].capitalize()}.\n")
        parts += [operation_text(document, method, path, operation)
                  for path, operations in document["paths"].items()
                  for method, operation in operations.items() if tag["name"] in operation["tags"]]
    refusals = document["components"]["responses"].items()
    parts.append("## Refusals\n\n| status | when |\n|---|---|")
    parts.append("\n".join(f"| {code} | {one['description']} |" for code, one in refusals) + "\n")
    parts.append("## Shapes\n")
    parts += [described(name, schema) for name, schema in document["components"]["schemas"].items()]
    return "\n".join(parts)


def main():
    text = page()
    file = ROOT / PAGE
    if sys.argv[1:] == ["--check"]:
        good = file.is_file() and file.read_text(encoding="utf-8") == text
        print("good" if good else f"is not of {DOCUMENT}: run docs/make_api_reference.py")
        return 0 if good else 1
    file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
