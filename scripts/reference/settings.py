"""`settings.md`: what a cardholder may set, what loosens it, and the bounds of the house."""

from __future__ import annotations

import inspect
import json
from types import ModuleType
from typing import cast

from scripts.reference.markdown import code, page, table
from scripts.reference.schema import rows_of
from scripts.reference.source import comments_in, summary

from zhiwei import engine, vault
from zhiwei.core import card_state, controls
from zhiwei.core.controls import CONTROL_TYPES, Control
from zhiwei.core.documents import document_of
from zhiwei.core.place import PROVINCES
from zhiwei.gateways.http import house
from zhiwei.gateways.http.control_bodies import BODIES
from zhiwei.gateways.iso8583 import frame
from zhiwei.services import LOOSENS
from zhiwei.words import LANGUAGES, load_sentences

INTRODUCTION = """\
A control (设置) is a document of its own, set as a whole with `PUT
/v1/cards/{id}/controls/{type}` and removed with `DELETE`. Amounts are whole minor units of the
card's currency; times of day are `HH:MM`, in the card's own zone; provinces are GB/T 2260 codes,
countries ISO 3166-1. Setting and tightening act at once; whatever *loosens* needs strong
authentication, and may wait a [cooling-off](policy.md). What the [issuer's policy](policy.md)
says holds beside every control: the stricter of the two decides.

Each control belongs to a service; what it promises, and its scenarios, are on the [pages of the
services](../services/)."""

BOUNDS = """\
Everything that could grow has a bound. Past it there is a clear answer, never a wait without
end."""

#: Modules whose constants bound something, with what they bound.
BOUNDED: tuple[tuple[str, ModuleType], ...] = (
    ("controls", controls),
    ("a card's file", card_state),
    ("the engine", engine),
    ("card numbers", vault),
    ("ISO 8583 frames", frame),
)


def settings_page() -> str:
    """The page."""
    parts = [INTRODUCTION]
    words = load_sentences()
    for control_type in CONTROL_TYPES:
        name = " · ".join(words.text(f"service.{control_type}", each, {}) for each in LANGUAGES)
        parts += [f"## {control_type}", f"**{name}**", *_control(control_type)]
    parts += [
        "## Provinces",
        table(
            ("code", "中文", "English"), ((code(p.code), p.zh, p.en) for p in PROVINCES.values())
        ),
        "## Bounds",
        BOUNDS,
        table(("of", "name", "bound", "what it bounds"), _bounds()),
        "### Of the HTTP door",
        table(("name", "default", "what it bounds"), _door_settings()),
    ]
    return page("Settings 设置", *parts)


def _control(control_type: str) -> list[str]:
    body = BODIES[control_type]
    schema = body.model_json_schema()
    rows = list(rows_of(schema, schema.get("$defs", {})))
    fields = table(("field", "value", "meaning"), ((code(n), v, about) for n, v, about in rows))
    return [
        summary(body),
        fields if rows else "It has no fields: it is on where it is set. Its body is `{}`.",
        f"*What loosens:* {summary(LOOSENS[control_type])}",
        *_example(control_type),
    ]


def _example(control_type: str) -> list[str]:
    """The document of a control that can be made without naming anything, as the API shows it."""
    kind = next(
        kind
        for name, kind in vars(controls).items()
        if inspect.isclass(kind) and name.lower() == control_type.replace("_", "")
    )
    try:
        default = kind()
    except TypeError:
        return []
    document = document_of(cast("Control", default))
    return [f"Set with `{{}}` it becomes {code(json.dumps(document))}."] if document else []


def _bounds() -> list[tuple[str, str, str, str]]:
    rows = []
    for what, module in BOUNDED:
        for name, comment in comments_in(module).items():
            value = getattr(module, name, None)
            if isinstance(value, int) and not name.startswith("_") and _is_bound(name):
                rows.append((what, code(name), f"{value:,}", comment))
    return rows


def _is_bound(name: str) -> bool:
    return any(word in name.split("_") for word in ("MAX", "MIN"))


def _door_settings() -> list[tuple[str, str, str]]:
    comments = comments_in(house, "Settings")
    return [
        (code(name), f"{getattr(house.DEFAULT_SETTINGS, name):,}", comment)
        for name, comment in comments.items()
    ]
