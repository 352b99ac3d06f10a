"""Cases: somebody said "not mine", the card is stopped, and a person at the desk looks into it.

That a case is open stands in the audit trail: `challenge.denied`, written by the guardian with the
answer itself, or `payment.denied`, written before the card is stopped from its history. So no case
can be lost, whatever the console does. What the desk does with it (who works on it, closed with
which words) is a record of its own, and every step of that is in the audit trail too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Lock
from typing import Final, final

from zhiwei.core.errors import ZhiweiError
from zhiwei.core.ids import entry_of
from zhiwei.core.result import Audit
from zhiwei.ports import AuditRow, CaseFile, Reader
from zhiwei.vault import text_without_numbers

#: Cases that the list knows, the newest ones.
CASES_MAX: Final = 5_000
#: Audit lines that the first look reads back, and how many at a time.
READ_BACK_MAX: Final = 20_000
_CHUNK: Final = 500
#: What opens a case, and the prefix of the id by which it is known from then on.
_OPENED: Final = {"challenge.denied": "chg", "payment.denied": "auth"}
_NOTE_MAX: Final = 500
STATES: Final = ("open", "closed")


class CaseClosedError(ZhiweiError):
    """the case is closed already"""


class NoteMissingError(ZhiweiError):
    """a case is closed with a note"""


@dataclass(frozen=True)
class Opened:
    """A case as the audit trail knows it."""

    #: `chg_` id of the question, or `auth_` id of the payment, that was denied; it names the card
    #: and the entry.
    id: str
    card_key: bytes
    #: Version of the entry that asked, or that is the payment.
    version: int
    opened_ms: int
    #: Who said no, and by which door.
    who: str
    via: str


@dataclass(frozen=True)
class Case:
    """A case with what the desk did about it."""

    opened: Opened
    #: What is kept of the desk's work; None where nobody has touched the case.
    kept: CaseFile | None

    @property
    def file(self) -> CaseFile:
        """What the desk did; an empty file where that is nothing yet."""
        return self.kept or CaseFile(self.opened.id, self.opened.opened_ms)

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to look."""
        return not self.file.closed_ms


