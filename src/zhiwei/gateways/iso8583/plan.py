"""Plans: what to do for one bitmap, worked out once from the dialect's table and kept.

Between two variable fields the fixed ones have fixed distances, so they are one run: its length is
checked once and its digits in a few slices. This is why reading a message costs a few slices per
field.
"""

from __future__ import annotations

from typing import Final, final

from zhiwei.gateways.iso8583.dialect import Field, Form
from zhiwei.gateways.iso8583.message import Layout, bit, numbers_in
from zhiwei.gateways.iso8583.tables import Tables


@final
class Slot:
    """A fixed field inside a run. Units are half bytes where the value is packed, else bytes."""

    __slots__ = (
        "byte_start",
        "byte_stop",
        "field",
        "filler",
        "is_kept",
        "is_packed",
        "is_passed_over",
        "is_text",
        "number",
        "position",
        "start",
        "stop",
    )

    def __init__(self, field: Field, byte_start: int, position: int) -> None:
        self.field: Final = field
        self.number: Final[int] = field.number
        #: Where the value stands in a message; -1 = it is withheld.
        self.position: Final = position
        self.is_kept: Final[bool] = position >= 0
        self.is_passed_over: Final[bool] = position < 0 and field.form is Form.RAW
        self.is_packed: Final[bool] = field.form is Form.PACKED
        self.is_text: Final[bool] = field.form is Form.TEXT
        width = value_width(field)
        byte_width = (width + 1) // 2 if self.is_packed else width
        #: Bytes from the beginning of the run.
        self.byte_start: Final = byte_start
        self.byte_stop: Final[int] = byte_start + byte_width
        first = byte_start * 2 if self.is_packed else byte_start
        spare = 2 * byte_width - width if self.is_packed else 0
        #: Units from the beginning of the run, without the filler of an odd number of digits.
        self.start: Final[int] = first if field.is_left_aligned else first + spare
        self.stop: Final[int] = self.start + width
        #: Unit of that filler, -1 = none.
        self.filler: Final[int] = (
            -1 if spare == 0 else self.stop if field.is_left_aligned else self.start - 1
        )


@final
class Stretch:
    """Neighbouring units that must all be digits, counted from the beginning of their run."""

    __slots__ = ("start", "stop")

    def __init__(self, start: int, stop: int) -> None:
        self.start: Final = start
        self.stop: Final = stop


@final
class Run:
    """Neighbouring fixed fields."""

    __slots__ = (
        "fillers",
        "is_text",
        "kept",
        "packed_digits",
        "packed_size",
        "size",
        "slots",
        "text_digits",
    )

    def __init__(self, slots: list[Slot]) -> None:
        self.slots: Final = slots
        #: Bytes of all of them.
        self.size: Final[int] = slots[-1].byte_stop if slots else 0
        self.kept: Final = [slot for slot in slots if slot.is_kept]
        #: Nothing but characters has to be looked at, the usual case.
        self.is_text: Final[bool] = all(slot.is_text or slot.is_passed_over for slot in slots)
        self.text_digits: Final = _stretches(slots, Form.TEXT)
        self.packed_digits: Final = _stretches(slots, Form.PACKED)
        self.fillers: Final = [slot.filler for slot in slots if slot.filler >= 0]
        #: Bytes up to the last packed field, 0 = there is none.
        self.packed_size: Final[int] = max(
            [slot.byte_stop for slot in slots if slot.is_packed] or [0]
        )


@final
class Variable:
    """A variable field: its length leads it."""

    __slots__ = (
        "field",
        "is_binary",
        "is_kept",
        "is_left",
        "is_numeric",
        "is_packed",
        "max",
        "number",
        "position",
        "prefix_size",
    )

    def __init__(self, field: Field, position: int, prefix_size: int) -> None:
        self.field: Final = field
        self.number: Final[int] = field.number
        #: Bytes of the length.
        self.prefix_size: Final = prefix_size
        #: Where the value stands in a message; -1 = it is withheld.
        self.position: Final = position
        self.is_kept: Final[bool] = position >= 0
        self.is_numeric: Final[bool] = field.is_numeric
        self.is_binary: Final[bool] = field.is_binary
        self.is_packed: Final[bool] = field.form is Form.PACKED
        self.is_left: Final[bool] = field.is_left_aligned
        #: Greatest length, in what the length counts.
        self.max: Final[int] = value_width(field)


