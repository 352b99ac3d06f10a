"""Logs: one event a line, JSON or for eyes, with everything that looks like a card number masked.

The doors never log a PAN; the masking here is the second fence, for texts that come from outside
(merchant names, exceptions of libraries).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

#: Runs of 12 to 19 digits, also with spaces or dashes between groups: what a card number can look
#: like.
_CARD_NUMBER: Final = re.compile(r"(?<!\d)\d(?:[ -]?\d){11,18}(?!\d)")


def masked(text: str) -> str:
    """The text with every possible card number shown as its last four digits."""
    return _CARD_NUMBER.sub(_tail_only, text)


def _tail_only(match: re.Match[str]) -> str:
    digits = [c for c in match.group() if c.isdigit()]
    return "*" * 8 + "".join(digits[-4:])


def _mask_values(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Mask every text of a log line, whatever its key."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = masked(value)
        elif not isinstance(value, int | float | bool | type(None)):
            event[key] = masked(str(value))
    return event


def set_up_logs(*, as_json: bool, level: str = "info") -> None:
    """Send logs to standard error; called once by the command line."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
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
