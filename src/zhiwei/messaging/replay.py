"""Replay: which messages may be sent again when somebody asks for it."""

from __future__ import annotations

from typing import Final

from zhiwei.messaging.model import WEBHOOK, Status, Tracked

#: What was given up, refused or held back. Muted is the person's own wish, what is expired has no
#: use any more, and what was sent is not sent twice to a person.
REPLAYABLE: Final = (Status.FAILED, Status.DEAD, Status.HELD_BACK)
#: Receivers of webhooks know repeats by their id, so one may ask for them.
_REPLAYABLE_WEBHOOKS: Final = (*REPLAYABLE, Status.SENT, Status.DELIVERED)


def may_be_replayed(tracked: Tracked) -> bool:
    """Whether a message may be queued again; one that waits is no case for it."""
    is_webhook = tracked.message.channel == WEBHOOK
    return tracked.status in (_REPLAYABLE_WEBHOOKS if is_webhook else REPLAYABLE)
