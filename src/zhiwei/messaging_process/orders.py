"""Orders: what the messaging process is told when it begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zhiwei.core.command import Actor, Via

#: On this file of the data directory is the lock of whoever writes `messages.db`.
LOCK_NAME: Final = "messages.lock"
#: Who changes cards and records on behalf of messaging.
ACTOR: Final = Actor("messaging", Via.CLI, is_staff=True)


@dataclass(frozen=True)
class Orders:
    """Plain values, as they go over the line."""

    data_dir: str
    #: URL of the main store; empty = it is the file in the data directory.
    database: str
    #: Number of this teller among those of the database (`stores/postgres/messages`): the same for
    #: each process that one server starts, since the one before is dead by then.
    teller: int
    #: Empty = webhooks only.
    messages_file: str
    key_file: str
    #: The policy as it is kept (`policy_file.stored_text`).
    policy: str
    is_test_mode: bool
    logs_json: bool
    log_level: str
