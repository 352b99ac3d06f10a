"""What a magnetic track may tell us: does the card have a chip, and, if DE2 is absent, its number.

The track itself is dropped as soon as this has looked at it. A track that cannot be read tells
nothing; it is not an error, for worn stripes are sent as they were read.
"""

from __future__ import annotations

from typing import Final

from zhiwei.gateways.iso8583.message import all_digits

#: Track 2 equivalent data (DE35): number, separator, expiry YYMM, service code, the issuer's own.
TRACK_2: Final = 35
#: Track 1 (DE45): format code, number, `^`, name, `^`, expiry, service code, the issuer's own.
TRACK_1: Final = 45

#: First digits of a service code that mark a card with a chip (ISO/IEC 7813).
CHIP_SERVICE_CODES: Final = ("2", "6")


def read_track_2(track: str, *, wants_pan: bool) -> tuple[str, str]:
    """Card number, if wanted, and service code of track 2, each empty where it cannot be told."""
    separator = track.find("=")
    if separator < 0:
        # Packed into half bytes the separator is the digit D.
        separator = track.find("d")
    if separator < 0:
        separator = track.find("D")
    if separator < 0:
        return "", ""
    pan = _legible_pan(track[:separator]) if wants_pan else ""
    return pan, _legible_code(track[separator + 5 : separator + 8])


def read_track_1(track: str, *, wants_pan: bool) -> tuple[str, str]:
    """Card number, if wanted, and service code of track 1, each empty where it cannot be told."""
    first = track.find("^")
    second = track.find("^", first + 1)
    if first < 1 or second < 0:
        return "", ""
    pan = _legible_pan(track[1:first].replace(" ", "")) if wants_pan else ""
    return pan, _legible_code(track[second + 5 : second + 8])


def _legible_pan(pan: str) -> str:
    """The card number, if it has the shape of one."""
    return pan if 12 <= len(pan) <= 19 and all_digits(pan) else ""


def _legible_code(service_code: str) -> str:
    """The service code, if it has the shape of one."""
    return service_code if len(service_code) == 3 and all_digits(service_code) else ""
