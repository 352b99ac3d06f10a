"""`errors.md`: everything that can be wrong, and what it is called at each door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module

from scripts.reference.markdown import code, page, table
from scripts.reference.source import comments_in, source_files

from zhiwei import engine
from zhiwei.core.result import Rejection
from zhiwei.gateways.http.problems import CATALOGUE, Problem, problem_of_rejection

INTRODUCTION = """\
A refusal is no error: it is an answer, with its [reasons](reasons.md). Errors are what stands
here. No error ever repeats what was sent in a way that could carry a card number."""

PROBLEMS = """\
Every answer of the HTTP door that is not a success is a problem document (RFC 9457,
`application/problem+json`) with `type`, `title`, `status`, `code`, `detail`, `request_id`, and
for faults in the body `errors`: a list of `pointer` (JSON pointer, RFC 6901), `code` and
`detail`. A *rejection* is a command that the card's file did not allow; nothing was written."""

VALUES = """\
With `not_allowed` (422), each of `errors` has one of these codes. A `…` stands for the name of
what is wrong."""

NOT_TAKEN = """\
A command that the engine could not carry out left nothing behind, but for `unknown`; the caller
may send it again, and under the same key it is never carried out twice."""

MESSAGES = """\
What the program says on standard error, and in its log, when it cannot do what it was asked. The
message is usually more precise than this list: it names the file, the value and the remedy."""

EXIT_CODES = "Of every command:"


def errors_page() -> str:
    """The page."""
    rejections = {rejection.code for rejection in Rejection}
    return page(
        "Errors 错误",
        INTRODUCTION,
        "## Problems of the HTTP door",
        PROBLEMS,
        table(
            ("status", "code", "rejection", "title", "what to do"),
            (
                (status, code(name), "yes" if name in rejections else "", title, _remedy(name))
                for name, (status, title) in CATALOGUE.items()
            ),
        ),
        "## Values that are not allowed",
        VALUES,
        table(("code", "where"), value_codes()),
        "## Commands that were not taken",
        NOT_TAKEN,
        table(("failure", "what it means"), _failures()),
        "ISO 8583 is answered `issuer_late` (91) or `system` (96), HTTP 503 `unavailable` or 500"
        " `internal_error`.",
        "## Messages that cannot be read",
        "See [the faults of ISO 8583](iso8583.md#faults).",
        "## Exit codes",
        EXIT_CODES,
        table(("code", "meaning"), exit_codes()),
        "## Messages of the program",
        MESSAGES,
        table(("error", "in", "message"), messages()),
    )


def _remedy(name: str) -> str:
    """What the door says one can do, where it says more than the title."""
    by_code = {rejection.code: rejection for rejection in Rejection}
    problem = problem_of_rejection(by_code[name]) if name in by_code else Problem(name)
    return "" if problem.detail == problem.title else str(problem.detail)


def value_codes() -> list[tuple[str, str]]:
    """The codes that `NotAllowedValueError` is raised with, and the files that do so."""
    found: dict[str, set[str]] = {}
    for file in source_files():
        for node in ast.walk(file.tree):
            is_error = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                "NotAllowedValueError"
            )
            if is_error and isinstance(node, ast.Call) and len(node.args) == 3:
                word = _text(node.args[1])
                if word:
                    found.setdefault(word, set()).add(file.path)
    return [(code(word), ", ".join(sorted(paths))) for word, paths in sorted(found.items())]


def _text(node: ast.expr) -> str:
    """A text as the source says it, with `…` for what is filled in; empty where it is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "…" for part in node.values)
    return ""


def _failures() -> Iterator[tuple[str, str]]:
    comments = comments_in(engine, "Failure")
    for failure in engine.Failure:
        yield code(failure.name.lower()), comments[failure.name]


def exit_codes() -> list[tuple[str, str]]:
    """The exit codes as the command line's own docstring lists them."""
    # The package has a function of the same name, which hides the module from `import`.
    command_line = import_module("zhiwei.cli.main")
    text = " ".join((command_line.__doc__ or "").partition("Exit codes:")[2].split())
    found = []
    for item in text.rstrip(".").split(" · "):
        number, _, meaning = item.partition(" ")
        assert number.isdigit(), f"`{item}` is no exit code"
        found.append((number, meaning))
    return found


def messages() -> list[tuple[str, str, str]]:
    """Every error class of ours: its docstring is its message."""
    found = []
    for file in source_files():
        if file.path.startswith(("bench/", "simulate/", "testing/")):
            continue
        for node in ast.walk(file.tree):
            if isinstance(node, ast.ClassDef) and _is_error(node):
                text = " ".join((ast.get_docstring(node) or "").split())
                found.append((code(node.name), file.path, text))
    return sorted(found)


def _is_error(node: ast.ClassDef) -> bool:
    return any(ast.unparse(each).endswith("Error") for each in node.bases)
