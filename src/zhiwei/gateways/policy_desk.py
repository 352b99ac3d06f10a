"""PolicyDesk: changes of policy and response codes, with versions and four eyes (四眼).

A change is proposed on the version in force, and adopted or not. A loosening, and any change of
response codes, is adopted by somebody else than who proposed it; a tightening by anybody. What is
adopted holds from the next decision on, and after every restart.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar, final

from zhiwei.core.command import Actor
from zhiwei.core.errors import NotAllowedValueError, ZhiweiError
from zhiwei.core.policy import Policy
from zhiwei.core.result import Audit
from zhiwei.gateways.in_force import (
    ADOPTED,
    Difference,
    InForce,
    adopted,
    content_of,
    content_text,
    differences,
    named,
)
from zhiwei.gateways.response_codes import ResponseCodes
from zhiwei.gateways.response_codes import checked as checked_codes
from zhiwei.policy_file import policy_from, settings_of, stored_text
from zhiwei.ports import (
    PolicyChange,
    PolicyOvertakenError,
    PolicyText,
    Reader,
    Record,
    RecordStandsError,
)
from zhiwei.vault import holds_card_number

PROPOSED: Final = "proposed"
REJECTED: Final = "rejected"
WITHDRAWN: Final = "withdrawn"
#: Changes that may be open at once, and bounds of what a change says.
OPEN_MAX: Final = 20
NOTE_MAX: Final = 500
TEXT_MAX: Final = 1 << 19
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")

T = TypeVar("T")


class PolicyFixedError(ZhiweiError):
    """policy or response codes are files that the server was started with; change those"""


class StalePolicyError(ZhiweiError):
    """another version was adopted meanwhile; look at the difference and propose it again"""


class SecondOfficerError(ZhiweiError):
    """a loosening or a change of response codes is adopted by somebody else than its proposer"""


class ChangeNotFoundError(ZhiweiError):
    """there is no such change of the policy"""


class ChangeDecidedError(ZhiweiError):
    """the change was adopted, rejected or withdrawn before"""


class NotProposerError(ZhiweiError):
    """a change is withdrawn by who proposed it; others reject it"""


class UnchangedPolicyError(ZhiweiError):
    """nothing differs from the version in force"""


class TooManyChangesError(ZhiweiError):
    """too many changes are open; decide about those first"""


class KeepThen(Protocol):
    """Keeps records, and has something done on the path at that very moment (`ThreadEntry`)."""

    def __call__(
        self,
        records: Sequence[Record],
        audits: Sequence[Audit],
        actor: Actor,
        then: Callable[[], None] | None = None,
    ) -> Awaitable[None]:
        """Keep all or none, durably, then call `then` before the next decision.

        Raises:
            StoreUnavailableError: nothing was kept, and `then` is not called.
        """
        ...


class Clock(Protocol):
    """Tells the instant of now."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        ...


@dataclass(frozen=True)
class ChangeView:
    """A change as somebody looks at it now."""

    change: PolicyChange
    #: What it changes of the version that it was proposed on.
    differences: tuple[Difference, ...]
    #: Somebody else than the proposer must adopt it.
    needs_second: bool
    #: Another version was adopted since; it can only be rejected or withdrawn.
    is_stale: bool


