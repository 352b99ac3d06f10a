"""The pure parts are functions of values: no clock, no chance, no world, no inexact number."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house.layers import PURE_PARTS
from tests.house.tree import Module

#: Calls that reach outside, or answer differently from one run to the next (`hash` of a text does).
BANNED_CALLS = frozenset(
    {"ZoneInfo", "breakpoint", "eval", "exec", "float", "hash", "id", "input", "open", "print"}
)
#: Methods that read the machine's clock, whatever they are called on.
CLOCK_METHODS = frozenset({"now", "today", "utcnow", "time_ns", "monotonic", "perf_counter"})
CLOCKS = frozenset({"date", "datetime", "time"})


def pure_part_stays_pure(module: Module) -> Iterator[str]:
    """In the pure part nothing waits, reads a clock, touches the world or counts in floats."""
    if module.name.partition(".")[0] not in PURE_PARTS:
        return
    for node in ast.walk(module.tree):
        found = impurity(node)
        if found:
            yield f"{module.at(node)}: {found} has no place in the pure part"


def impurity(node: ast.AST) -> str:
    """Name what is wrong with this node, empty if nothing is."""
    if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
        return "`async`"
    if isinstance(node, ast.Name) and node.id == "float":
        return "`float`"
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        return f"the float `{node.value}`"
    if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
        return "`/`, which makes a float,"
    if isinstance(node, ast.Call):
        return banned_call(node.func)
    return ""


def banned_call(function: ast.expr) -> str:
    """Name the call if the pure part may not make it."""
    if isinstance(function, ast.Name) and function.id in BANNED_CALLS - {"float"}:
        return f"`{function.id}(`"
    if isinstance(function, ast.Attribute) and function.attr in CLOCK_METHODS:
        owner = function.value
        name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
        if name in CLOCKS:
            return f"`{name}.{function.attr}(`"
    return ""
