"""Stops (止付).

They are placed at once, by anyone who may reduce, and lifted only with strong authentication.
"""

from __future__ import annotations

from dataclasses import replace

from zhiwei.core.card_state import Settings, Stop, StopSource
from zhiwei.core.command import LiftStop, PlaceStop, Via
from zhiwei.core.event import Event, EventKind
from zhiwei.core.result import Audit, Rejection, Result, rejected
from zhiwei.guardian.case import Case
from zhiwei.guardian.outcome import changed, unchanged

_REFERENCE_SPACE = 100_000_000


def place(case: Case, change: PlaceStop) -> Result:
    """Refuse every debit from now on. A card that is stopped stays stopped by the first stop."""
    if case.state.settings.stop is not None:
        return unchanged(case)
    settings, events, audits, reference = stop_with(case, case.state.settings, change.source)
    return changed(case, settings=settings, events=events, audits=audits, note=reference)


def lift(case: Case, change: LiftStop) -> Result:
    """Lift the stop; a loosening, and never by SMS."""
    actor = case.command.actor
    if actor.via is Via.SMS:
        return rejected(Rejection.NOT_BY_SMS)
    stop = case.state.settings.stop
    if stop is None or change.only_source not in (None, stop.source):
        return rejected(Rejection.STOP_NOT_FOUND)
    if not actor.is_strong:
        return rejected(Rejection.STRONG_AUTHENTICATION_REQUIRED)
    return changed(
        case,
        settings=replace(case.state.settings, stop=None),
        events=(Event(EventKind.STOP_LIFTED, {"reference": stop.reference}),),
        audits=(Audit("stop.lifted", stop.reference, stop.source.name.lower(), ""),),
        note=stop.reference,
    )


def stop_with(
    case: Case, settings: Settings, source: StopSource
) -> tuple[Settings, tuple[Event, ...], tuple[Audit, ...], str]:
    """The settings with a stop.

    With them come what to tell, what to audit, and the reference that people can quote.
    """
    if settings.stop is not None:
        return settings, (), (), settings.stop.reference
    number = int.from_bytes(case.command.nonce, "big") % _REFERENCE_SPACE
    reference = f"ZF{number:08d}"
    stop = Stop(case.moment.now_ms, source, reference)
    event = Event(
        EventKind.STOP_PLACED,
        {
            "reference": reference,
            "source": source.name.lower(),
            "tail": settings.profile.tail,
            "at_ms": case.moment.now_ms,
        },
    )
    audit = Audit("stop.placed", reference, "", source.name.lower())
    return replace(settings, stop=stop), (event,), (audit,), reference
