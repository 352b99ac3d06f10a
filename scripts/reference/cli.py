"""`cli.md`: every command with its options, as its own help says them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import EnumType
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from scripts.reference.errors import exit_codes
from scripts.reference.markdown import code, codes, page, table

from zhiwei.cli.main import app

#: What a value of each type is called.
_TAKES = {str: "TEXT", int: "NUMBER", float: "NUMBER", Path: "PATH"}

INTRODUCTION = """\
`zhiwei` is the one command; `zhiwei COMMAND --help` says the same as this page. What a command
prints for people goes to standard output, logs and errors go to standard error; `--json`, where a
command has it, prints for machines."""


def cli_page() -> str:
    """The page."""
    parts = []
    for name, command in commands():
        if not name:
            continue
        parts += [f"## zhiwei {name}", _help(command), _usage(name, command), _parameters(command)]
    return page(
        "Command line 命令行",
        INTRODUCTION,
        "## Exit codes",
        table(("code", "meaning"), exit_codes()),
        *parts,
    )


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that can be run, by its words after `zhiwei`."""
    yield from _below("", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's own click
    children = getattr(command, "commands", {})
    if not children or getattr(command, "invoke_without_command", False):
        yield name, command
    for word, child in children.items():
        yield from _below(f"{name} {word}".strip(), child)


def _help(command: Any) -> str:  # noqa: ANN401 - as above
    """The help text; one paragraph may hold an example. A group's own command has a second one."""
    text = command.help or ""
    if hasattr(command, "commands"):
        text += f"\n\n{inspect.getdoc(command.callback) or ''}"
    paragraphs = text.split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _usage(name: str, command: Any) -> str:  # noqa: ANN401 - as above
    words = [name] if name else []
    words += ["[OPTIONS]"] if any(_is_option(p) for p in command.params) else []
    words += [_argument(p) for p in command.params if not _is_option(p)]
    return "    zhiwei " + " ".join(words)


def _argument(parameter: Any) -> str:  # noqa: ANN401 - as above
    word = str(parameter.metavar or parameter.name).upper()
    return word if parameter.required else f"[{word}]"


def _parameters(command: Any) -> str:  # noqa: ANN401 - as above
    rows = [
        (_names(each), _default(each), " ".join(str(getattr(each, "help", "") or "").split()))
        for each in command.params
        if not getattr(each, "hidden", False) and each.name != "help"
    ]
    return table(("option", "default", "what it does"), rows) if rows else ""


def _names(parameter: Any) -> str:  # noqa: ANN401 - as above
    if not _is_option(parameter):
        return code(_argument(parameter))
    words = [*parameter.opts, *parameter.secondary_opts]
    takes = "" if parameter.is_flag else f" {_value(parameter.type_descriptor.annotation)}"
    return codes(words[:-1]) + (", " if words[1:] else "") + code(words[-1] + takes)


def _value(annotation: Any) -> str:  # noqa: ANN401 - a type of any kind
    """What a value is called; an option that may be given several times has a list."""
    if isinstance(annotation, EnumType):
        return "WORD"
    return _TAKES[get_args(annotation)[0] if get_origin(annotation) is list else annotation]


def _default(parameter: Any) -> str:  # noqa: ANN401 - as above
    if parameter.required:
        return "required"
    value = parameter.default
    if value is None or value == "" or value is False or value == ():
        return ""
    return code(str(value).lower() if isinstance(value, bool) else value)


def _is_option(parameter: Any) -> bool:  # noqa: ANN401 - as above
    return str(parameter.param_type_name) == "option"
