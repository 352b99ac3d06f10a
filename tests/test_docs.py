"""The documents say what is so: pages are current, names are told, links and commands work."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from fastapi import FastAPI
from scripts.reference import cli, events, metrics
from scripts.reference.http import operations
from scripts.reference.openapi import bare_app
from scripts.reference.pages import FOLDER, PAGES
from scripts.reference.schema import rows_of
from starlette.routing import Route

from tests.house.tree import PACKAGE, ROOT, tracked_files
from zhiwei.core.controls import CONTROL_TYPES
from zhiwei.core.event import EventKind
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.result import Rejection
from zhiwei.gateways.http.control_bodies import BODIES
from zhiwei.gateways.http.problems import CATALOGUE
from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.policy_file import POLICY_SETTINGS, field_of

#: `[words](target)`, and the target of an image.
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
#: A file or a test that a page names: `tests/test_x.py` or `src/zhiwei/y.py`.
_PATH = re.compile(r"`((?:tests|src|docs|scripts)/[\w./-]*)(?:::(\w+))?`")
_INLINE = re.compile(r"`([^`\n]+)`")
#: What may stand before a command in an example.
_BEFORE = re.compile(r"^(?:\$ |sudo |\.venv/bin/|/opt/zhiwei/bin/|[A-Z_]+=\S+ )+")


def documents() -> list[Path]:
    """Every page that is written for people."""
    return [path for path in tracked_files() if path.suffix == ".md"]


def is_upheld(complaints: Iterator[str]) -> None:
    """Fail with all complaints at once, one on a line."""
    found = list(complaints)
    if found:
        pytest.fail("\n".join([f"{len(found)} to mend:", *found]), pytrace=False)


@cache
def text_of(path: Path) -> str:
    """The text of a page."""
    return path.read_text(encoding="utf-8")


def page_text(name: str) -> str:
    """The text of a page of the reference, as it would be made now."""
    return PAGES[name]()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_current(name: str) -> None:
    """What is committed is what the code says now; `make reference` writes it."""
    path = FOLDER / name
    assert path.is_file(), f"docs/reference/{name} is missing; run `make reference`"
    assert text_of(path) == page_text(name), f"docs/reference/{name} is old; run `make reference`"


def test_every_page_of_the_reference_is_made_from_the_code() -> None:
    """No page was left behind by a generator that is gone."""
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


def test_every_reason_is_in_the_reference() -> None:
    """With its number, its code and a response code for each network."""
    page = page_text("reasons.md")
    for reason in Reason:
        assert re.search(rf"^\| {int(reason)} \| `{reason.code}` \|", page, re.MULTILINE), reason


def test_every_setting_is_in_the_reference() -> None:
    """Every control with all its fields, and every setting of the policy with words."""
    page = page_text("settings.md")
    for control_type in CONTROL_TYPES:
        section = page.partition(f"\n## {control_type}\n")[2].partition("\n## ")[0]
        assert "What loosens" in section, control_type
        schema = BODIES[control_type].model_json_schema()
        for field, _, _ in rows_of(schema, schema.get("$defs", {})):
            assert f"| `{field}` |" in section, (control_type, field)
    rows = page_text("policy.md").splitlines()
    for setting in POLICY_SETTINGS:
        (row,) = [row for row in rows if row.startswith(f"| `{setting}` |")]
        assert row.split("|")[3].strip(), f"`{setting}` has no words; give its field a comment"


def test_everything_that_a_policy_decides_can_be_set() -> None:
    """No field of the policy is out of reach of the policy file."""
    fields = {field.name for field in dataclasses.fields(Policy)}
    assert {field_of(setting) for setting in POLICY_SETTINGS} == fields


def test_every_dialect_is_in_the_reference() -> None:
    """With a column of its own in the table of fields."""
    head = next(r for r in page_text("iso8583.md").splitlines() if r.startswith("| DE |"))
    assert [cell.strip() for cell in head.split("|")][4:-1] == list(dialects.names())


def test_every_route_is_in_the_reference() -> None:
    """Every route that the application has is in the contract, and on the page with a summary."""
    app = bare_app()
    page = page_text("http.md")
    told = set()
    for method, path, operation in operations(app.openapi()):
        assert f"### {method} {path}\n" in page
        assert operation.get("summary"), f"{method} {path} has no summary"
        told.add((method, path))
    hidden = {"/openapi.json", "/docs", "/docs/problems"}
    one_type = "/v1/cards/{card}/controls/{control_type}"
    # In the contract these two stand once for each type of control, with its own body.
    told |= {("PUT", one_type), ("POST", f"{one_type}:preview")}
    routes = {
        (method, route.path)
        for route in routes_of(app)
        for method in route.methods or ()
        if route.path not in hidden and method != "HEAD"
    }
    assert routes == told


def routes_of(app: FastAPI) -> Iterator[Route]:
    """Every route, whether the application or a router of it holds it."""
    for each in app.routes:
        router = getattr(each, "original_router", None)
        for route in [each] if router is None else router.routes:
            if isinstance(route, Route):
                yield route


def test_every_command_is_in_the_reference() -> None:
    """Every command has a help text and an example, and every option says what it does."""
    page = page_text("cli.md")
    for name, command in cli.commands():
        if not name:
            continue
        assert f"\n## zhiwei {name}\n" in page
        section = page.partition(f"\n## zhiwei {name}\n")[2].partition("\n## ")[0]
        assert "Example: `" in section, f"`zhiwei {name}` has no example"
        for parameter in command.params:
            assert getattr(parameter, "help", ""), f"`{parameter.name}` of `zhiwei {name}`: no help"


def test_every_event_is_in_the_reference() -> None:
    """With what it means, and with the facts that the code gives it."""
    rows = page_text("events.md").splitlines()
    facts = events.facts_by_kind()
    for kind in EventKind:
        (row,) = [row for row in rows if row.startswith(f"| {int(kind)} | `{kind.word}` |")]
        assert row.split("|")[3].strip(), f"`{kind.name}` has no words; give it a comment"
        assert all(f"`{fact}`" in row for fact in facts.get(kind.name, ())), row


def test_every_metric_is_in_the_reference() -> None:
    """Of the engine, of the ISO 8583 door and of the HTTP door."""
    page = page_text("metrics.md")
    names = [name for name, *_ in metrics.series()]
    assert any("http" in name for name in names)
    for name in names:
        assert f"| `{name}` |" in page


def test_every_problem_is_in_the_reference() -> None:
    """Every code of a problem document; every rejection has a problem of its own name."""
    page = page_text("errors.md")
    assert all(f"| `{name}` |" in page for name in CATALOGUE)
    assert {rejection.code for rejection in Rejection} - {"card_unreadable"} <= set(CATALOGUE)


def anchors_of(path: Path) -> set[str]:
    """The anchors of a page, as a forge makes them from headings."""
    found: dict[str, int] = {}
    for heading in _HEADING.findall(_FENCE.sub("", text_of(path))):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found[anchor] = found.get(anchor, 0) + 1
    return {f"{name}-{n}" if n else name for name, count in found.items() for n in range(count)}


def broken_links() -> Iterator[str]:
    """Relative links whose file or heading does not exist."""
    for path in documents():
        where = path.relative_to(ROOT)
        for target in _LINK.findall(_FENCE.sub("", text_of(path))):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            goal = (path.parent / file).resolve() if file else path
            if not goal.exists():
                yield f"{where}: `{target}` leads nowhere"
            elif anchor and goal.suffix == ".md" and anchor not in anchors_of(goal):
                yield f"{where}: `{target}` names a heading that is not there"


def test_every_link_leads_somewhere() -> None:
    """Files and headings that pages link to exist."""
    is_upheld(broken_links())


def missing_files() -> Iterator[str]:
    """Files and tests that pages name and that are not there."""
    for path in documents():
        for name, test in _PATH.findall(text_of(path)):
            goal = ROOT / name
            if not goal.exists():
                yield f"{path.relative_to(ROOT)}: there is no `{name}`"
            elif test and f"def {test}(" not in text_of(goal):
                yield f"{path.relative_to(ROOT)}: `{name}` has no `{test}`"


def test_every_file_that_a_page_names_is_there() -> None:
    """A page that names a test as its proof names one that exists."""
    is_upheld(missing_files())


def commands_in(path: Path) -> Iterator[str]:
    """Lines of examples, and commands within sentences."""
    text = re.sub(r"\\\n *", "", text_of(path))
    examples = re.findall(r"^(?: {4}|\t)(.+)$", text, re.MULTILINE)
    examples += [line for fence in _FENCE.findall(text) for line in fence.splitlines()[1:-1]]
    for example in (*examples, *_INLINE.findall(text)):
        for part in re.split(r"&&|;|\|", example):
            command = _BEFORE.sub("", part.strip())
            if re.match(r"(zhiwei|make) [a-z]", command):
                yield command


def unknown_commands() -> Iterator[str]:
    """Commands in pages that the program or the Makefile does not know."""
    known = {name: command for name, command in cli.commands() if name}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in documents():
        for command in commands_in(path):
            words = command.partition(" #")[0].split()
            place = f"{path.relative_to(ROOT)}: `{command[:60]}`"
            if words[0] == "make":
                if words[1] not in targets:
                    yield f"{place}: no such target"
                continue
            name = next((n for n in (" ".join(words[1:3]), words[1]) if n in known), "")
            if not name:
                if not any(each.startswith(f"{words[1]} ") for each in known):
                    yield f"{place}: no such command"
                continue
            options = {o for p in known[name].params for o in (*p.opts, *p.secondary_opts)}
            for word in words[2:]:
                option = word.partition("=")[0]
                if re.match(r"--[a-z]", word) and option not in options | {"--help"}:
                    yield f"{place}: no option `{option}`"


def test_every_command_in_the_documents_exists() -> None:
    """Targets of the Makefile, commands of the program and their options are real."""
    commands = [command for path in documents() for command in commands_in(path)]
    assert {"make demo", "make test"} <= set(commands)
    is_upheld(unknown_commands())


def test_every_room_is_in_the_readme() -> None:
    """The eight services and their pages are named on the front page."""
    readme = text_of(ROOT / "README.md")
    listed = set(re.findall(r"docs/services/(\w+)\.md", readme))
    rooms = {path.stem for path in (PACKAGE / "services").iterdir() if path.stem[0] != "_"}
    assert listed <= rooms
    assert len(listed) >= 8
