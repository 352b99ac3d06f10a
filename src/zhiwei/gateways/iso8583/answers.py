"""Answers: what goes back for a message: its own fields as they were sent, and a response code.

What was decided comes from the engine; which two characters say so comes from the tables of
`response_codes`. A repeat gets the same bytes, since nothing here depends on when it is asked: the
tables follow from the version of the policy that the decision was made under.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias, final

from zhiwei.core.finding import Outcome
from zhiwei.core.result import Rejection, Result
from zhiwei.gateways.iso8583.dialect import Dialect
from zhiwei.gateways.iso8583.message import Layout, Message, all_digits, bit
from zhiwei.gateways.iso8583.tables import PLANS_MAX
from zhiwei.gateways.response_codes import ResponseCodes

#: A result, or the number of a reason why there is none.
Answer: TypeAlias = "Result | int"

_AUTH_CODE: Final = 38
_RESPONSE_CODE: Final = 39
#: Said instead of a code with letters where DE39 is digits only: restricted card.
_WITHOUT_LETTERS: Final = "62"

#: Answers to commands that could not be carried out; every other rejection is the house's fault.
_ANSWER_OF_REJECTION: Final[dict[Rejection, str]] = {
    Rejection.CARD_NOT_FOUND: "card_not_found",
    Rejection.ORIGINAL_NOT_FOUND: "original_not_found",
}


def expects_answer(mti: str) -> bool:
    """The type is of a request or an advice, not of an answer or a notification."""
    return mti[2:3] in ("0", "2")


def answer_type(mti: str) -> str:
    """Type of the answer: 0200 and its repeat 0201 are answered by 0210, 0421 by 0430."""
    function = "1" if mti[2] == "0" else "3"
    origin = int(mti[3])
    return f"{mti[:2]}{function}{origin - origin % 2}"


@final
class _Echo:
    """For one set of fields: which of them come back, and where they stand."""

    __slots__ = ("auth_code_at", "layout", "response_code_at", "sources")

    def __init__(self, dialect: Dialect, request: Layout, *, has_auth_code: bool) -> None:
        bitmap = 0
        for number in dialect.meaning.echo:
            field = dialect.fields.get(number)
            if field is not None and not field.is_binary:
                bitmap |= bit(number)
        bitmap &= request.bitmap & ~bit(_AUTH_CODE)
        if has_auth_code:
            bitmap |= bit(_AUTH_CODE)
        self.layout: Final = Layout(bitmap | bit(_RESPONSE_CODE))
        #: For each field of the answer its place in the request; 0 for the two that are new.
        self.sources: Final = [
            request.positions[number] if request.bitmap & bit(number) else 0
            for number in self.layout.numbers
        ]
        self.auth_code_at: Final[int] = self.layout.positions[_AUTH_CODE] if has_auth_code else -1
        self.response_code_at: Final[int] = self.layout.positions[_RESPONSE_CODE]


@final
class Answers:
    """Makes the answers in one dialect."""

    __slots__ = (
        "_codes",
        "_codes_of",
        "_dialect",
        "_echoes",
        "_echoes_with_code",
        "_no_result",
        "_numeric",
    )

    def __init__(
        self, dialect: Dialect, codes: ResponseCodes, no_result: Mapping[int, str]
    ) -> None:
        """Make answers from these tables.

        Args:
            dialect: how the messages are written.
            codes: the tables of response codes.
            no_result: answers (`response_codes.ANSWERS`) by the number of the reason why the engine
                has no result; `system` for all others.
        """
        self._dialect: Final = dialect
        self._codes = codes
        self._codes_of: Mapping[str, ResponseCodes] = {}
        self._no_result: Final = dict(no_result)
        self._numeric: Final[bool] = dialect.fields[_RESPONSE_CODE].is_numeric
        #: By the bitmap of the request, at most PLANS_MAX each.
        self._echoes: Final[dict[int, _Echo]] = {}
        self._echoes_with_code: Final[dict[int, _Echo]] = {}

    def speak_by(self, codes: ResponseCodes, codes_of: Mapping[str, ResponseCodes]) -> None:
        """Answer by other tables from now on.

        A repeat is answered as its first was: by the table of the version that it was decided
        under, where `codes_of` has it.
        """
        self._codes = codes
        self._codes_of = codes_of

    def of_answer(self, message: Message, answer: Answer) -> Message:
        """The answer to a message that was decided, or could not be."""
        if not isinstance(answer, Result):
            return self.named(message, self._no_result.get(answer, "system"))
        entry = answer.entry
        if entry is None:
            rejection = answer.rejection
            name = "system" if rejection is None else _ANSWER_OF_REJECTION.get(rejection, "system")
            return self.named(message, name)
        state = answer.state
        network = self._dialect.meaning.network if state is None else state.settings.profile.network
        codes = self._codes
        if answer.is_repeat:
            codes = self._codes_of.get(entry.policy_version, codes)
        if entry.outcome is Outcome.APPROVE:
            code = codes.answer(network, "approved")
            return self._made(message, code, entry.auth_code)
        return self._made(message, codes.of_entry(network, entry), "")

    def named(self, message: Message, name: str) -> Message:
        """An answer that no decision stands behind, by its name in the tables."""
        return self._made(message, self._codes.answer(self._dialect.meaning.network, name), "")

    def _made(self, message: Message, code: str, auth_code: str) -> Message:
        """The answer with this code, and an authorization code if there is one."""
        if self._numeric and not all_digits(code):
            code = _WITHOUT_LETTERS
        echo = self._echo(message.layout, bool(auth_code))
        sent = message.values
        values = [sent[source] if sent else "" for source in echo.sources]
        values[echo.response_code_at] = code
        if echo.auth_code_at >= 0:
            values[echo.auth_code_at] = auth_code
        mti = answer_type(message.mti)
        return Message(mti, echo.layout, values, hex_form=message.hex_form)

    def _echo(self, layout: Layout, has_auth_code: bool) -> _Echo:
        """What comes back of a request with these fields."""
        echoes = self._echoes_with_code if has_auth_code else self._echoes
        echo = echoes.get(layout.bitmap)
        if echo is None:
            echo = _Echo(self._dialect, layout, has_auth_code=has_auth_code)
            if len(echoes) >= PLANS_MAX:
                del echoes[next(iter(echoes))]
            echoes[layout.bitmap] = echo
        return echo
