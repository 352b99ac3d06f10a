"""Reading: the bytes of one message to a `Message`, by a plan that is kept for each bitmap.

Everything is checked before it is kept: lengths, digits, fillers, leftovers. Secrets (tracks, PIN
block, chip data and whatever else the dialect names) are walked over and dropped; of a track only
the service code stays, and the card number where DE2 is absent. Any bytes give a Message or a
DecodeError.
"""

from __future__ import annotations

from typing import Final, final

from zhiwei.gateways.iso8583.faults import DecodeError, Fault
from zhiwei.gateways.iso8583.message import Layout, Message, all_digits, bit, numbers_in
from zhiwei.gateways.iso8583.plan import ReadingPlan, Run, Slot, Variable
from zhiwei.gateways.iso8583.tables import HEX_DIGITS, PLANS_MAX, Tables
from zhiwei.gateways.iso8583.track import TRACK_1, TRACK_2, read_track_1, read_track_2

_FILLERS: Final = "0f"


@final
class Reader:
    """Reads the messages of one dialect."""

    __slots__ = ("mtis", "plans", "tables")

    def __init__(self, tables: Tables) -> None:
        self.tables: Final = tables
        #: Plans by the bytes of their bitmap, at most PLANS_MAX.
        self.plans: Final[dict[bytes, ReadingPlan]] = {}
        #: Message types by their bytes.
        self.mtis: Final[dict[bytes, str]] = {}

    def read(self, raw: bytes) -> Message:
        """The message that these bytes are. Raises DecodeError, which tells what was legible."""
        tables = self.tables
        at = tables.mti_size
        head = raw[:at]
        mti = self.mtis.get(head)
        if mti is None:
            mti = self._mti(head)
        size = tables.bitmap_size
        if len(raw) > at and tables.is_long[raw[at]]:
            size += size
        body_at = at + size
        key = raw[at:body_at]
        plan = self.plans.get(key)
        if plan is not None:
            return _Reading(tables, plan, mti, raw[body_at:], body_at).message()
        plan = self._plan(mti, key, size)
        message = _Reading(tables, plan, mti, raw[body_at:], body_at).message()
        # Only bitmaps of sound messages are remembered; the oldest goes when there are too many.
        if len(self.plans) >= PLANS_MAX:
            del self.plans[next(iter(self.plans))]
        self.plans[key] = plan
        return message

    def _mti(self, head: bytes) -> str:
        """A message type that was not seen before; there are at most a thousand of a version."""
        tables = self.tables
        mti = head.hex() if tables.mti_packed else _latin(tables, head).decode("latin-1")
        if len(mti) < 4:
            raise self._head_error(Fault.TRUNCATED, 0, 0, "")
        if not all_digits(mti):
            raise self._head_error(Fault.BAD_MTI, 0, 0, "")
        if mti[0] != tables.version:
            raise self._head_error(Fault.OTHER_VERSION, 0, 0, mti)
        self.mtis[head] = mti
        return mti

    def _plan(self, mti: str, key: bytes, size: int) -> ReadingPlan:
        """A new plan for the bytes of a bitmap, of which there should be `size`."""
        tables = self.tables
        at = tables.mti_size
        if len(key) < size:
            raise self._head_error(Fault.TRUNCATED, 1, at, mti)
        digits = _latin(tables, key).decode("latin-1") if tables.is_hex else key.hex()
        if not HEX_DIGITS.issuperset(digits):
            raise self._head_error(Fault.BAD_BITMAP, 1, at, mti)
        bitmap = int(digits, 16)
        if len(digits) == 16:
            bitmap <<= 64
        bitmap &= ~bit(1)
        if bitmap & bit(65):
            raise self._head_error(Fault.TERTIARY_BITMAP, 65, at, mti)
        for number in numbers_in(bitmap):
            if number not in tables.dialect.fields:
                raise self._head_error(Fault.UNKNOWN_FIELD, number, at, mti)
        return ReadingPlan(tables, bitmap)

    def _head_error(self, fault: Fault, field: int, position: int, mti: str) -> DecodeError:
        """A fault before the first field."""
        partial = Message(mti, Layout(0), [], hex_form=self.tables.is_hex)
        return DecodeError(fault, field, position, partial)