@final
class ReadingPlan:
    """How to read the messages of one bitmap: run, variable field, run, variable field ... run."""

    __slots__ = ("blanks", "has_pan", "layout", "runs", "variables", "withheld")

    def __init__(self, tables: Tables, bitmap: int) -> None:
        dialect = tables.dialect
        runs: list[Run] = []
        variables: list[Variable] = []
        slots: list[Slot] = []
        kept = 0
        count = 0
        for number in numbers_in(bitmap):
            field = dialect.fields[number]
            position = -1
            if number not in dialect.withheld:
                position = count
                count += 1
                kept |= bit(number)
            if field.length_digits:
                runs.append(Run(slots))
                prefix_size = tables.length_sizes[field.length_digits]
                variables.append(Variable(field, position, prefix_size))
                slots = []
            else:
                slots.append(Slot(field, slots[-1].byte_stop if slots else 0, position))
        runs.append(Run(slots))
        self.runs: Final = runs
        self.variables: Final = variables
        #: Fields that a message keeps, and bits of those that were there and are dropped.
        self.layout: Final = Layout(kept)
        self.withheld: Final[int] = bitmap & ~kept
        #: The values of a message before any is read.
        self.blanks: Final[list[str]] = [""] * count
        self.has_pan: Final[bool] = bitmap & bit(2) != 0


@final
class Atom:
    """One value to be written, or the length of one, or both."""

    __slots__ = (
        "field",
        "has_content",
        "has_length",
        "is_fixed",
        "is_numeric",
        "is_plain",
        "length_digits",
        "number",
        "position",
        "size",
    )

    def __init__(self, field: Field, position: int, *, has_length: bool, has_content: bool) -> None:
        self.field: Final = field
        self.number: Final[int] = field.number
        #: Where the value stands in a message.
        self.position: Final = position
        self.has_length: Final = has_length
        self.has_content: Final = has_content
        self.length_digits: Final[int] = field.length_digits
        self.is_fixed: Final[bool] = field.length_digits == 0
        self.is_numeric: Final[bool] = field.is_numeric
        #: Characters or digits that are written as they are.
        self.is_plain: Final[bool] = field.form is Form.TEXT or (
            field.form is Form.PACKED and field.is_numeric
        )
        #: Length, or greatest length, of the value as it is written.
        self.size: Final[int] = value_width(field)


@final
class Group:
    """Atoms next to each other that are joined in one stroke: characters, half bytes, or bytes."""

    __slots__ = ("atoms", "form", "is_packed", "is_text")

    def __init__(self, form: Form) -> None:
        self.form: Final = form
        self.is_text: Final[bool] = form is Form.TEXT
        self.is_packed: Final[bool] = form is Form.PACKED
        self.atoms: Final[list[Atom]] = []


@final
class WritingPlan:
    """How to write the messages of one bitmap."""

    __slots__ = ("bitmap", "groups")

    def __init__(self, tables: Tables, layout: Layout) -> None:
        #: The bitmap as it goes on the wire.
        self.bitmap: Final[bytes] = tables.bitmap_bytes(layout.bitmap)
        self.groups: Final[list[Group]] = []
        length_form = Form.PACKED if tables.length_packed else Form.TEXT
        for position, number in enumerate(layout.numbers):
            field = tables.dialect.fields[number]
            content_form = Form.TEXT if field.is_hex else field.form
            has_length = field.length_digits > 0
            if has_length and length_form is not content_form:
                atom = Atom(field, position, has_length=True, has_content=False)
                self._group(length_form).append(atom)
                has_length = False
            atom = Atom(field, position, has_length=has_length, has_content=True)
            self._group(content_form).append(atom)

    def _group(self, form: Form) -> list[Atom]:
        """The last group if it is of this form, else a new one."""
        if not self.groups or self.groups[-1].form is not form:
            self.groups.append(Group(form))
        return self.groups[-1].atoms


def _stretches(slots: list[Slot], form: Form) -> list[Stretch]:
    """Where the digits of a run stand, neighbours joined."""
    stretches: list[Stretch] = []
    for slot in slots:
        if not slot.field.is_numeric or slot.field.form is not form:
            continue
        start = slot.start
        if stretches and stretches[-1].stop == start:
            start = stretches.pop().start
        stretches.append(Stretch(start, slot.stop))
    return stretches


def value_width(field: Field) -> int:
    """Units of a value at its longest as it is written: characters, digits, or bytes."""
    if not field.is_hex:
        return field.size
    width = field.size * 2
    return min(width, 10**field.length_digits - 1) if field.length_digits else width
