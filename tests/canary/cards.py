"""Canaries: public test numbers, and the other secrets that travel with a card number.

Each is used in one place only, so that a leak names the door that it came through.
"""

from __future__ import annotations

from tests.canary.forms import Secret

#: A card that is registered, with a chip; used well and badly through every door.
REGISTERED = "6212345678901232"
#: Registered, 19 digits long.
LONG = "6205500000000000004"
#: Registered, 15 digits long: packed, it does not end with a byte.
ODD = "378282246310005"
#: Never registered.
UNKNOWN = "5200828282828210"
#: In messages that break off or are damaged.
BROKEN = "4012888888881881"
#: In every field that has room for it.
STUFFED = "6011000990139424"
#: In the address, its parameters, headers, and the text of bodies of HTTP calls.
IN_PATH = "5105105105105100"
IN_QUERY = "2223003122003222"
IN_HEADER = "4000056655665556"
IN_TEXT = "3566002020360505"
IN_NUMBER = "4242424242424242"
IN_BROKEN_BODY = "5555555555554444"
AS_NAME = "6011111111111117"
#: On the command line and in the files that it reads.
IN_FILE = "371449635398431"
IN_ARGUMENT = "5019717010103742"

PANS = {
    name.lower().replace("_", " "): value
    for name, value in dict(globals()).items()
    if name.isupper() and isinstance(value, str)
}

#: What the issuer wrote behind the service code of a track, and nobody else may read.
TRACK_SECRET = "7391846205317"
TRACK_1_NAME = "CANARY/QUENTIN"
#: A card verification value is three digits; what stands around it makes it findable.
VERIFICATION_VALUE = "CVN2-QX-983"
PIN_BLOCK = bytes.fromhex("9f31c7024bd86ae5")
CHIP_CRYPTOGRAM = bytes.fromhex("e81b5d0f77a2934c")

#: What must be nowhere, not even in an answer.
TRAVELLING = (
    Secret("what a track says", TRACK_SECRET),
    Secret("the name on a track", TRACK_1_NAME),
    Secret("a verification value", VERIFICATION_VALUE),
    Secret("a PIN block", raw=PIN_BLOCK),
    Secret("a cryptogram", raw=CHIP_CRYPTOGRAM),
)
NUMBERS = tuple(Secret(f"the number of `{name}`", pan) for name, pan in PANS.items())
EVERYTHING = (*NUMBERS, *TRAVELLING)


def track_2(pan: str) -> str:
    """Track 2: number, expiry, service code of a chip card, and the issuer's own."""
    return f"{pan}=2812201{TRACK_SECRET}"[:37]


def track_1(pan: str) -> str:
    """Track 1: the same with the name."""
    return f"B{pan}^{TRACK_1_NAME}^2812201{TRACK_SECRET}"


def track_3(pan: str) -> str:
    """Track 3: number and fillings."""
    return f"01{pan}=1561560500050000001{TRACK_SECRET}"


def chip_data(pan: str) -> bytes:
    """Chip data (DE55): number, track 2 equivalent data and a cryptogram, as tags."""
    number = bytes.fromhex(pan if len(pan) % 2 == 0 else pan + "f")
    track = f"{pan}d2812201{TRACK_SECRET}"
    track_bytes = bytes.fromhex(track if len(track) % 2 == 0 else track + "f")
    tags = ((b"\x5a", number), (b"\x57", track_bytes), (b"\x9f\x26", CHIP_CRYPTOGRAM))
    return b"".join(tag + bytes([len(value)]) + value for tag, value in tags)
