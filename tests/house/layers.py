"""Who may import whom. Imports go one way, and rooms never import each other."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from tests.house.tree import Module

EVERYTHING = frozenset({"*"})

#: What each part of the package may import of ours; a part may always import itself. The parts that
#: may import everything wire the house together or use it as a stranger would; none of those above
#: imports one of them.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "core": frozenset(),
    "services": frozenset({"core"}),
    "words": frozenset({"core"}),
    "ports": frozenset({"core"}),
    "guardian": frozenset({"core", "services", "ports"}),
    "lanes": frozenset({"core"}),
    "engine": frozenset({"core", "lanes", "ports"}),
    "stores": frozenset({"core", "ports", "messaging", "web", "collector"}),
    "keyring": frozenset({"core", "ports"}),
    "metrics": frozenset({"core", "ports", "engine", "tallies"}),
    "tallies": frozenset(),
    "zones": frozenset({"core"}),
    "vault": frozenset({"core"}),
    "policy_file": frozenset({"core"}),
    "clock": frozenset(),
    "collector": frozenset(),
    "logs": frozenset(),
    # Tries a control on a card's journal; both doors ask it, and neither holds the guardian itself.
    "preview": frozenset({"core", "ports", "guardian"}),
    "gateways": frozenset(
        {"core", "ports", "words", "vault", "messaging", "preview", "policy_file"}
    ),
    "messaging": frozenset({"core", "ports", "words"}),
    "messaging_metrics": frozenset({"core", "messaging"}),
    "process_link": frozenset({"core", "ports", "messaging", "stores"}),
    # The faces are a second client of what the HTTP door calls: documents, commands, the house.
    "web": frozenset(
        {"core", "ports", "words", "vault", "messaging", "gateways", "preview", "policy_file"}
    ),
    "http_thread": frozenset({"core", "gateways"}),
    "journal": frozenset(
        {"core", "ports", "guardian", "keyring", "policy_file", "stores", "zones"}
    ),
    "testing": EVERYTHING,
    "simulate": EVERYTHING,
    "trial": EVERYTHING,
    "bench": EVERYTHING,
    "demo": EVERYTHING,
    "assemble": EVERYTHING,
    "assemble_messages": EVERYTHING,
    "assemble_messaging": EVERYTHING,
    "assemble_store": EVERYTHING,
    "assemble_faces": EVERYTHING,
    "assemble_policy": EVERYTHING,
    "assemble_access": EVERYTHING,
    "messaging_process": EVERYTHING,
    "workers": EVERYTHING,
    "cli": EVERYTHING,
    "__main__": EVERYTHING,
}

#: What neighbours in these folders share, written once for all of them.
SHARED: dict[str, frozenset[str]] = {
    "services": frozenset(),
    "gateways": frozenset({"in_force", "outgoing", "policy_desk", "response_codes"}),
    "stores": frozenset({"coding", "files"}),
}

#: Parts that are functions of values: `tests/house/purity.py` holds them to it.
PURE_PARTS = frozenset({"core", "services", "guardian"})

#: The standard library that values and arithmetic need. No clock, no file, no socket, no chance.
PURE_STDLIB = frozenset(
    [
        "__future__",
        "abc",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "dataclasses",
        "datetime",
        "enum",
        "functools",
        "hashlib",
        "hmac",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "struct",
        "types",
        "typing",
        "unicodedata",
        "zlib",
    ]
)
FRAMEWORKS = frozenset({"fastapi", "pydantic", "starlette", "uvicorn"})
DRIVERS = frozenset({"aiosqlite", "psycopg", "sqlalchemy", "sqlite3"})
#: What a part must not import of others' work, for parts that are not pure altogether.
MUST_NOT_IMPORT: dict[str, frozenset[str]] = {
    "ports": FRAMEWORKS | DRIVERS | {"socket", "asyncio"},
    "engine": FRAMEWORKS | DRIVERS | {"socket"},
    "stores": FRAMEWORKS | {"socket"},
    "gateways": DRIVERS,
    "web": DRIVERS,
    "messaging": FRAMEWORKS | DRIVERS | {"socket"},
}


def may_import(part: str, target: str) -> bool:
    """The table's answer; nobody but the program's own start imports the command line."""
    if target in {"cli", "__main__"}:
        return part == "__main__"
    allowed = MAY_IMPORT[part]
    return allowed is EVERYTHING or target in allowed


def imported_names(module: Module) -> Iterator[tuple[ast.stmt, str]]:
    """Every name that the file imports, in full: `zhiwei.core.money`."""
    package = f"zhiwei.{module.name}".split(".")
    if not module.is_package:
        package = package[:-1]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parents = package[: len(package) - node.level + 1]
                origin = ".".join([*parents, *([origin] if origin else [])])
            for alias in node.names:
                yield node, f"{origin}.{alias.name}"


def imports_go_one_way(module: Module) -> Iterator[str]:
    """No import goes up the table, no gateway imports another, and every part is in the table."""
    part = module.name.partition(".")[0]
    if not part:
        return
    if part not in MAY_IMPORT:
        yield f"{module.path}:1: `{part}` has no place in the table MAY_IMPORT of {__name__}"
        return
    for node, name in imported_names(module):
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if package != "zhiwei" or target in {part, "__version__", ""}:
            continue
        if not may_import(part, target):
            yield f"{module.at(node)}: `{part}` may not import `{target}`"


def neighbours_keep_apart(module: Module) -> Iterator[str]:
    """A room imports no other room, a gateway no other gateway, a store no other store."""
    parts = module.name.split(".")
    for street, shared in SHARED.items():
        if parts[0] != street or len(parts) == 1:
            continue
        for node, name in imported_names(module):
            target = name.split(".")
            if target[:2] != ["zhiwei", street] or len(target) < 3:
                continue
            if target[2] not in shared | {parts[1]}:
                yield f"{module.at(node)}: `{parts[1]}` may not import its neighbour `{target[2]}`"


def foreign_imports_are_allowed(module: Module) -> Iterator[str]:
    """The pure part imports arithmetic only; the others keep out of each other's trade."""
    part = module.name.partition(".")[0]
    for node, name in imported_names(module):
        top = name.partition(".")[0]
        if top == "zhiwei":
            continue
        if part in PURE_PARTS and top not in PURE_STDLIB:
            kind = "the standard library's" if top in sys.stdlib_module_names else "the package"
            yield f"{module.at(node)}: the pure part may not import {kind} `{top}`"
        if top in MUST_NOT_IMPORT.get(part, frozenset()):
            yield f"{module.at(node)}: `{part}` may not import `{top}`"
