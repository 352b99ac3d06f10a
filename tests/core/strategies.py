"""What Hypothesis draws: controls, policies, requests, and card files with believable counters."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from zhiwei.core.card_state import (
    CHAIN_START,
    Binding,
    CardState,
    CardStatus,
    Permission,
    PermissionKind,
    Profile,
    Settings,
    Stop,
    StopSource,
)
from zhiwei.core.controls import (
    BalanceChangeAlert,
    BalanceInquiryAlert,
    CardLock,
    CategoryLock,
    Control,
    Controls,
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
from zhiwei.core.policy import OnUnknown, Policy
from zhiwei.core.request import Channel, Kind, Medium, MessageClass, Request
from zhiwei.core.usage import UNUSED, Booking, RollingSpend, begun, moved, rolled, rolling_added
from zhiwei.core.windows import HOUR_MS, DailyWindow, Moment
from zhiwei.core.zone import DAY_MS, Zone
from zhiwei.services.spend_limits import channels_of
from zhiwei.zones import load_zone

KEY: Final = bytes(range(16))
#: 2026-03-02 00:00 UTC.
START_MS: Final = 1_772_409_600_000


def zone_of(name: str) -> Zone:
    """A zone that the database has."""
    zone = load_zone(name)
    assert zone is not None, name
    return zone


ZONES: Final = [zone_of(n) for n in ("Asia/Shanghai", "Europe/Berlin", "America/New_York")]
REGIONS: Final = ["11", "41", "44", "61"]
COUNTRIES: Final = ["HKG", "JPN", "USA", "DEU"]
MCCS: Final = ["5411", "6011", "7995"]
INSTITUTIONS: Final = ["ALI", "WX"]
#: Names of the counters of a channel; compiled classes do not tell theirs.
COUNTERS: Final = [
    f"{p}_{m}" for p in ("day", "week", "month", "year") for m in ("amount", "count")
]
AMOUNTS: Final = st.integers(0, 3000)


def _some(values: list[str], least: int, most: int) -> st.SearchStrategy[tuple[str, ...]]:
    chosen = st.lists(st.sampled_from(values), min_size=least, max_size=most, unique=True)
    return chosen.map(tuple)


@st.composite
def windows(draw: st.DrawFn) -> DailyWindow:
    """Daily windows on whole hours."""
    start = draw(st.integers(0, 23))
    end = draw(st.integers(0, 24).filter(lambda hour: hour != start))
    return DailyWindow(start * HOUR_MS, end * HOUR_MS)


@st.composite
def one_limit(draw: st.DrawFn) -> Limit:
    """A limit of small amounts, so that it is often met."""
    measure = draw(st.sampled_from(list(Measure)))
    periods = [p for p in Period if measure is Measure.AMOUNT or p is not Period.TRANSACTION]
    period = draw(st.sampled_from(periods))
    seconds = draw(st.sampled_from([60, 3600, 86_400])) if period is Period.ROLLING else 0
    value = draw(AMOUNTS if measure is Measure.AMOUNT else st.integers(0, 4))
    return Limit(draw(st.sampled_from(list(LimitChannel))), measure, period, value, seconds)


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    """One to four limits of different slots."""
    items = draw(st.lists(one_limit(), min_size=1, max_size=4, unique_by=lambda i: i.slot))
    return Limits(tuple(items), draw(st.booleans()))


@st.composite
def tightened_limits(draw: st.DrawFn) -> tuple[Limits, Limits]:
    """Limits, and others that refuse whatever these refuse."""
    old = draw(limits())
    tighter: dict[tuple[int, int, int, int], Limit] = {}
    for limit in (*old.items, *draw(st.lists(one_limit(), max_size=2))):
        value = draw(st.integers(0, limit.value))
        channel = draw(st.sampled_from([limit.channel, LimitChannel.ALL]))
        if limit.channel in (LimitChannel.ATM_WITHDRAWAL, LimitChannel.ATM_TRANSFER):
            channel = draw(st.sampled_from([limit.channel, LimitChannel.ATM, LimitChannel.ALL]))
        longer = {
            Period.TRANSACTION: [Period.TRANSACTION, Period.DAY, Period.WEEK, Period.YEAR],
            Period.DAY: [Period.DAY, Period.WEEK, Period.MONTH, Period.YEAR],
            Period.MONTH: [Period.MONTH, Period.YEAR],
        }
        period = draw(st.sampled_from(longer.get(limit.period, [limit.period])))
        seconds = limit.seconds * draw(st.sampled_from([1, 2]))
        new = Limit(channel, limit.measure, period, value, seconds)
        known = tighter.get(new.slot)
        if known is None or new.value < known.value:
            tighter[new.slot] = new
    return old, Limits(tuple(tighter.values()), old.refunds_restore)


_night_locks: Final = st.builds(
    NightLock,
    windows(),
    st.sampled_from(list(Scope)),
    st.sampled_from(["", "Asia/Shanghai", "Europe/London"]),
)

#: Settings of each type of control.
OF_TYPE: Final[dict[str, st.SearchStrategy[Any]]] = {
    "region_lock": st.builds(RegionLock, _some(REGIONS, 1, 3)),
    "overseas_lock": st.builds(OverseasLock, _some(COUNTRIES, 0, 3)),
    "night_lock": _night_locks,
    "online_lock": st.builds(OnlineLock, st.none() | windows()),
    "overseas_online_lock": st.just(OverseasOnlineLock()),
    "category_lock": st.builds(CategoryLock, _some(MCCS, 1, 3)),
    "card_lock": st.just(CardLock()),
    "limits": limits(),
    "magstripe_verification": st.builds(MagstripeVerification, AMOUNTS),
    "large_spend_verification": st.builds(LargeSpendVerification, AMOUNTS),
    "balance_inquiry_alert": st.just(BalanceInquiryAlert()),
    "balance_change_alert": st.builds(BalanceChangeAlert, AMOUNTS),
    "decline_alert": st.just(DeclineAlert()),
}

controls: Final = st.builds(
    Controls, **{name: st.none() | strategy for name, strategy in OF_TYPE.items()}
)


@st.composite
def changes_of_one_control(draw: st.DrawFn) -> tuple[str, Control | None, Control | None]:
    """A type of control with an old and a new setting of it, either of which may be none."""
    control_type = draw(st.sampled_from(sorted(OF_TYPE)))
    setting = st.none() | OF_TYPE[control_type]
    return control_type, draw(setting), draw(setting)


policies: Final = st.builds(
    Policy,
    on_unknown_location_atm=st.sampled_from(list(OnUnknown)),
    on_unknown_location_pos=st.sampled_from(list(OnUnknown)),
    ceilings=st.lists(one_limit(), max_size=2, unique_by=lambda i: i.slot).map(tuple),
    closed_mccs=st.sampled_from([frozenset(), frozenset(["7995"])]),
    flagged_terminals=st.sampled_from([frozenset(), frozenset(["T1"])]),
    magstripe_threshold=st.sampled_from([-1, 500, 2_000_000]),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Requests of every kind, channel, medium and place, and with parts left untold."""
    country, region = draw(
        st.sampled_from(
            [("CHN", r) for r in REGIONS]
            + [(c, "") for c in COUNTRIES]
            + [("CHN", ""), ("", ""), ("", "44")]
        )
    )
    currency = draw(st.sampled_from(["CNY", "CNY", "CNY", "USD"]))
    has_billing = currency == "USD" and draw(st.booleans())
    return Request(
        kind=draw(st.sampled_from(list(Kind))),
        message_class=draw(st.sampled_from([MessageClass.REQUEST, MessageClass.INCREMENT])),
        channel=draw(st.sampled_from(list(Channel))),
        medium=draw(st.sampled_from(list(Medium))),
        amount_minor=draw(AMOUNTS),
        currency=currency,
        billing_amount_minor=draw(AMOUNTS) if has_billing else -1,
        billing_currency="CNY" if has_billing else "",
        merchant_id=draw(st.sampled_from(["M1", "M2"])),
        mcc=draw(st.sampled_from(["", *MCCS])),
        country=country,
        region=region,
        terminal=draw(st.sampled_from(["T1", "T2"])),
        terminal_flagged=draw(st.booleans()),
        institution=draw(st.sampled_from(["", *INSTITUTIONS])),
        pin_entered=draw(st.booleans()),
    )