def _latin(tables: Tables, raw: bytes) -> bytes:
    """Characters of the dialect as Latin-1."""
    return raw if tables.to_latin is None else raw.translate(tables.to_latin)


@final
class _Reading:
    """One message while it is read. Positions are bytes from the end of the bitmap."""

    __slots__ = (
        "binaries",
        "body_at",
        "latin",
        "mti",
        "plan",
        "raw",
        "tables",
        "text",
        "track_1",
        "track_2",
        "values",
    )

    def __init__(
        self, tables: Tables, plan: ReadingPlan, mti: str, raw: bytes, body_at: int
    ) -> None:
        self.tables: Final = tables
        self.plan: Final = plan
        self.mti: Final = mti
        #: All fields three times: as bytes, as Latin-1 bytes (to check), as characters (to cut).
        self.raw: Final = raw
        self.latin: Final[bytes] = _latin(tables, raw)
        self.text: Final[str] = self.latin.decode("latin-1")
        self.body_at: Final = body_at
        self.values: Final[list[str]] = plan.blanks.copy()
        self.binaries: dict[int, bytes] | None = None
        self.track_1 = ""
        self.track_2 = ""

    def message(self) -> Message:
        """Every field of the plan."""
        plan = self.plan
        runs = plan.runs
        index = 0
        position = 0
        for variable in plan.variables:
            run = runs[index]
            index += 1
            if run.size > 0:
                self._read_run(run, position)
                position += run.size
            position = self._read_variable(variable, position)
        run = runs[index]
        if run.size > 0:
            self._read_run(run, position)
            position += run.size
        if position != len(self.raw):
            raise self._error(Fault.TRAILING_BYTES, 0, position)
        pan = ""
        service_code = ""
        if self.track_2:
            pan, service_code = read_track_2(self.track_2, wants_pan=not plan.has_pan)
        elif self.track_1:
            pan, service_code = read_track_1(self.track_1, wants_pan=not plan.has_pan)
        return Message(
            self.mti,
            plan.layout,
            self.values,
            self.binaries,
            plan.withheld,
            service_code,
            pan,
            self.tables.is_hex,
        )

    def _read_run(self, run: Run, position: int) -> None:
        """Neighbouring fixed fields, the first of which begins at `position`."""
        if position + run.size > len(self.raw):
            raise self._run_error(run, position)
        latin = self.latin
        for digits in run.text_digits:
            if not latin[position + digits.start : position + digits.stop].isdigit():
                raise self._run_error(run, position)
        if not run.is_text:
            self._read_mixed_run(run, position)
            return
        text = self.text
        values = self.values
        for slot in run.kept:
            values[slot.position] = text[position + slot.start : position + slot.stop]

    def _read_mixed_run(self, run: Run, position: int) -> None:
        """A run with packed or binary fields in it; its length and its text digits are right."""
        packed = self.raw[position : position + run.packed_size].hex()
        for digits in run.packed_digits:
            if not packed[digits.start : digits.stop].isdigit():
                raise self._run_error(run, position)
        for filler in run.fillers:
            if packed[filler] not in _FILLERS:
                raise self._run_error(run, position)
        text = self.text
        values = self.values
        for slot in run.slots:
            if slot.field.is_binary:
                self._read_bytes(slot, position)
            elif slot.is_packed and slot.is_kept:
                values[slot.position] = packed[slot.start : slot.stop]
            elif slot.is_kept:
                values[slot.position] = text[position + slot.start : position + slot.stop]

    def _read_bytes(self, slot: Slot, position: int) -> None:
        """A fixed binary field of a run."""
        value = self._bytes(slot.field.is_hex, position + slot.start, position + slot.stop)
        if value is None:
            raise self._error(Fault.NOT_HEXADECIMAL, slot.number, position + slot.start)
        if slot.is_kept:
            self._keep_bytes(slot.number, value)

    def _bytes(self, is_hex: bool, start: int, stop: int) -> bytes | None:
        """A binary value, None where it should be hexadecimal and is not."""
        if not is_hex:
            return self.raw[start:stop]
        digits = self.text[start:stop]
        # Hexadecimal of an odd number of digits is no whole number of bytes.
        if len(digits) & 1 or not HEX_DIGITS.issuperset(digits):
            return None
        return bytes.fromhex(digits)

    def _keep_bytes(self, number: int, value: bytes) -> None:
        """Most messages have no binary field that is kept, so its place is made when needed."""
        binaries = self.binaries
        if binaries is None:
            binaries = {}
            self.binaries = binaries
        binaries[number] = value

    def _read_variable(self, variable: Variable, position: int) -> int:
        """A variable field, whose length begins at `position`. Returns where it ends."""
        start = position + variable.prefix_size
        length = self._length(position, start)
        if length < 0 or length > variable.max:
            raise self._length_error(variable, position, length)
        stop = start + ((length + 1) >> 1 if variable.is_packed else length)
        if stop > len(self.raw):
            raise self._error(Fault.TRUNCATED, variable.number, len(self.raw))
        if variable.is_binary:
            self._read_variable_bytes(variable, start, stop)
            return stop
        if variable.is_packed:
            text = self._packed_value(variable, start, stop, length)
        else:
            text = self.text[start:stop]
        if variable.is_numeric and length > 0 and not all_digits(text):
            raise self._error(Fault.NOT_DIGITS, variable.number, start)
        if variable.is_kept:
            self.values[variable.position] = text
        elif variable.number == TRACK_2:
            self.track_2 = text
        elif variable.number == TRACK_1:
            self.track_1 = text
        return stop

    def _length(self, position: int, start: int) -> int:
        """The length between these two; -1 = no number, -2 = the message ends inside it."""
        raw = self.raw
        if start > len(raw):
            return -2
        worth = self.tables.length_digits
        base = self.tables.length_base
        length = 0
        while position < start:
            digit = worth[raw[position]]
            if digit < 0:
                return -1
            length = length * base + digit
            position += 1
        return length

    def _length_error(self, variable: Variable, position: int, length: int) -> DecodeError:
        """What is wrong with the length of a variable field."""
        if length == -2:
            return self._error(Fault.TRUNCATED, variable.number, len(self.raw))
        fault = Fault.BAD_LENGTH if length < 0 else Fault.TOO_LONG
        return self._error(fault, variable.number, position)

    def _read_variable_bytes(self, variable: Variable, start: int, stop: int) -> None:
        """The value of a variable binary field."""
        value = self._bytes(variable.field.is_hex, start, stop)
        if value is None:
            raise self._error(Fault.NOT_HEXADECIMAL, variable.number, start)
        if variable.is_kept:
            self._keep_bytes(variable.number, value)

    def _packed_value(self, variable: Variable, start: int, stop: int, length: int) -> str:
        """Digits in half bytes, without the filler of an odd number of them."""
        digits = self.raw[start:stop].hex()
        if not length & 1:
            return digits
        filler = digits[length] if variable.is_left else digits[0]
        if filler not in _FILLERS:
            raise self._error(Fault.BAD_PADDING, variable.number, start)
        return digits[:length] if variable.is_left else digits[1:]

    def _run_error(self, run: Run, position: int) -> DecodeError:
        """The first fault of a run that has one. Keeps the fields before it for the answer."""
        packed = self.raw[position : position + run.packed_size].hex()
        for slot in run.slots:
            at = position + slot.byte_start
            if position + slot.byte_stop > len(self.raw):
                return self._error(Fault.TRUNCATED, slot.number, len(self.raw))
            if slot.field.is_binary:
                self._read_bytes(slot, position)
                continue
            if slot.is_packed:
                value = packed[slot.start : slot.stop]
                if slot.filler >= 0 and packed[slot.filler] not in _FILLERS:
                    return self._error(Fault.BAD_PADDING, slot.number, at)
            else:
                value = self.text[position + slot.start : position + slot.stop]
            if slot.field.is_numeric and not all_digits(value):
                return self._error(Fault.NOT_DIGITS, slot.number, at)
            if slot.is_kept:
                self.values[slot.position] = value
        raise AssertionError("a run was found faulty and has no fault")

    def _error(self, fault: Fault, field: int, position: int) -> DecodeError:
        """A fault at a field (0 = after the last), with what was read before it."""
        before = self.plan.layout.bitmap
        if field > 0:
            before = before >> (129 - field) << (129 - field)
        partial = Message(
            self.mti,
            Layout(before),
            self.values,
            self.binaries,
            self.plan.withheld,
            hex_form=self.tables.is_hex,
        )
        return DecodeError(fault, field, self.body_at + position, partial)
