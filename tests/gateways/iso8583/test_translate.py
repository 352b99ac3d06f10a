"""From a message to a command: what is wanted, of which amount, about which earlier message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateways.iso8583.house import VAULT
from tests.gateways.iso8583.messages import (
    DIALECTS,
    PANS,
    REQUEST_FIELDS,
    messages,
    purchase,
    reader_of,
)

from zhiwei.core.command import Command, Original
from zhiwei.core.identity import trace_key
from zhiwei.core.request import Kind, MessageClass, Request
from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.message import Layout, Message
from zhiwei.gateways.iso8583.translate import NAMES_MAX, NotTranslatableError, Translator
from zhiwei.gateways.response_codes import ANSWERS


def _translator(name: str = "unionpay-ascii") -> Translator:
    return Translator(dialects.named(name), VAULT.card_key, lambda: b"12345678")


def _command(mti: str = "0200", /, *, name: str | None = None, **changes: str | None) -> Command:
    return _translator(name or "unionpay-ascii").command(Message.of(mti, purchase(**changes)))


def _request(mti: str = "0200", /, *, name: str | None = None, **changes: str | None) -> Request:
    request = _command(mti, name=name, **changes).request
    assert request is not None
    return request


def _original(mti: str = "0200", /, *, name: str | None = None, **changes: str | None) -> Original:
    original = _command(mti, name=name, **changes).original
    assert original is not None
    return original


#: Type, DE3, DE25, dialect, kind and class.
KINDS = [
    ("0200", "000000", "00", "unionpay-ascii", Kind.PURCHASE, MessageClass.REQUEST),
    ("0201", "000000", "00", "unionpay-ascii", Kind.PURCHASE, MessageClass.REQUEST),
    ("0100", "000000", "00", "visa-base1", Kind.PURCHASE, MessageClass.REQUEST),
    ("0100", "000000", "06", "visa-base1", Kind.PREAUTHORIZATION, MessageClass.REQUEST),
    ("0200", "010000", "00", "unionpay-ascii", Kind.CASH_WITHDRAWAL, MessageClass.REQUEST),
    ("0100", "030000", "06", "unionpay-ascii", Kind.PREAUTHORIZATION, MessageClass.REQUEST),
    ("0100", "030000", "60", "unionpay-ascii", Kind.PREAUTHORIZATION, MessageClass.INCREMENT),
    ("0100", "030000", "60", "visa-base1", Kind.PREAUTHORIZATION, MessageClass.REQUEST),
    ("0200", "000000", "06", "unionpay-ascii", Kind.COMPLETION, MessageClass.REQUEST),
    ("0220", "000000", "06", "unionpay-ascii", Kind.COMPLETION, MessageClass.ADVICE),
    ("0200", "200000", "00", "unionpay-ascii", Kind.VOID, MessageClass.REQUEST),
    ("0100", "200000", "06", "unionpay-ascii", Kind.VOID, MessageClass.REQUEST),
    ("0200", "200000", "06", "unionpay-ascii", Kind.VOID, MessageClass.REQUEST),
    ("0100", "200000", "00", "visa-base1", Kind.REFUND, MessageClass.REQUEST),
    ("0220", "200000", "00", "unionpay-ascii", Kind.REFUND, MessageClass.ADVICE),
    ("0220", "000000", "00", "unionpay-ascii", Kind.PURCHASE, MessageClass.ADVICE),
    ("0120", "000000", "00", "visa-base1", Kind.PURCHASE, MessageClass.ADVICE),
    ("0121", "000000", "00", "visa-base1", Kind.PURCHASE, MessageClass.ADVICE),
    ("0200", "310000", "00", "unionpay-ascii", Kind.BALANCE_INQUIRY, MessageClass.REQUEST),
    ("0100", "300000", "00", "visa-base1", Kind.BALANCE_INQUIRY, MessageClass.REQUEST),
    ("0200", "400000", "00", "unionpay-ascii", Kind.TRANSFER_OUT, MessageClass.REQUEST),
    ("0200", "460000", "00", "unionpay-ascii", Kind.TRANSFER_OUT, MessageClass.REQUEST),
    ("0200", "470000", "00", "unionpay-ascii", Kind.TRANSFER_IN, MessageClass.REQUEST),
    ("0200", "210000", "00", "unionpay-ascii", Kind.DEPOSIT, MessageClass.REQUEST),
    ("0400", "000000", "00", "unionpay-ascii", Kind.PURCHASE, MessageClass.REVERSAL),
    ("0401", "000000", "00", "unionpay-ascii", Kind.PURCHASE, MessageClass.REVERSAL),
    ("0420", "010000", "00", "unionpay-ascii", Kind.CASH_WITHDRAWAL, MessageClass.REVERSAL),
    ("0421", "010000", "00", "unionpay-ascii", Kind.CASH_WITHDRAWAL, MessageClass.REVERSAL),
]


@pytest.mark.parametrize(("mti", "code", "condition", "name", "kind", "message_class"), KINDS)
def test_kind_and_class_follow_the_table(
    mti: str, code: str, condition: str, name: str, kind: Kind, message_class: MessageClass
) -> None:
    """Message type, processing code and condition code together say what is wanted."""
    request = _request(mti, name=name, de3=code, de25=condition)
    assert (request.kind, request.message_class) == (kind, message_class)


def test_the_card_is_known_by_its_key_alone() -> None:
    """No part of the command holds the card number."""
    command = _command()
    assert command.card_key == VAULT.card_key(PANS[0])
    request = command.request
    assert request is not None
    texts = [str(getattr(request, name)) for name in REQUEST_FIELDS]
    assert not [text for text in texts if PANS[0] in text]


@pytest.mark.parametrize(("number", "pan"), [(42, PANS[3]), (43, PANS[0]), (37, PANS[0][:12])])
def test_a_card_number_that_hides_in_a_text_is_masked(number: int, pan: str) -> None:
    """A merchant number or name that is the card number itself would be kept for years."""
    fields = purchase(de2=pan)
    fields[number] = pan
    request = _translator().request(Message.of("0200", fields))
    kept = (request.merchant_id, request.merchant_name, request.terminal, request.rrn)
    assert pan not in " ".join(kept)


def test_amounts_are_minor_units_of_their_currency() -> None:
    """DE4 has the currency's own exponent: 12345 are 123.45 CNY, 12345 JPY, 12.345 KWD."""
    for code, letters in (("156", "CNY"), ("392", "JPY"), ("414", "KWD"), ("USD", "USD")):
        request = _request(de49=code)
        assert (request.amount_minor, request.currency) == (12345, letters)