@st.composite
def permissions(draw: st.DrawFn, now_ms: int) -> Permission:
    """Permissions that are open now or not, for everything or for little."""
    kind = draw(st.sampled_from(list(PermissionKind)))
    return Permission(
        id=f"p{draw(st.integers(0, 999))}",
        kind=kind,
        from_ms=now_ms + draw(st.sampled_from([-HOUR_MS, HOUR_MS])),
        until_ms=now_ms + 2 * HOUR_MS,
        controls=draw(st.just(()) | _some(sorted(OF_TYPE), 1, 3)),
        countries=draw(st.just(()) | _some(COUNTRIES, 1, 2)),
        regions=draw(st.just(()) | _some(REGIONS, 1, 2)),
        merchant_id=draw(st.sampled_from(["", "M1"])),
        currency=draw(st.sampled_from(["", "CNY"])),
        amount_max=draw(st.sampled_from([-1, 500, 5000])),
        total_max=draw(st.sampled_from([-1, 500, 5000])),
        uses_left=draw(st.sampled_from([-1, 0, 1])),
    )


@st.composite
def files(draw: st.DrawFn, *, held: Controls | None = None) -> tuple[CardState, Moment]:
    """A card's file at a moment: settled, with counters that spends of the last days left."""
    zone = draw(st.sampled_from(ZONES))
    now_ms = START_MS + draw(st.integers(0, 400 * 24)) * HOUR_MS
    profile = Profile(
        "holder",
        "0001",
        "CNY",
        zone,
        draw(st.booleans()),
        "unionpay",
        draw(st.sampled_from([CardStatus.ACTIVE] * 7 + list(CardStatus))),
        START_MS,
    )
    stop = Stop(START_MS, StopSource.SMS, "ZF00000001")
    settings = Settings(
        profile,
        controls=held if held is not None else draw(controls),
        stop=draw(st.sampled_from([None] * 5 + [stop])),
        permissions=tuple(draw(st.lists(permissions(now_ms), max_size=3))),
        bindings=tuple(
            Binding(f"b{n}", name, name, START_MS, draw(st.booleans()), is_licensed=True)
            for n, name in enumerate(INSTITUTIONS)
        ),
    )
    empty = CardState(KEY, 1, START_MS, CHAIN_START, settings)
    usage = UNUSED
    spends = draw(st.lists(st.tuples(requests(), st.integers(0, 30 * 24)), max_size=6))
    for number, (request, hours_ago) in enumerate(sorted(spends, key=lambda s: -s[1])):
        then = Moment(now_ms - hours_ago * HOUR_MS, zone)
        usage = begun(rolled(usage, then), then)
        amount = max(request.amount_minor, 0)
        channels = channels_of(request, empty)
        booking = Booking(amount, 1, channels, then.day, then.week, then.month, then.year)
        usage = moved(usage, booking, amount, 1)
        spend = RollingSpend(then.now_ms, channels, amount, 1, number)
        usage = rolling_added(usage, spend, now_ms - 31 * DAY_MS)
    moment = Moment(now_ms, zone)
    state = CardState(KEY, 1, START_MS, CHAIN_START, settings, rolled(usage, moment))
    return state, moment


def with_controls(state: CardState, held: Controls) -> CardState:
    """The same file with other controls."""
    settings = Settings(
        state.settings.profile,
        controls=held,
        stop=state.settings.stop,
        permissions=state.settings.permissions,
        bindings=state.settings.bindings,
    )
    return CardState(
        state.card_key, state.version, state.last_ms, state.chain, settings, state.usage
    )
