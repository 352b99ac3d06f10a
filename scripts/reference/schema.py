"""JSON Schema in a few words: what a field may be, on one line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from scripts.reference.markdown import code, codes

Schema: TypeAlias = "Mapping[str, Any]"
#: Name of the field, what it may be, and what it says of itself.
Row: TypeAlias = "tuple[str, str, str]"


def rows_of(
    schema: Schema, definitions: Schema, prefix: str = "", *, depth: int = 9
) -> Iterator[Row]:
    """The fields of an object, those of objects and lists in it with their path before them.

    Objects are opened `depth` deep; past that they are told by name.
    """
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        need = "required" if name in required else ""
        words = ", ".join(filter(None, (need, in_words(field, definitions))))
        yield path, words, description_of(field, definitions)
        inner, mark = _object_in(field, definitions)
        if inner is not None and depth > 1:
            yield from rows_of(inner, definitions, f"{path}{mark}.", depth=depth - 1)


def in_words(field: Schema, definitions: Schema) -> str:
    """Type, bounds and default of a field."""
    found = _resolved(field, definitions)
    words = [_type(_without_null(field), definitions)]
    bounds = (("minimum", "at least"), ("maximum", "at most"), ("maxLength", "at most"))
    for key, say in bounds:
        if key in found and "enum" not in found:
            unit = " characters" if key == "maxLength" else ""
            words.append(f"{say} {found[key]:,}{unit}")
    if "pattern" in found:
        words.append(f"as {code(found['pattern'])}")
    if "default" in field and field["default"] is not None:
        words.append(f"default {code(json.dumps(field['default'], ensure_ascii=False))}")
    return ", ".join(words)


def description_of(field: Schema, definitions: Schema) -> str:
    """What a field says of itself, or its type does."""
    found = _resolved(field, definitions)
    text: str = field.get("description") or found.get("description") or ""
    return text


def _type(field: Schema, definitions: Schema) -> str:
    if "$ref" in field:
        found = _resolved(field, definitions)
        name = str(field["$ref"]).rsplit("/", 1)[1]
        return (
            name.replace("_", " ").strip() if "properties" in found else _type(found, definitions)
        )
    if "enum" in field:
        return codes(field["enum"], " · ")
    if "const" in field:
        return code(field["const"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}), definitions)}"
    if "anyOf" in field:
        kinds = (_type(kind, definitions) for kind in field["anyOf"])
        return " or ".join(dict.fromkeys(kinds))
    if field.get("format") == "date-time":
        return "instant"
    return str(field.get("type", "anything"))


def _resolved(field: Schema, definitions: Schema) -> Schema:
    """The field with its reference followed, and without `null` where that is the only choice."""
    if "$ref" in field:
        named: Schema = definitions[field["$ref"].rsplit("/", 1)[1]]
        return _resolved(named, definitions)
    plain = _without_null(field)
    return field if plain is field else _resolved(plain, definitions)


def _without_null(field: Schema) -> Schema:
    """The field, or the one choice that it has besides `null`."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind.get("type") != "null"]
    return kinds[0] if len(kinds) == 1 else field


def _object_in(field: Schema, definitions: Schema) -> tuple[Schema | None, str]:
    """The object that a field is or lists, and the mark of a list."""
    found = _resolved(field, definitions)
    mark = ""
    if found.get("type") == "array":
        found, mark = _resolved(found.get("items", {}), definitions), "[]"
    return (found, mark) if found.get("properties") else (None, "")