def test_a_billing_amount_needs_its_currency() -> None:
    """DE6 and DE51 go together; one alone tells nothing."""
    both = _request(de49="344", de6="000000011234", de51="156")
    assert (both.billing_amount_minor, both.billing_currency) == (11234, "CNY")
    for change in ({"de6": "000000011234"}, {"de51": "156"}):
        alone = _request(**change)
        assert (alone.billing_amount_minor, alone.billing_currency) == (-1, "")


MISSING: list[tuple[dict[str, str | None], str, int]] = [
    ({"de2": None}, "format_error", 2),
    ({"de2": "12345678901"}, "card_not_found", 2),
    ({"de3": None}, "format_error", 3),
    ({"de3": "990000"}, "format_error", 3),
    ({"de4": None}, "format_error", 4),
    ({"de11": None}, "format_error", 11),
    ({"de49": None}, "format_error", 49),
    ({"de49": "000"}, "format_error", 49),
    ({"de49": "AAA"}, "format_error", 49),
    ({"de51": "999"}, "format_error", 51),
]


@pytest.mark.parametrize(("change", "answer", "field"), MISSING)
def test_what_is_missing_or_does_not_exist_is_told(
    change: dict[str, str | None], answer: str, field: int
) -> None:
    """The error names the answer to give and the field, and nothing of the content."""
    with pytest.raises(NotTranslatableError) as caught:
        _command(**change)
    assert (caught.value.answer, caught.value.field) == (answer, field)
    assert PANS[0] not in str(caught.value)


def test_a_message_of_another_class_is_a_format_error() -> None:
    """File updates, reconciliation and the like are none of a guardian's business."""
    for mti in ("0302", "0500", "0620", "0140"):
        with pytest.raises(NotTranslatableError):
            _command(mti)


def test_an_inquiry_and_a_reversal_need_no_amount() -> None:
    """Nothing is asked for, or what is taken back is known."""
    nothing: dict[str, str | None] = {"de4": None, "de49": None}
    assert _request(de3="310000", **nothing).amount_minor == 0
    assert _request("0420", **nothing).amount_minor == 0


def test_the_original_of_a_reversal_is_the_message_that_de90_names() -> None:
    """Its trace key is the one that the original's own fields gave."""
    first = _command(de11="000777", de7="1122235959")
    data = "0200" + "000777" + "1122235959" + "00001024930" + "00000010000"
    named = _original("0420", de11="000778", de90=data)
    assert named.trace_key == first.trace_key
    assert named.terminal == "00000001"


def test_de90_that_does_not_say_who_acquired_means_the_same_acquirer() -> None:
    """Zeros for DE32 and DE33."""
    first = _command(de11="000777")
    data = "0200" + "000777" + "1123120000" + "0" * 22
    assert _original("0420", de11="000778", de90=data).trace_key == first.trace_key


def test_an_institution_in_de90_that_is_another_has_eight_digits() -> None:
    """UnionPay's institution numbers."""
    data = "0200" + "000777" + "1123120000" + "00001020000" + "00000010000"
    wanted = trace_key("1123120000", "000777", "01020000", "00010000", "", "")
    assert _original("0420", de90=data).trace_key == wanted


