"""Errors: every one says something, also where a class has lost its docstring."""

from __future__ import annotations

from zhiwei.core.errors import NotAllowedValueError, ZhiweiError


class DoorShutError(ZhiweiError):
    """the door is shut"""


def test_the_docstring_is_the_message() -> None:
    """An error that is raised without words has its class's."""
    assert str(DoorShutError()) == "the door is shut"
    assert str(DoorShutError("the back door is shut")) == "the back door is shut"


def test_a_class_without_a_docstring_speaks_by_its_name() -> None:
    """Compiled classes have lost their docstrings; their names are still words."""
    nameless = type("UnknownCurrencyError", (ZhiweiError,), {"__doc__": None})
    assert str(nameless()) == "unknown currency"


def test_a_value_that_is_not_allowed_names_its_place() -> None:
    """The pointer and the code are for machines, the message for people."""
    error = NotAllowedValueError("/regions/3", "too_many_places", "at most 3 places")
    assert (error.pointer, error.code, str(error)) == (
        "/regions/3",
        "too_many_places",
        "at most 3 places",
    )