@final
class Cases:
    """Knows all recent cases; reads the audit trail on from where it was. Thread-safe."""

    def __init__(self, reader: Reader) -> None:
        self._reader: Final = reader
        self._lock: Final = Lock()
        self._position = -1
        #: By id, oldest first.
        self._opened: Final[dict[str, Opened]] = {}
        self._is_whole = True

    @property
    def is_whole(self) -> bool:
        """Whether the whole audit trail was read; else older cases may be missing from the list."""
        return self._is_whole

    def page(
        self, *, state: str = "", assignee: str = "", before: str = "", limit: int = 50
    ) -> tuple[list[Case], str]:
        """Cases newest first, and behind which the next page begins (empty = the last page).

        Blocking: for a thread.
        """
        newest = self._refreshed()
        if before:
            places = [n for n, one in enumerate(newest) if one.id == before]
            newest = newest[places[0] + 1 :] if places else []
        found: list[Case] = []
        for opened in newest:
            case = self._case(opened)
            if state and case.is_open != (state == "open"):
                continue
            if assignee and case.file.assignee != assignee:
                continue
            if len(found) == limit:
                return found, found[-1].opened.id
            found.append(case)
        return found, ""

    def open_count(self) -> int:
        """How many are open."""
        return sum(self._case(opened).is_open for opened in self._refreshed())

    def of(self, case_id: str) -> Case | None:
        """One case; None where nothing of this id was denied. Blocking: for a thread."""
        self._refreshed()
        opened = self._opened.get(case_id)
        if opened is None:
            opened = self._from_the_card(case_id)
        return None if opened is None else self._case(opened)

    def _refreshed(self) -> list[Opened]:
        """Read the audit lines since the last look; all cases, newest first."""
        with self._lock:
            # After 0 would mean no bound at all: an empty trail is read back once more.
            rows = self._read_back() if self._position < 1 else self._read_on()
            for row in rows:
                opened = _opened(row)
                if opened is not None:
                    self._opened[opened.id] = opened
            while len(self._opened) > CASES_MAX:
                del self._opened[next(iter(self._opened))]
                self._is_whole = False
            self._position = max(self._position, rows[-1].position if rows else 0)
            return list(self._opened.values())[::-1]

    def _read_back(self) -> list[AuditRow]:
        """The end of the audit trail, oldest first."""
        rows: list[AuditRow] = []
        before = 0
        while before != 1:
            if len(rows) >= READ_BACK_MAX:
                self._is_whole = False
                break
            chunk = self._reader.audits(before=before, limit=_CHUNK)
            rows.extend(chunk)
            if len(chunk) < _CHUNK:
                break
            before = chunk[-1].position
        return rows[::-1]

    def _read_on(self) -> list[AuditRow]:
        """Lines since the last look, oldest first; what one look does not reach, the next does."""
        rows: list[AuditRow] = []
        after = self._position
        while len(rows) < READ_BACK_MAX:
            chunk = self._reader.audits(after=after, limit=_CHUNK)[::-1]
            rows.extend(chunk)
            if len(chunk) < _CHUNK:
                break
            after = chunk[-1].position
        return rows

    def _from_the_card(self, case_id: str) -> Opened | None:
        """A case that is older than the list: from its card's audit lines, or from its own file."""
        named = entry_of("chg", case_id)
        if named is None:
            return self._from_its_file(case_id)
        before = 0
        while before != 1:
            chunk = self._reader.audits(card_key=named[0], before=before, limit=_CHUNK)
            for row in chunk:
                if row.audit.action in _OPENED and row.audit.subject == case_id:
                    return _opened(row)
            if len(chunk) < _CHUNK:
                return None
            before = chunk[-1].position
        return None

    def _from_its_file(self, case_id: str) -> Opened | None:
        """A denied payment, whose file was begun with it; who said so is in the trail only."""
        named, file = entry_of("auth", case_id), self._reader.record(CaseFile, case_id)
        if named is None or file is None:
            return None
        return Opened(case_id, named[0], named[1], file.created_ms, "", "")

    def _case(self, opened: Opened) -> Case:
        return Case(opened, self._reader.record(CaseFile, opened.id))


def assigned(case: Case, assignee: str) -> tuple[CaseFile, Audit]:
    """The case given to an operator (empty = to nobody), and the audit line of it.

    Raises:
        CaseClosedError: nobody works on it any more.
    """
    if not case.is_open:
        raise CaseClosedError
    return replace(case.file, assignee=assignee), Audit(
        "case.assigned", case.opened.id, case.file.assignee, assignee
    )


def closed(case: Case, who: str, note: str, now_ms: int) -> tuple[CaseFile, Audit]:
    """The case closed with a note, and the audit line of it. Card numbers in it are hidden.

    Raises:
        CaseClosedError: it is closed already.
        NoteMissingError: the note is empty.
    """
    words = text_without_numbers(" ".join(note.split())[:_NOTE_MAX])
    if not case.is_open:
        raise CaseClosedError
    if not words:
        raise NoteMissingError
    file = replace(case.file, closed_ms=now_ms, closed_by=who, note=words)
    return file, Audit("case.closed", case.opened.id, "open", words)


def reopened(case: Case, who: str) -> tuple[CaseFile, Audit]:
    """The case open once more: what was found out later counts."""
    file = replace(case.file, closed_ms=0, closed_by="", note="", assignee=who)
    return file, Audit("case.reopened", case.opened.id, case.file.note, "open")


def _opened(row: AuditRow) -> Opened | None:
    """The case that an audit line opens."""
    prefix = _OPENED.get(row.audit.action)
    named = None if prefix is None else entry_of(prefix, row.audit.subject)
    if named is None:
        return None
    who, via = row.actor.who, row.actor.via.name.lower()
    return Opened(row.audit.subject, named[0], named[1], row.at_ms, who, via)