def test_a_reversal_without_de90_is_about_the_message_with_its_own_trace() -> None:
    """Hosts that repeat transmission time and trace number of the original."""
    assert _original("0400").trace_key == _command("0200").trace_key


def test_a_terminal_names_the_original_in_de61() -> None:
    """Batch, trace and date; a reversal repeats its own trace number too."""
    plain: dict[str, str | None] = {"de7": None, "de32": None, "de33": None, "de37": None}
    plain |= {"de12": None, "de13": None, "de43": None}
    name = "unionpay-terminal"
    first = _command(name=name, de11="000123", **plain)
    named = "0000010001231123"
    assert (
        _original("0400", name=name, de11="000123", de61=named, **plain).trace_key
        == first.trace_key
    )
    assert _original("0400", name=name, de11="000123", **plain).trace_key == first.trace_key
    void = {"de3": "200000", "de11": "000124", "de61": named, **plain}
    assert _original("0200", name=name, **void).trace_key == first.trace_key


def test_a_void_or_refund_that_names_nothing_has_no_original() -> None:
    """It is recorded as unmatched then."""
    assert _command(de3="200000").original is None
    assert _command("0220", de3="200000").original is None


def test_a_purchase_has_no_original() -> None:
    """Nor has an inquiry."""
    assert _command().original is None
    assert _command(de3="310000").original is None


def test_a_partial_reversal_tells_what_stands() -> None:
    """The first twelve digits of DE95; zeros mean that nothing stands."""
    assert _original("0420", de95="000000010000" + "0" * 30).replacement_minor == 10000
    assert _original("0420", de95="0" * 42).replacement_minor == -1
    assert _original("0420").replacement_minor == -1


def test_an_available_balance_is_read_from_de54() -> None:
    """Amount type 02, credit or debit; the ledger balance is another number."""
    ledger = "1001156C000000099999"
    assert _request(de54=ledger + "1002156C000000012345").balance_minor == 12345
    assert _request(de54="1002156D000000012345").balance_minor == -12345
    for nothing in (ledger, "1002156C0000", "1002156CXXXXXXXXXXXX", None):
        assert _request(de54=nothing).balance_minor is None


def test_an_advice_tells_whether_the_stand_in_declined() -> None:
    """DE39 of an advice; of a reversal it is the reason for it."""
    assert _request("0220", de39="05").was_declined
    assert not _request("0220", de39="00").was_declined
    assert not _request("0220").was_declined
    assert not _request("0420", de39="98").was_declined


def test_a_category_that_is_missing_is_read_from_the_merchant_number() -> None:
    """UnionPay's merchant numbers carry it; the numbers of others do not."""
    assert _request(de18=None).mcc == "5411"
    assert _request(name="visa-base1", de18=None).mcc == ""


def test_chinese_merchant_names_are_read() -> None:
    """GBK on the wire, characters for people; control characters are gone."""
    name = "洛阳牡丹店".encode("gb18030").decode("latin-1")
    assert _request(de43=name.ljust(25) + "\x00" * 15).merchant_name == "洛阳牡丹店"
    assert _request(de43="A\x00\x1b[31mB".ljust(40)).merchant_name == "A  [31mB"


@pytest.mark.parametrize("name", DIALECTS)
@given(data=st.data())
def test_any_message_is_translated_or_refused(name: str, data: st.DataObject) -> None:
    """Whatever can be read is a command, or an answer that the tables have."""
    message = data.draw(messages(name))
    codec = reader_of(name)
    raw = codec.encode(message)
    read = codec.decode(raw, 0, len(raw))
    types = ("0100", "0200", "0220", "0420", read.mti)
    translator = _translator(name)
    for mti in types:
        same = Message(mti, read.layout, read.values, read.binaries, read.withheld)
        try:
            command = translator.command(same)
        except NotTranslatableError as error:
            refusal = error
            assert refusal.answer in ANSWERS
        else:
            assert len(command.card_key) == 16
            assert command.request is not None
            assert command.request.amount_minor >= 0


def test_nothing_at_all_is_a_format_error() -> None:
    """A message without a single field."""
    with pytest.raises(NotTranslatableError):
        _translator().command(Message("0200", Layout(0), []))


def test_names_that_are_kept_ready_stay_bounded_and_hold_no_card_number() -> None:
    """However many merchants there are, and whatever they call themselves."""
    translator = _translator()
    for number in range(NAMES_MAX + 10):
        translator.request(Message.of("0200", purchase(de43=f"SHOP {number:06d}".ljust(40))))
    assert len(translator.names) == NAMES_MAX
    for pan in PANS:
        request = translator.request(Message.of("0200", purchase(de43=pan.ljust(40))))
        assert pan not in request.merchant_name
        assert not [name for name in translator.names if pan in name]
