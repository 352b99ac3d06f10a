"""What an SMSC's answer to submit_sm means for the message: the table of command_status.

Only what speaks of this one message for good is a refusal. What speaks of our own settings (sender,
types of number) stops the channel instead, so that a wrong setting loses nothing. Everything
unknown is tried again.
"""

from __future__ import annotations

from typing import Final

from aiosmpplib.state import SmppCommandStatus as Status

from zhiwei.messaging.model import Answer, Verdict

#: The message or its address is not acceptable, now or later.
REFUSALS: Final = frozenset(
    (
        Status.ESME_RINVMSGLEN,
        Status.ESME_RINVDSTADR,
        Status.ESME_RINVNUMDESTS,
        Status.ESME_RX_P_APPN,
        Status.ESME_RX_R_APPN,
        Status.ESME_RDELIVERYFAILURE,
    )
)
#: We are too fast, or the SMSC's queue is full.
THROTTLES: Final = frozenset((Status.ESME_RTHROTTLED, Status.ESME_RMSGQFUL))
#: The SMSC as a whole, or what our settings say of every message.
TROUBLES: Final = frozenset(
    (
        Status.ESME_RINVCMDLEN,
        Status.ESME_RINVCMDID,
        Status.ESME_RINVBNDSTS,
        Status.ESME_RINVPRTFLG,
        Status.ESME_RINVREGDLVFLG,
        Status.ESME_RSYSERR,
        Status.ESME_RINVSRCADR,
        Status.ESME_RINVSERTYP,
        Status.ESME_RINVESMCLASS,
        Status.ESME_RINVSRCTON,
        Status.ESME_RINVSRCNPI,
        Status.ESME_RINVDSTTON,
        Status.ESME_RINVDSTNPI,
        Status.ESME_RINVSYSTYP,
    )
)
#: Another try soon is of no use, and may lock the account.
BAD_CREDENTIALS: Final = frozenset((Status.ESME_RINVPASWD, Status.ESME_RINVSYSID))


def status_words(status: int) -> str:
    """A status as operators look it up: `ESME_RTHROTTLED`, or `status 0x0000045c`."""
    try:
        return Status(status).name
    except ValueError:
        return f"status 0x{status:08x}"


def answer_to(status: int, pause_ms: int, refused: frozenset[int]) -> Answer:
    """What a status other than ESME_ROK comes to.

    Args:
        status: command_status of submit_sm_resp or generic_nack.
        pause_ms: the pause that a throttle asks for.
        refused: this SMSC's own statuses that are refusals.
    """
    words = status_words(status)
    if status in THROTTLES:
        return Answer(Verdict.TRY_LATER, words, pause_ms=pause_ms, is_channel_down=True)
    if status in REFUSALS or status in refused:
        return Answer(Verdict.REFUSED, words)
    return Answer(Verdict.TRY_LATER, words, is_channel_down=status in TROUBLES)