@final
class PolicyDesk:
    """Proposes, adopts and lists; for one event loop."""

    def __init__(
        self,
        *,
        reader: Reader,
        keep: KeepThen,
        in_force: Callable[[], InForce],
        switch: Callable[[InForce], None],
        clock: Clock,
        new_id: Callable[[str, int], str],
    ) -> None:
        """Changes of one house.

        Args:
            reader: what is committed.
            keep: keeps records, and calls back on the path.
            in_force: what holds now.
            switch: makes another version hold; called on the path's loop, right after it is kept.
            clock: tells the time.
            new_id: makes an id from a prefix and a time (`IdMint.new`).
        """
        self._reader: Final = reader
        self._keep: Final = keep
        self._in_force: Final = in_force
        self._switch: Final = switch
        self._clock: Final = clock
        self._new_id: Final = new_id
        self._lock: Final = asyncio.Lock()

    def current(self) -> InForce:
        """What holds now."""
        return self._in_force()

    def versions(self) -> list[PolicyChange]:
        """Changes that were adopted, the latest first."""
        return adopted(self._reader)

    def open_changes(self) -> list[ChangeView]:
        """Changes that nobody decided about yet, the newest first."""
        found = self._reader.records(PolicyChange, subject=PROPOSED, limit=OPEN_MAX)
        return [self.view(change) for change in found]

    def change(self, change_id: str) -> ChangeView:
        """One change.

        Raises:
            ChangeNotFoundError: there is none of this id.
        """
        return self.view(self._known(change_id))

    def view(self, change: PolicyChange) -> ChangeView:
        """A change with what follows from it."""
        found = tuple(Difference(*row) for row in json.loads(change.differences))
        is_stale = change.state == PROPOSED and not self._is_on_current(change)
        return ChangeView(change, found, _needs_second(found), is_stale)

    def drafted(self, settings: Mapping[str, Any]) -> Policy:
        """The policy in force with some settings changed, in the words of the policy file.

        Raises:
            PolicyError: an unknown name, or a value outside the rules.
        """
        current = self._in_force().policy
        return policy_from({**settings_of(current), **settings})

    async def propose(
        self,
        actor: Actor,
        policy: Policy,
        codes: Mapping[str, Any] | None,
        *,
        name: str,
        note: str,
        base: str,
    ) -> ChangeView:
        """Propose a whole policy and whole tables (`codes`; None = they stay as they are).

        Args:
            actor: who proposes.
            policy: as it would be; its version does not count.
            codes: tables as `response_codes.toml` has them.
            name: of the version, 1 to 40 small letters, digits and `._-`.
            note: why, up to 500 characters.
            base: version in force that the proposer looked at.

        Raises:
            PolicyFixedError, StalePolicyError, UnchangedPolicyError, TooManyChangesError: not now.
            ResponseCodesError, NotAllowedValueError: not like this.
            StoreUnavailableError: nothing was kept.
        """
        _check_words(name, note)
        tables = None if codes is None else checked_codes(codes)

        async def work() -> ChangeView:
            current = self._changeable()
            if current.policy.version != base:
                raise StalePolicyError
            if (
                len(self._reader.records(PolicyChange, subject=PROPOSED, limit=OPEN_MAX))
                >= OPEN_MAX
            ):
                raise TooManyChangesError
            change = self._made(actor, current, policy, tables or current.codes, name, note)
            audit = Audit("policy.proposed", change.id, *_audited(change))
            await self._keep((change,), (audit,), actor)
            return self.view(change)

        return await self._alone(work)

    async def approve(self, actor: Actor, change_id: str) -> ChangeView:
        """Adopt a change: it holds from the next decision on.

        Raises:
            ChangeNotFoundError, ChangeDecidedError: there is nothing to adopt.
            PolicyFixedError, StalePolicyError, SecondOfficerError: it cannot be adopted (by them).
            StoreUnavailableError: nothing was adopted.
        """

        async def work() -> ChangeView:
            change = self._undecided(change_id)
            current = self._changeable()
            if not self._is_on_current(change):
                raise StalePolicyError
            policy, codes = content_of(change.text)
            found = differences((current.policy, current.codes), (policy, codes))
            if _needs_second(found) and actor.who == change.proposer:
                raise SecondOfficerError
            now_ms = self._clock.now_ms()
            after = current.followed_by(policy, codes, now_ms)
            done = replace(_decided(change, ADOPTED, actor, now_ms), number=after.number)
            text = PolicyText(policy.version, now_ms, stored_text(policy))
            audit = Audit("policy.adopted", change.id, *_audited(change))
            try:
                await self._keep((done, text), (audit,), actor, lambda: self._switch(after))
            except PolicyOvertakenError:
                raise StalePolicyError from None
            except RecordStandsError:
                raise ChangeDecidedError from None
            return self.view(done)

        return await self._alone(work)

    async def reject(self, actor: Actor, change_id: str) -> ChangeView:
        """Have a change not adopted; anybody may, the proposer too.

        Raises:
            ChangeNotFoundError, ChangeDecidedError: there is nothing to reject.
            StoreUnavailableError: nothing was done.
        """
        return await self._alone(lambda: self._ended(actor, change_id, REJECTED))

    async def withdraw(self, actor: Actor, change_id: str) -> ChangeView:
        """Take one's own change back.

        Raises:
            ChangeNotFoundError, ChangeDecidedError: there is nothing to withdraw.
            NotProposerError: it is somebody else's.
            StoreUnavailableError: nothing was done.
        """

        async def work() -> ChangeView:
            if self._undecided(change_id).proposer != actor.who:
                raise NotProposerError
            return await self._ended(actor, change_id, WITHDRAWN)

        return await self._alone(work)

    async def _alone(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work while no other change is worked on, to its end, even if the caller leaves."""

        async def locked() -> T:
            async with self._lock:
                return await work()

        return await asyncio.shield(asyncio.ensure_future(locked()))

    async def _ended(self, actor: Actor, change_id: str, state: str) -> ChangeView:
        change = self._undecided(change_id)
        done = _decided(change, state, actor, self._clock.now_ms())
        audit = Audit(f"policy.{state}", change.id, PROPOSED, state)
        try:
            await self._keep((done,), (audit,), actor)
        except RecordStandsError:
            # It was adopted on another server, perhaps; then that is what counts.
            raise ChangeDecidedError from None
        return self.view(done)

    def _made(
        self,
        actor: Actor,
        current: InForce,
        policy: Policy,
        codes: ResponseCodes,
        name: str,
        note: str,
    ) -> PolicyChange:
        """The record of a change.

        Raises:
            UnchangedPolicyError, NotAllowedValueError: it cannot be proposed like this.
        """
        found = differences((current.policy, current.codes), (policy, codes))
        if not found:
            raise UnchangedPolicyError
        wanted = named(name, policy, codes)
        kept = self._reader.record(PolicyText, wanted.version)
        if kept is not None and kept.text != stored_text(wanted):
            message = f"another policy is called `{wanted.version}`; choose another name"
            raise NotAllowedValueError("/name", "name_taken", message)
        text = content_text(wanted, codes)
        if len(text) > TEXT_MAX:
            message = f"a policy with its tables has at most {TEXT_MAX} characters"
            raise NotAllowedValueError("/policy", "too_large", message)
        now_ms = self._clock.now_ms()
        rows = [[each.setting, each.old, each.new, each.loosens] for each in found]
        return PolicyChange(
            id=self._new_id("pch", now_ms),
            created_ms=now_ms,
            proposer=actor.who,
            note=note,
            text=text,
            version=wanted.version,
            base=current.policy.version,
            base_number=current.number,
            differences=json.dumps(rows, ensure_ascii=False),
        )

    def _changeable(self) -> InForce:
        current = self._in_force()
        if current.fixed:
            raise PolicyFixedError
        return current

    def _is_on_current(self, change: PolicyChange) -> bool:
        current = self._in_force()
        return (change.base, change.base_number) == (current.policy.version, current.number)

    def _known(self, change_id: str) -> PolicyChange:
        found = self._reader.record(PolicyChange, change_id)
        if found is None:
            raise ChangeNotFoundError
        return found

    def _undecided(self, change_id: str) -> PolicyChange:
        found = self._known(change_id)
        if found.state != PROPOSED:
            raise ChangeDecidedError
        return found


def _check_words(name: str, note: str) -> None:
    """Raise unless name and note may be kept and shown."""
    if _NAME.fullmatch(name) is None or holds_card_number(name):
        message = "a name has 1 to 40 small letters, digits and `._-`, and begins with no sign"
        raise NotAllowedValueError("/name", "bad_name", message)
    if len(note) > NOTE_MAX or not note.replace("\n", " ").isprintable() or holds_card_number(note):
        message = f"a note has up to {NOTE_MAX} characters, and no card number"
        raise NotAllowedValueError("/note", "bad_note", message)


def _needs_second(found: Sequence[Difference]) -> bool:
    """Whether a change loosens, or says something else to the networks."""
    return any(each.loosens or each.setting.startswith("response_codes.") for each in found)


def _decided(change: PolicyChange, state: str, actor: Actor, now_ms: int) -> PolicyChange:
    return replace(change, state=state, decided_by=actor.who, decided_ms=now_ms)


def _audited(change: PolicyChange) -> tuple[str, str]:
    """Old and new as the audit trail keeps them: what differs, between two versions."""
    rows = json.loads(change.differences)
    old = {"version": change.base, **{row[0]: row[1] for row in rows}}
    new = {"version": change.version, **{row[0]: row[2] for row in rows}, "note": change.note}
    return json.dumps(old, ensure_ascii=False), json.dumps(new, ensure_ascii=False)
