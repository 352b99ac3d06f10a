"""How long a preview takes for a card with a long history, and whether it is what a replay says.

The history is made by the real guardian on a real store on the disk: purchases, pre-authorizations
with completions and increments, reversals, refunds, repeats and conflicts, over 90 days. Then each
type of control is tried, and every answer is held against a replay of the whole journal
(`bench.preview_replay`).
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from zhiwei.bench import contenders
from zhiwei.bench.preview_replay import replayed, whole_journal
from zhiwei.bench.sequence_acts import Sequence, draw_history
from zhiwei.bench.sequence_play import KEY, Player
from zhiwei.core.card_state import CardState
from zhiwei.core.controls import (
    CardLock,
    CategoryLock,
    Control,
    DeclineAlert,
    LargeSpendVerification,
    Limit,
    LimitChannel,
    Limits,
    MagstripeVerification,
    Measure,
    NightLock,
    OnlineLock,
    OverseasLock,
    OverseasOnlineLock,
    Period,
    RegionLock,
    Scope,
)
from zhiwei.core.finding import Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.zone import DAY_MS
from zhiwei.ports import Reader
from zhiwei.preview import DAYS, Preview, preview
from zhiwei.stores.sqlite.store import SqliteStore

_UNTIL_MS: Final = 1_790_000_000_000
#: The answer is due in this time, seconds.
_DUE_SECONDS: Final = 1.0
_TRIES: Final = 5
_ALL: Final = LimitChannel.ALL
_AMOUNT, _COUNT = Measure.AMOUNT, Measure.COUNT

#: What is tried: a name, its type, and the control.
CONTROLS: Final[tuple[tuple[str, str, Control], ...]] = (
    ("region lock", "region_lock", RegionLock(("11",))),
    ("overseas lock", "overseas_lock", OverseasLock(("USA",))),
    ("night lock", "night_lock", NightLock(scope=Scope.ALL)),
    ("online lock", "online_lock", OnlineLock()),
    ("overseas online lock", "overseas_online_lock", OverseasOnlineLock()),
    ("category lock", "category_lock", CategoryLock(("5411",))),
    ("card lock", "card_lock", CardLock()),
    ("magstripe verification", "magstripe_verification", MagstripeVerification(500)),
    ("large spend", "large_spend_verification", LargeSpendVerification(1000)),
    ("decline alert", "decline_alert", DeclineAlert()),
    ("limit, transaction", "limits", Limits((Limit(_ALL, _AMOUNT, Period.TRANSACTION, 1500),))),
    ("limit, day", "limits", Limits((Limit(_ALL, _AMOUNT, Period.DAY, 9000),))),
    ("limit, day, count", "limits", Limits((Limit(_ALL, _COUNT, Period.DAY, 12),))),
    ("limit, week", "limits", Limits((Limit(LimitChannel.POS, _AMOUNT, Period.WEEK, 40_000),))),
    (
        "limit, month, restored",
        "limits",
        Limits((Limit(_ALL, _AMOUNT, Period.MONTH, 300_000),), refunds_restore=True),
    ),
    ("limit, year", "limits", Limits((Limit(_ALL, _AMOUNT, Period.YEAR, 900_000),))),
    ("limit, rolling", "limits", Limits((Limit(_ALL, _AMOUNT, Period.ROLLING, 9000, 86_400),))),
)


@dataclass(frozen=True)
class PreviewOptions:
    """How long a history, drawn from which seed."""

    decisions: int = 5_000
    seed: int = 1


@dataclass(frozen=True)
class Tried:
    """One control on trial."""

    name: str
    #: Median and longest of the tries.
    seconds: float
    seconds_max: float
    of: int
    would_decline: int
    would_challenge: int
    #: The replay says the same of every single approval.
    is_equal: bool


@dataclass
class PreviewReport:
    """What was tried, and how long it took."""

    decisions: int = 0
    approved: int = 0
    is_compiled: bool = False
    tried: list[Tried] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every preview is what a replay says."""
        return bool(self.tried) and all(one.is_equal for one in self.tried)

    @property
    def is_in_time(self) -> bool:
        """Whether every try was answered in a second."""
        return all(one.seconds_max < _DUE_SECONDS for one in self.tried)

    def lines(self) -> list[str]:
        """The report for eyes."""
        form = "compiled" if self.is_compiled else "plain Python"
        told = [
            f"decisions: {self.decisions:,} in {DAYS} days; approved: {self.approved:,}; {form}"
        ]
        told += [
            f"{one.name:<24}{one.seconds * 1000:>7.0f} ms (at most {one.seconds_max * 1000:.0f})"
            f"  declines {one.would_decline:,}, asks {one.would_challenge:,} of {one.of:,}"
            f"  {'equals the replay' if one.is_equal else 'DIFFERS FROM THE REPLAY'}"
            for one in self.tried
        ]
        return told


def previewing(
    options: PreviewOptions, progress: Callable[[int], None] = lambda _: None
) -> PreviewReport:
    """Make the history, and try every control of `CONTROLS` on it.

    `progress` is told how many controls were tried.
    """
    sequence = draw_history(
        options.seed, options.decisions, _UNTIL_MS - DAYS * DAY_MS, _UNTIL_MS - 1
    )
    with tempfile.TemporaryDirectory(prefix="zhiwei-preview-") as folder:
        store = SqliteStore(Path(folder))
        Player(sequence, store=store).play()
        reader = store.reader()
        report = PreviewReport(is_compiled=contenders.is_compiled())
        _try_all(report, reader, sequence, progress)
        asyncio.run(store.close())
    return report


def is_as_replayed(
    found: Preview,
    reader: Reader,
    policy: Policy,
    state: CardState,
    control_type: str,
    control: Control,
) -> bool:
    """Whether a preview says of every single approval what a replay of the journal says."""
    journal = whole_journal(reader, state.card_key)
    other = replayed(policy, journal, state, control_type, control, max(found.since_ms, 0))
    stopped = found.stopped[::-1]
    declined = [s.entry.version for s in stopped if s.finding.outcome is Outcome.REFUSE]
    asked = [s.entry.version for s in stopped if s.finding.outcome is Outcome.CHALLENGE]
    counts = (found.would_decline, found.would_challenge, found.of)
    return (
        tuple(declined) == other.declined
        and tuple(asked) == other.challenged
        and counts == (len(other.declined), len(other.challenged), other.of)
    )


def _try_all(
    report: PreviewReport, reader: Reader, sequence: Sequence, progress: Callable[[int], None]
) -> None:
    state = reader.card(KEY)
    assert state is not None, "the card was registered"
    journal = whole_journal(reader, KEY)
    messages = [entry for entry in journal if entry.command.request is not None]
    report.decisions = len(messages)
    report.approved = sum(entry.outcome is Outcome.APPROVE for entry in messages)
    for number, (name, control_type, control) in enumerate(CONTROLS):
        found = preview(sequence.policy, reader, state, control_type, control, _UNTIL_MS)
        seconds: list[float] = []
        for _ in range(_TRIES):
            begin = time.perf_counter()
            preview(sequence.policy, reader, state, control_type, control, _UNTIL_MS)
            seconds.append(time.perf_counter() - begin)
        is_equal = is_as_replayed(found, reader, sequence.policy, state, control_type, control)
        report.tried.append(
            Tried(
                name,
                statistics.median(seconds),
                max(seconds),
                found.of,
                found.would_decline,
                found.would_challenge,
                is_equal,
            )
        )
        progress(number + 1)
