"""`events.md`: what somebody must be told, with the facts that come along."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from scripts.reference.markdown import code, codes, page, table
from scripts.reference.source import comments_in, source_files

from zhiwei.core import event
from zhiwei.core.event import NEVER_MUTED, EventKind

INTRODUCTION = """\
An event is written with the decision that caused it, in the same transaction (the outbox). It has
an id that never changes (`evt_…`), the card, the version of the card's journal entry, an instant,
a kind and facts. Events of one card are in order. They are read from `GET /v1/events`, and what
cardholders must be told from `GET /v1/alerts`. Whoever reads events must be ready to see one
twice, and must drop what it has seen by the id. No event ever holds a card number.

*Never muted* means that quiet hours must not hold it back. A fact whose name ends in `_ms` is an
instant (UTC milliseconds); an `amount` is in minor units."""


def events_page() -> str:
    """The page."""
    comments = comments_in(event, "EventKind")
    facts = facts_by_kind()
    rows = (
        (
            int(kind),
            code(kind.word),
            comments[kind.name],
            "yes" if kind in NEVER_MUTED else "",
            codes(sorted(facts.get(kind.name, ()))),
        )
        for kind in EventKind
    )
    return page(
        "Events 事件",
        INTRODUCTION,
        table(("number", "kind", "when", "never muted", "facts"), rows),
    )


def facts_by_kind() -> dict[str, set[str]]:
    """The names of the facts that the code gives each kind of event."""
    found: dict[str, set[str]] = {}
    for file in source_files():
        for function in ast.walk(file.tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            for kind, told in _events_made_in(function):
                found.setdefault(kind, set()).update(_keys(told, function))
    return found


def _events_made_in(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """Each `Event(EventKind.NAME, facts)` of a function: the name, and what the facts are."""
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "Event"
            and len(node.args) == 2
            and isinstance(node.args[0], ast.Attribute)
        ):
            yield node.args[0].attr, node.args[1]


def _keys(facts: ast.expr, function: ast.FunctionDef) -> Iterator[str]:
    """The keys of a dictionary: of a literal, or of a variable that the function fills."""
    if isinstance(facts, ast.Dict):
        for key, value in zip(facts.keys, facts.values, strict=True):
            if key is None:
                yield from _keys(value, function)
            elif isinstance(key, ast.Constant):
                yield str(key.value)
    elif isinstance(facts, ast.Name):
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    yield from _keys_assigned(target, node.value, facts.id, function)
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                yield from _keys_assigned(node.target, node.value, facts.id, function)


def _keys_assigned(
    target: ast.expr, value: ast.expr, name: str, function: ast.FunctionDef
) -> Iterator[str]:
    """The keys that one assignment gives the variable `name`."""
    if _is_name(target, name):
        yield from _keys(value, function)
    elif (
        isinstance(target, ast.Subscript)
        and _is_name(target.value, name)
        and isinstance(target.slice, ast.Constant)
    ):
        yield str(target.slice.value)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
