"""The wiring of what is in force: who follows it here, and what other servers adopt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, final

import structlog

from zhiwei.clock import Clock
from zhiwei.core.card_state import CardState
from zhiwei.core.command import Actor, Command, Via
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.policy import Policy
from zhiwei.core.result import NOTHING_RELATED, Result
from zhiwei.engine import Engine, ThreadEntry
from zhiwei.gateways.http.record_ids import IdMint
from zhiwei.gateways.in_force import InForce
from zhiwei.gateways.iso8583.door import Door
from zhiwei.gateways.policy_desk import PolicyDesk
from zhiwei.guardian import guardian_under
from zhiwei.policy_file import stored_text
from zhiwei.ports import PolicyText, Reader, Step

_log: Final = structlog.get_logger()
#: How often a server looks whether another one adopted something.
_LOOK_SECONDS: Final = 1.0


@final
class Standing:
    """What is in force, and who follows it; switched on the path's loop, read from any thread."""

    def __init__(self, now: InForce) -> None:
        self._now = now
        self._follow: tuple[Callable[[InForce], None], ...] = ()

    def moves(self, engine: Engine, door: Door, tell: Callable[[str], None]) -> None:
        """Have these follow; `tell` takes the policy's stored text to the messaging process."""
        self._follow = (
            lambda new: engine.decide_by(guardian_under(new.policy).step),
            lambda new: door.answers.speak_by(new.codes, new.codes_by_version),
            lambda new: tell(stored_text(new.policy)),
        )

    def now(self) -> InForce:
        """What is in force."""
        return self._now

    def step(self) -> Step:
        """How the policy in force decides."""
        return guardian_under(self._now.policy).step

    def rehearse(self, state: CardState, command: Command, at_ms: int) -> Result:
        """What a command would do to a file at an instant; nothing is written."""
        return self.step()(state, NOTHING_RELATED, command, at_ms)

    def switch(self, new: InForce) -> None:
        """Put another version in force; no decision is made meanwhile, since this does not wait."""
        for follow in self._follow:
            follow(new)
        self._now = new
        _log.info("policy_in_force", version=new.policy.version, number=new.number)

    async def follow_others(
        self, adopted: Callable[[], int] | None, read: Callable[[], InForce]
    ) -> None:
        """Switch to what another server adopted, about a second later, until it is cancelled.

        Numbers only grow: what is adopted names the number before it, and the store refuses a
        number that is taken. So all servers that look come to the same version.

        Args:
            adopted: how many versions were adopted, from the store; None = it has one server.
            read: what is in force, from the store. Both are called on threads.
        """
        # Where a file is in force, nothing that is adopted is.
        while adopted is not None and not self._now.fixed:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if await asyncio.to_thread(adopted) <= self._now.number:
                    continue
                new = await asyncio.to_thread(read)
            except ZhiweiError as error:
                # The store is away, or a newer program adopted what this one cannot read.
                _log.error("policy_not_looked_at", error=str(error))
                continue
            # What was adopted here meanwhile may be newer than what was read.
            if new.number > self._now.number:
                self.switch(new)


def policy_desk_of(
    reader: Reader, entry: ThreadEntry, standing: Standing, clock: Clock, mint: IdMint
) -> PolicyDesk:
    """Changes of what is in force, as the HTTP thread makes them."""
    return PolicyDesk(
        reader=reader,
        keep=entry.keep,
        in_force=standing.now,
        switch=standing.switch,
        clock=clock,
        new_id=mint.new,
    )


async def keep_policy(engine: Engine, reader: Reader, policy: Policy, now_ms: int) -> None:
    """Keep the policy with the decisions that will be made under it."""
    if reader.record(PolicyText, policy.version) is None:
        record = PolicyText(policy.version, now_ms, stored_text(policy))
        await engine.keep([record], [], Actor("server", Via.CLI, is_staff=True))
