"""Logs: one event a line, JSON or for eyes, with everything that looks like a card number masked.

The doors never log a PAN; the masking here is the second fence, for texts that come from outside
(merchant names, exceptions of libraries).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from functools import partial
from typing import Any, Final

import structlog

#: Runs of 12 digits or more, also with spaces, dashes and the like between them: a card number, or
#: something longer that holds one, such as a whole message.
_MANY_DIGITS: Final = re.compile(r"\d(?:[ \-_/*]{0,3}\d){11,}")
_PAN_DIGITS_MAX: Final = 19
#: A whole number from here on may be a card number; instants in milliseconds are smaller.
_PAN_NUMBER_MIN: Final = 10**14
#: Ids that the house makes itself; they may begin with many digits, and people look for them.
_OWN_IDS: Final = frozenset(("request_id", "key"))


def masked(text: str) -> str:
    """The text with every possible card number shown as its last four digits.

    What is longer than a card number may hold one anywhere, and is hidden whole.
    """
    return _MANY_DIGITS.sub(_tail_only, text)


def _tail_only(match: re.Match[str]) -> str:
    digits = [c for c in match.group() if c.isdigit()]
    return "*" * 8 + "".join(digits[-4:] if len(digits) <= _PAN_DIGITS_MAX else [])


def _mask_values(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Mask every text of a log line, whatever its key, but for the ids of the house."""
    for key, value in event.items():
        if key in _OWN_IDS:
            continue
        is_harmless = isinstance(value, float | bool | type(None)) or (
            isinstance(value, int) and abs(value) < _PAN_NUMBER_MIN
        )
        if not is_harmless:
            event[key] = masked(str(value))
    return event


def _numbered(
    worker: int, _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Say which worker a line is from."""
    event.setdefault("worker", worker)
    return event


def set_up_logs(*, as_json: bool, level: str = "info", worker: int = 0) -> None:
    """Send logs to standard error; called once by each program.

    `worker` is the number on every line of a process that is one of several; 0 = none.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *([partial(_numbered, worker)] if worker else []),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask_values,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries that log by the standard library say nothing of their own below a warning.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s", force=True)
