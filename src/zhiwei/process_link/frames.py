"""Frames: length, then MessagePack; and errors that keep their name on the other side."""

from __future__ import annotations

from typing import Any, Final

import structlog

from zhiwei.core.errors import ZhiweiError
from zhiwei.messaging.faults import fault
from zhiwei.ports import CorruptFileError, StoreUnavailableError
from zhiwei.stores.coding.frame import pack

_log: Final = structlog.get_logger()

LENGTH_BYTES: Final = 4
#: Neither side ever has so much to say; a longer frame is a fault.
FRAME_MAX: Final = 64 * 1024 * 1024

#: Errors that whoever calls is promised (their `Raises`), by the name they travel under.
_PROMISED: Final[dict[str, type[ZhiweiError]]] = {
    error.__name__: error for error in (StoreUnavailableError, CorruptFileError)
}


class OtherProcessError(ZhiweiError):
    """the other process could not do it; its log says why"""


def framed(value: object) -> bytes:
    """A value as it goes over the line."""
    body = pack(value)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def told(error: Exception, name: str) -> list[Any]:
    """The answer to call or question `name` that raised: the error's name, and its text if ours.

    A bug is logged here, since its text stays on this side.
    """
    if isinstance(error, ZhiweiError):
        return [type(error).__name__, str(error)]
    _log.error("call_failed", call=name, **fault(error))
    return [type(error).__name__, ""]


def error_of(name: str, text: str) -> ZhiweiError:
    """The error as it is raised on this side."""
    kind = _PROMISED.get(name)
    if kind is not None:
        return kind(text)
    return OtherProcessError(text) if text else OtherProcessError()


def answered(answer: list[Any]) -> Any:  # noqa: ANN401 - whatever the call gives
    """The value of an answer `[value]`.

    Raises:
        ZhiweiError: the answer is an error, `[name, text]`.
    """
    if len(answer) == 1:
        return answer[0]
    raise error_of(answer[0], answer[1])
