"""The mix of the bench: what people do with cards, how often, and the message each of it makes.

All services are exercised: purchases by chip, contactless, stripe and online, quick pay, cash,
transfers, pre-authorizations and balance inquiries; at home, elsewhere in the country and abroad;
small and large.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from zhiwei.bench.cards import PROVINCES
from zhiwei.bench.message import Framing, encode

#: Bytes of every message after its length header and TPDU. One length for all lets a whole run of
#: messages be patched column by column; the private field 48 fills what a scene leaves.
BODY_BYTES: Final = 372
#: Countries abroad that traffic visits (ISO 3166-1 numbers), Hong Kong and Macao among them.
ABROAD: Final = ("344", "446", "764", "392", "702", "410", "840", "250")
#: Merchants in each place; a terminal belongs to a merchant.
MERCHANTS_A_PLACE: Final = 12
#: All places of the bench.
PLACES: Final = (len(PROVINCES) + len(ABROAD)) * MERCHANTS_A_PLACE


@dataclass(frozen=True)
class Scene:
    """One kind of thing that people do with a card."""

    name: str
    #: Messages of this kind in a thousand.
    weight: int
    mti: str
    #: DE3, transaction and accounts.
    processing: str
    #: DE18, the merchant's category.
    mcc: str
    #: DE22, how the card was read.
    entry: str
    #: DE25, under which condition.
    condition: str
    #: DE60.2.2, 60.2.3 and 60.3.6: what the terminal reads, why not the chip, and the medium.
    reading: str
    #: Median amount in minor units; 0 for an inquiry. Amounts spread log-normally around it.
    median_minor: int
    #: Amounts are multiples of this many minor units.
    step_minor: int = 1
    #: First four digits of DE32: the kind of institution that acquired it.
    institution: str = "0102"

    @property
    def has_chip_data(self) -> bool:
        """Whether the chip was read, so that DE55 is there."""
        return self.reading.endswith("2")

    @property
    def has_pin(self) -> bool:
        """Whether a PIN was entered, so that DE52 is there."""
        return self.mcc == "6011"


SCENES: Final[tuple[Scene, ...]] = (
    Scene("chip purchase", 360, "0200", "000000", "5411", "051", "00", "502", 6_800),
    Scene("contactless purchase", 190, "0200", "000000", "5812", "072", "00", "602", 3_200),
    Scene("stripe purchase", 10, "0200", "000000", "5311", "021", "00", "201", 60_000),
    Scene("large purchase", 20, "0200", "000000", "5732", "051", "00", "502", 900_000),
    Scene("online purchase", 130, "0200", "000000", "5999", "812", "59", "007", 12_000),
    Scene("quick pay", 90, "0200", "000000", "4900", "102", "08", "007", 5_000, institution="4821"),
    Scene("cash", 90, "0200", "010000", "6011", "051", "00", "502", 100_000, step_minor=10_000),
    Scene("transfer", 20, "0200", "460000", "6011", "051", "00", "502", 150_000, step_minor=100),
    Scene("balance inquiry", 60, "0200", "310000", "6011", "051", "00", "502", 0),
    Scene("pre-authorization", 30, "0100", "030000", "7011", "051", "06", "502", 80_000),
)

#: First two digits of DE3 of a balance inquiry; nothing of it is counted.
INQUIRY: Final = b"31"
#: What a card without a chip does instead of a purchase by chip.
BY_STRIPE: Final = {"chip purchase", "contactless purchase", "large purchase"}
STRIPE_PURCHASE: Final = next(scene for scene in SCENES if scene.name == "stripe purchase")

#: Out of a thousand messages: how many are repeats of an earlier one, and how many take one back.
REPEATS_PER_MILLE: Final = 10
REVERSALS_PER_MILLE: Final = 15
#: Out of a thousand: in another province than the card's own, and abroad.
ELSEWHERE_PER_MILLE: Final = 30
ABROAD_PER_MILLE: Final = 10

#: A plausible chip cryptogram (EMV tags 9F26 9F27 9F10 9F37 9F36 95 9A 9C 9F02 5F2A 82 9F1A 9F03).
_CHIP: Final = bytes.fromhex(
    "9F2608A1B2C3D4E5F607189F2701809F100807010103A0A002019F37049C1D2E3F9F3602004A950500800460009A03261123"
    "9C01009F02060000000012345F2A02015682027C009F1A0201569F0306000000000000"
)


@dataclass(frozen=True)
class Place:
    """Where a message comes from: a province or a country abroad, and one merchant there."""

    country: str
    #: Four digits as in institution and merchant numbers: a city's code, or 0 and the country's
    #: number.
    region: str
    merchant: int


def place_number(home: int, draw: float, merchant: int) -> int:
    """Choose where a card with this home acts; `draw` in [0, 1) decides home, elsewhere or abroad.

    Returns a number from 0 to `PLACES` - 1 that `place_of` turns into a place.
    """
    mille = draw * 1000
    if mille < ABROAD_PER_MILLE:
        home = len(PROVINCES) + merchant % len(ABROAD)
    elif mille < ABROAD_PER_MILLE + ELSEWHERE_PER_MILLE:
        home = (home + 1 + merchant) % len(PROVINCES)
    return home * MERCHANTS_A_PLACE + merchant


def place_of(number: int) -> Place:
    """Return the place of a number."""
    area, merchant = divmod(number, MERCHANTS_A_PLACE)
    if area < len(PROVINCES):
        return Place("156", PROVINCES[area][1], merchant)
    country = ABROAD[area - len(PROVINCES)]
    return Place(country, f"0{country}", merchant)


def amounts_of(scene: Scene, rng: random.Random) -> list[bytes]:
    """Return 256 amounts as DE4 writes them; the same for the same generator state."""
    if scene.median_minor == 0:
        return [b"0" * 12] * 256
    amounts = []
    for _ in range(256):
        minor = int(scene.median_minor * rng.lognormvariate(0, 0.8))
        minor = max(scene.step_minor, minor // scene.step_minor * scene.step_minor)
        amounts.append(b"%012d" % min(minor, 99_999_999))
    return amounts


def fields_of(scene: Scene, place: Place) -> dict[int, bytes]:
    """Write the scene's fields, with zeros where a run patches in card, amount and numbers."""
    merchant = place.merchant
    fields = {
        2: b"0" * 16,
        3: scene.processing.encode(),
        4: b"0" * 12,
        7: b"0" * 10,
        11: b"0" * 6,
        12: b"0" * 6,
        13: b"0" * 4,
        18: scene.mcc.encode(),
        19: place.country.encode(),
        22: scene.entry.encode(),
        25: scene.condition.encode(),
        32: f"{scene.institution}{place.region}".encode(),
        33: b"00010000",
        37: b"0" * 12,
        41: f"{place.region}{merchant:04d}".encode(),
        42: f"{scene.institution[1:]}{place.region}{scene.mcc}{merchant:04d}".encode(),
        43: f"MERCHANT {merchant:04d}".ljust(25).encode() + b"CITY".ljust(13) + b"CN",
        49: b"156",
        60: private_use(scene),
    }
    if scene.has_chip_data:
        fields[55] = _CHIP
    if scene.has_pin:
        fields[52] = bytes(8)
    return fields


def private_use(scene: Scene) -> bytes:
    """Write DE60 as UnionPay institutions do: reason, service point (60.2), transaction (60.3)."""
    capability, condition, medium = tuple(scene.reading)
    terminal = "01" if scene.mcc == "6011" else "03"
    point = f"0{capability}{condition}0{terminal}00000"
    return f"0000{point}{'0' * 8}{medium}".encode()


def write(mti: str, fields: dict[int, bytes], framing: Framing) -> tuple[bytes, dict[int, int]]:
    """Write a frame of the bench's one length; return it with its fields' offsets."""
    bare, _ = encode(mti, {**fields, 48: b""})
    room = BODY_BYTES - len(bare)
    if room < 0:
        raise ValueError(f"a scene of {len(bare)} bytes does not fit {BODY_BYTES}")
    body, offsets = encode(
        mti, {**fields, 48: b"AS" + b"0" * (room - 2) if room > 2 else b" " * room}
    )
    shift = framing.prefix_bytes
    return framing.frame(body), {number: at + shift for number, at in offsets.items()}
