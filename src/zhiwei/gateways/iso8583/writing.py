"""Writing: a `Message` to its bytes, by a plan that is kept for each set of fields."""

from __future__ import annotations

from typing import Final, final

from zhiwei.gateways.iso8583.dialect import Form
from zhiwei.gateways.iso8583.faults import EncodeError, Fault
from zhiwei.gateways.iso8583.message import Message, all_digits
from zhiwei.gateways.iso8583.plan import Atom, Group, WritingPlan
from zhiwei.gateways.iso8583.tables import HEX_DIGITS, PLANS_MAX, Tables

_DIGITS: Final = frozenset("0123456789")


@final
class Writer:
    """Writes the messages of one dialect."""

    __slots__ = ("plans", "tables")

    def __init__(self, tables: Tables) -> None:
        self.tables: Final = tables
        #: Plans by bitmap, at most PLANS_MAX.
        self.plans: Final[dict[int, WritingPlan]] = {}

    def write(self, message: Message) -> bytes:
        """The message's bytes. Raises EncodeError for a value that its field cannot hold."""
        bitmap = message.layout.bitmap
        plan = self.plans.get(bitmap)
        if plan is None:
            plan = self._plan(message)
        parts = [self._mti(message.mti), plan.bitmap]
        for group in plan.groups:
            if group.is_text:
                parts.append(self._text(group, message))
            elif group.is_packed:
                parts.append(self._packed(group, message))
            else:
                parts.append(_raw(group, message))
        return b"".join(parts)

    def _plan(self, message: Message) -> WritingPlan:
        """A new plan, remembered; the oldest goes when there are too many."""
        for number in message.layout.numbers:
            if number not in self.tables.dialect.fields:
                raise EncodeError(Fault.UNKNOWN_FIELD, number)
        plan = WritingPlan(self.tables, message.layout)
        if len(self.plans) >= PLANS_MAX:
            del self.plans[next(iter(self.plans))]
        self.plans[message.layout.bitmap] = plan
        return plan

    def _mti(self, mti: str) -> bytes:
        """The message type on the wire."""
        if len(mti) != 4 or not _DIGITS.issuperset(mti):
            raise EncodeError(Fault.BAD_MTI, 0)
        return bytes.fromhex(mti) if self.tables.mti_packed else self._coded(mti)

    def _coded(self, text: str) -> bytes:
        """Characters in the dialect's own set."""
        coded = text.encode("latin-1")
        table = self.tables.from_latin
        return coded if table is None else coded.translate(table)

    def _text(self, group: Group, message: Message) -> bytes:
        """A group of characters, with or without lengths among them."""
        values = message.values
        length_texts = self.tables.length_texts
        strings: list[str] = []
        are_digits = True
        for atom in group.atoms:
            value = values[atom.position] if atom.is_plain else _value(atom, message)
            size = len(value)
            if atom.has_length:
                if size > atom.size:
                    raise EncodeError(Fault.TOO_LONG, atom.number)
                strings.append(length_texts[atom.length_digits][size])
            elif size != atom.size and atom.is_fixed:
                value = _padded(atom, value)
            if atom.has_content:
                strings.append(value)
                if atom.is_numeric and size > 0 and not value.isdigit():
                    are_digits = False
        joined = "".join(strings)
        # `isdigit` takes some other characters for digits too, but none of ASCII.
        if not are_digits or not joined.isascii():
            _check_group(group, message)
        return self._coded(joined)

    def _packed(self, group: Group, message: Message) -> bytes:
        """A group of packed digits, among them the lengths of fields of other forms."""
        values = message.values
        strings: list[str] = []
        for atom in group.atoms:
            value = values[atom.position] if atom.is_plain else _value(atom, message)
            size = len(value)
            if atom.has_length:
                if size > atom.size:
                    raise EncodeError(Fault.TOO_LONG, atom.number)
                strings.append(self.tables.length_texts[atom.length_digits][size])
            elif size != atom.size and atom.is_fixed:
                value = _padded(atom, value)
                size = atom.size
            if not atom.has_content or size == 0:
                continue
            if not (all_digits(value) if atom.is_numeric else HEX_DIGITS.issuperset(value)):
                raise EncodeError(Fault.NOT_DIGITS, atom.number)
            if size & 1:
                value = value + "0" if atom.field.is_left_aligned else "0" + value
            strings.append(value)
        return bytes.fromhex("".join(strings))


def _value(atom: Atom, message: Message) -> str:
    """A value as characters or half bytes, as long as the length that is written for it."""
    field = atom.field
    if not field.is_binary:
        value = message.values[atom.position]
        # Packed into half bytes the separator of a track is the digit D.
        return value.replace("=", "d") if field.form is Form.PACKED else value
    content = message.binary(atom.number)
    return content.hex().upper() if field.is_hex else content.decode("latin-1")


def _raw(group: Group, message: Message) -> bytes:
    """Binary fields as they are; the length of a variable one was written before."""
    content = b""
    for atom in group.atoms:
        value = message.binary(atom.number)
        if atom.is_fixed and len(value) != atom.size:
            raise EncodeError(Fault.WRONG_LENGTH, atom.number)
        content += value
    return content


def _padded(atom: Atom, value: str) -> str:
    """A fixed field filled up: numbers with zeros before them, texts with spaces after them."""
    if len(value) > atom.size:
        raise EncodeError(Fault.TOO_LONG, atom.number)
    if atom.field.is_binary and len(value) < atom.size:
        raise EncodeError(Fault.WRONG_LENGTH, atom.number)
    return value.rjust(atom.size, "0") if atom.is_numeric else value.ljust(atom.size)


def _check_group(group: Group, message: Message) -> None:
    """Raises for the first value of a group that is not of its field's characters."""
    for atom in group.atoms:
        value = message.values[atom.position]
        if atom.is_numeric and not _DIGITS.issuperset(value):
            raise EncodeError(Fault.NOT_DIGITS, atom.number)
        if value and max(value) > "\xff":
            raise EncodeError(Fault.NOT_TEXT, atom.number)
