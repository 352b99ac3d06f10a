"""Door: takes whole frames, hands out what has to be decided, and turns results into frames.

It knows no socket. What can be answered without the engine (network management, a message that
cannot be read or translated) is answered at once; the rest becomes commands, in the order in which
they came. A frame that cannot be read costs that frame, never the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias, final

from zhiwei.core.command import Command
from zhiwei.gateways.iso8583.answers import Answer, Answers, expects_answer
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.faults import DecodeError, EncodeError, FrameError
from zhiwei.gateways.iso8583.frame import Framing, answer_header, header_end, wrap
from zhiwei.gateways.iso8583.message import Message
from zhiwei.gateways.iso8583.translate import NotTranslatableError, Translator

#: Is called with an answer for each command, in order.
OnAnswered: TypeAlias = "Callable[[Sequence[Answer]], None]"
#: Has commands carried out and calls back once; or, where it divides them, once for each part, with
#: what the third function gives for the places of its commands.
Submit: TypeAlias = "Callable[[list[Command], OnAnswered, Callable[[list[int]], OnAnswered]], None]"


class Observer(Protocol):
    """Is told what a door sees; nothing that it is told is secret."""

    def observe_format_error(
        self, fault: str, field: int, position: int, mti: str, stan: str
    ) -> None:
        """A frame was not readable, or a message could not be understood or answered."""
        ...

    def observe_connections(self, count: int) -> None:
        """How many connections are open now."""
        ...


@final
class Waiting:
    """A message whose answer is being decided."""

    __slots__ = ("header", "message")

    def __init__(self, message: Message, header: bytes) -> None:
        self.message: Final = message
        #: The frame's header as it came.
        self.header: Final = header


@final
class Intake:
    """What came out of some frames."""

    __slots__ = ("answers", "commands", "waiting")

    def __init__(self) -> None:
        #: Frames that can be sent at once.
        self.answers: Final[list[bytes]] = []
        #: To be decided, and for each the message that it came from.
        self.commands: Final[list[Command]] = []
        self.waiting: Final[list[Waiting]] = []


@final
class Door:
    """The ISO 8583 door of one dialect; for one thread."""

    __slots__ = ("answers", "codec", "framing", "observer", "translator")

    def __init__(
        self,
        codec: Codec,
        framing: Framing,
        translator: Translator,
        answers: Answers,
        observer: Observer,
    ) -> None:
        self.codec: Final = codec
        self.framing: Final = framing
        self.translator: Final = translator
        self.answers: Final = answers
        self.observer: Final = observer

    def take(self, buffer: bytes, spans: list[int]) -> Intake:
        """Read the frames that `spans` cuts out of a buffer (start, end, start, end ...)."""
        intake = Intake()
        for index in range(0, len(spans), 2):
            start = spans[index]
            end = spans[index + 1]
            try:
                begin = header_end(self.framing, buffer, start, end)
                message = self.codec.decode(buffer, begin, end)
            except DecodeError as error:
                self._complain(error.fault.value, error.field, error.position, error.partial)
                if error.mti and error.stan and expects_answer(error.mti):
                    header = buffer[start : header_end(self.framing, buffer, start, end)]
                    self._answer_now(intake, error.partial, header, "format_error")
                continue
            self._admit(intake, message, buffer[start:begin])
        return intake

    def frames(self, waiting: list[Waiting], answers: Sequence[Answer]) -> list[bytes]:
        """The answers to decided messages, ready to be sent."""
        frames: list[bytes] = []
        for index, asked in enumerate(waiting):
            answer = self.answers.of_answer(asked.message, answers[index])
            frame = self._frame(answer, asked.header)
            if frame:
                frames.append(frame)
        return frames

    def _admit(self, intake: Intake, message: Message, header: bytes) -> None:
        """Sort one message: nothing to answer, answered at once, or to be decided."""
        mti = message.mti
        if not expects_answer(mti):
            self._complain("unexpected_answer", 0, 0, message)
            return
        if mti[1] == "8":
            self._answer_now(intake, message, header, "approved")
            return
        try:
            command = self.translator.command(message)
        except NotTranslatableError as error:
            if error.answer == "format_error":
                self._complain("not_translatable", error.field, 0, message)
            self._answer_now(intake, message, header, error.answer)
            return
        intake.commands.append(command)
        intake.waiting.append(Waiting(message, header))

    def _answer_now(self, intake: Intake, message: Message, header: bytes, name: str) -> None:
        """Answer without the engine."""
        frame = self._frame(self.answers.named(message, name), header)
        if frame:
            intake.answers.append(frame)

    def _frame(self, answer: Message, header: bytes) -> bytes:
        """The frame of an answer; empty, and complained about, if it cannot be written."""
        try:
            coded = self.codec.encode(answer)
            return wrap(self.framing, answer_header(self.framing, header), coded)
        except EncodeError as error:
            self._complain(error.fault.value, error.field, 0, answer)
        except FrameError:
            self._complain("too_long", 0, 0, answer)
        return b""

    def _complain(self, fault: str, field: int, position: int, message: Message) -> None:
        """Tell the observer what is wrong, with nothing of the content but type and trace."""
        self.observer.observe_format_error(fault, field, position, message.mti, message.text(11))
