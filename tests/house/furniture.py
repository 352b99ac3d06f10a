"""What rooms and reasons must bring along: pages, scenarios, words, numbers, wire codes."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = ("zh", "en")
#: `101 SAME_IDENTITY_OTHER_BODY`, or with `retired` behind it once nothing gives that reason.
LEDGER_LINE = re.compile(r"(?P<number>\d+) (?P<name>[A-Z][A-Z0-9_]*)(?P<retired> retired)?")


@dataclass(frozen=True)
class Room:
    """One service: a module or a folder directly below `services/`."""

    name: str
    docstring: str


def rooms(package: Path) -> list[Room]:
    """List the rooms of the package; none while the folder is not there."""
    found = []
    services = package / "services"
    for path in sorted(services.iterdir()) if services.is_dir() else []:
        file = path / "__init__.py" if path.is_dir() else path
        name = path.stem
        if name.startswith("_") or file.suffix != ".py":
            continue
        tree = ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else ast.Module([], [])
        found.append(Room(name, ast.get_docstring(tree) or ""))
    return found


def rooms_have_their_furniture(
    rooms: Iterable[Room], root: Path, words: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """A room has a docstring, a page, scenarios and its name in both languages."""
    for room in rooms:
        if len(room.docstring) < 40:
            yield f"`services/{room.name}` lacks a docstring that says what it promises"
        page = f"docs/services/{room.name}.md"
        if not (root / page).is_file():
            yield f"`services/{room.name}` lacks its page {page}"
        scenarios = root / "tests" / "services" / "scenarios"
        if not any(scenarios.glob(f"{room.name}*")):
            yield f"`services/{room.name}` lacks a file in tests/services/scenarios/"
        yield from missing_words(f"service.{room.name}", words)


def missing_words(key: str, words: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Complain about each language that has no sentence for `key`, once there are words at all."""
    for language in LANGUAGES if words else ():
        if not words.get(language, {}).get(key, "").strip():
            yield f"`{key}` has no words in {language}"


def enum_members(source: str, name: str) -> list[tuple[str, int]]:
    """Read an enum from its source, with doubles, which Python itself would hide."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return [
                (target.id, statement.value.value)
                for statement in node.body
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if isinstance(target, ast.Name)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, int)
            ]
    return []


def reasons_keep_their_numbers(reasons: Iterable[tuple[str, int]], ledger: str) -> Iterator[str]:
    """A number means one reason for ever: old journals are read with it."""
    known: dict[int, str] = {}
    for line in ledger.splitlines():
        if not line or line.startswith("#"):
            continue
        match = LEDGER_LINE.fullmatch(line)
        if match is None:
            yield f"the ledger line `{line}` is not `NUMBER NAME` or `NUMBER NAME retired`"
            continue
        number = int(match["number"])
        if number in known:
            yield f"the ledger gives {number} twice"
        known[number] = match["name"] + (match["retired"] or "")
    seen: dict[int, str] = {}
    for name, number in reasons:
        if number in seen:
            yield f"{number} is both `{seen[number]}` and `{name}`"
        seen[number] = name
        if number not in known:
            yield f"`{number} {name}` is not in the ledger; add the line"
        elif known[number] != name:
            yield f"{number} was `{known[number]}` and is `{name}` now; take a new number"
    for number, name in known.items():
        if number not in seen and not name.endswith(" retired"):
            yield f"`{name}` ({number}) is gone; say `retired` behind it in the ledger"


def reasons_have_words(
    reasons: Iterable[tuple[str, int]], words: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Every reason can be told to a cardholder, in both languages."""
    for name, _ in reasons:
        yield from missing_words(f"reason.{name.lower()}", words)


def reasons_have_a_wire_code(reasons: Iterable[tuple[str, int]], codes: str) -> Iterator[str]:
    """Each network's own table of response codes names every reason: none falls to a default."""
    for network, table in tomllib.loads(codes).items():
        for name, _ in reasons:
            if "like" not in table and name.lower() not in table.get("reasons", {}):
                yield f"`{name.lower()}` has no response code for {network}"


def words_of(package: Path) -> dict[str, dict[str, str]]:
    """Read each language's sentences by key, from the gettext catalogues."""
    from babel.messages.pofile import read_po

    words: dict[str, dict[str, str]] = {}
    for path in sorted((package / "words").rglob("LC_MESSAGES/*.po")):
        language = path.parents[1].name
        with path.open("rb") as file:
            catalogue = read_po(file)
        sentences = {str(message.id): str(message.string) for message in catalogue if message.id}
        words.setdefault(language, {}).update(sentences)
    return words
