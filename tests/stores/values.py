"""Random values of everything that is stored, for tests of their bytes."""

from __future__ import annotations

import dataclasses
import inspect
from enum import Enum
from typing import Any

from hypothesis import strategies as st

from tests.stores.cases import SHANGHAI
from zhiwei.core import command as commands
from zhiwei.core.card_state import (
    Binding,
    CardState,
    CardStatus,
    Challenge,
    ChallengeState,
    Hold,
    InquirySeen,
    PendingChange,
    Permission,
    PermissionKind,
    Profile,
    Settings,
    Stop,
    StopSource,
)
from zhiwei.core.command import Actor, Command, Original, Via
from zhiwei.core.controls import (
    CONTROL_TYPES,
    BalanceChangeAlert,
    BalanceInquiryAlert,
    CardLock,
    CategoryLock,
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
from zhiwei.core.entry import Entry, Group, GroupState, LimitReport
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.reason import Reason
from zhiwei.core.request import (
    Channel,
    Initiator,
    Kind,
    Medium,
    MessageClass,
    PlaceSource,
    Request,
)
from zhiwei.core.usage import (
    CHANNELS,
    NOTHING_SPENT,
    UNUSED,
    Booking,
    RollingSpend,
    Spent,
    Usage,
)
from zhiwei.core.windows import DailyWindow
from zhiwei.core.zone import DAY_MS
from zhiwei.stores.coding.entry import (
    Filing,
)

KEY = bytes(range(16))


def parts(value: Any) -> Any:  # noqa: ANN401 - anything that is kept
    """A value as plain tuples, its class first, so that two of them compare."""
    if isinstance(value, Enum):
        return (type(value).__name__, value.name)
    if isinstance(value, tuple | list):
        return tuple(parts(item) for item in value)
    if isinstance(value, dict):
        return tuple((key, parts(item)) for key, item in sorted(value.items()))
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return (type(value).__name__, *(parts(getattr(value, name)) for name in names))
    # A compiled class does not tell its slots; its attributes are descriptors.
    slots = getattr(type(value), "__slots__", ()) or [
        name for name, kept in vars(type(value)).items() if inspect.isgetsetdescriptor(kept)
    ]
    if slots and type(value).__module__.startswith("zhiwei."):
        return (type(value).__name__, *(parts(getattr(value, name)) for name in slots))
    return value


texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.text("abcdefgh_0123456789", max_size=12)
numbers = st.integers(0, 2**53)
small = st.integers(0, 1000)
money = st.integers(-(10**15), 10**15)
digests = st.binary(min_size=16, max_size=16)
flags = st.booleans()

windows = st.builds(DailyWindow, st.integers(0, DAY_MS // 2 - 1), st.integers(DAY_MS // 2, DAY_MS))
places = st.lists(st.sampled_from(["USA", "JPN", "HKG", "MAC"]), unique=True, max_size=3)
limits = st.builds(
    Limit,
    st.sampled_from(LimitChannel),
    st.just(Measure.COUNT),
    st.sampled_from([Period.DAY, Period.WEEK, Period.MONTH, Period.YEAR]),
    small,
) | st.builds(
    Limit,
    st.sampled_from(LimitChannel),
    st.just(Measure.AMOUNT),
    st.just(Period.ROLLING),
    numbers.map(lambda n: n % 10**15),
    st.integers(10, 2_678_400),
)
CONTROLS: dict[str, st.SearchStrategy[Any]] = {
    "region_lock": st.lists(
        st.sampled_from(["11", "31", "41", "44"]), unique=True, min_size=1, max_size=3
    ).map(lambda codes: RegionLock(tuple(codes))),
    "overseas_lock": places.map(lambda codes: OverseasLock(tuple(codes))),
    "night_lock": st.builds(
        NightLock, windows, st.sampled_from(Scope), st.sampled_from(["", "Asia/Tokyo"])
    ),
    "online_lock": st.builds(OnlineLock, st.none() | windows),
    "overseas_online_lock": st.just(OverseasOnlineLock()),
    "category_lock": st.lists(st.integers(0, 9999), unique=True, min_size=1, max_size=5).map(
        lambda codes: CategoryLock(tuple(f"{code:04d}" for code in codes))
    ),
    "card_lock": st.just(CardLock()),
    "limits": st.builds(
        Limits,
        st.lists(limits, min_size=1, max_size=5, unique_by=lambda limit: limit.slot).map(tuple),
        flags,
    ),
    "magstripe_verification": st.builds(MagstripeVerification, small),
    "large_spend_verification": st.builds(LargeSpendVerification, small),
    "balance_inquiry_alert": st.just(BalanceInquiryAlert()),
    "balance_change_alert": st.builds(
        BalanceChangeAlert,
        small,
        st.lists(st.sampled_from(["sms", "app", "email"]), unique=True).map(tuple),
    ),
    "decline_alert": st.just(DeclineAlert()),
}
typed_controls = st.one_of(
    *[st.tuples(st.just(kind), control) for kind, control in CONTROLS.items()]
)
words = st.lists(names, max_size=3).map(tuple)
permissions = st.builds(
    Permission,
    texts,
    st.sampled_from(PermissionKind),
    numbers,
    numbers,
    words,
    words,
    words,
    texts,
    names,
    money,
    money,
    money,
    st.integers(-1, 5),
    numbers,
)
profiles = st.builds(
    Profile,
    texts,
    st.just("1111"),
    st.sampled_from(["CNY", "JPY"]),
    st.just(SHANGHAI),
    flags,
    st.sampled_from(["unionpay", "visa"]),
    st.sampled_from(CardStatus),
    numbers,
)
settings_ = st.builds(
    Settings,
    profiles,
    st.fixed_dictionaries({}, optional=CONTROLS).map(lambda chosen: Controls(**chosen)),
    st.lists(
        st.builds(
            lambda typed, at, asked, who: PendingChange(typed[0], typed[1], at, asked, who),
            typed_controls | names.map(lambda name: (name, None)),
            numbers,
            numbers,
            texts,
        ),
        max_size=3,
    ).map(tuple),
    st.none() | st.builds(Stop, numbers, st.sampled_from(StopSource), texts),
    st.lists(permissions, max_size=3).map(tuple),
    st.lists(
        st.builds(
            Challenge,
            texts,
            texts,
            st.sampled_from(ChallengeState),
            numbers,
            numbers,
            numbers,
            texts,
            texts,
            money,
            names,
            words,
            words,
            numbers,
            names,
        ),
        max_size=3,
    ).map(tuple),
    st.lists(
        st.builds(Binding, texts, texts, texts, numbers, flags, flags, numbers), max_size=3
    ).map(tuple),
    numbers,
    numbers,
)
bookings = st.builds(Booking, money, small, small, small, small, small, small)
some_bookings = st.lists(bookings, max_size=3).map(tuple)
spent = st.just(NOTHING_SPENT) | st.builds(Spent, *[money | small] * 8)
usages = st.just(UNUSED) | st.builds(
    Usage,
    st.integers(1, 30_000),
    small,
    small,
    small,
    st.tuples(*[spent] * CHANNELS),
    st.lists(st.builds(RollingSpend, numbers, small, money, small, small), max_size=4).map(tuple),
)
states = st.builds(
    CardState,
    st.just(KEY),
    st.integers(1, 2**31),
    numbers,
    digests,
    settings_,
    usages,
    st.lists(
        st.builds(Hold, small, numbers, money, names, texts, some_bookings, st.booleans()),
        max_size=3,
        unique_by=lambda hold: hold.group,
    ).map(tuple),
    st.lists(st.builds(InquirySeen, texts, numbers, small), max_size=3).map(tuple),
)
requests = st.builds(
    Request,
    kind=st.sampled_from(Kind),
    message_class=st.sampled_from(MessageClass),
    channel=st.sampled_from(Channel),
    medium=st.sampled_from(Medium),
    amount_minor=numbers,
    currency=names,
    billing_amount_minor=money,
    billing_currency=names,
    merchant_id=texts,
    merchant_name=texts,
    mcc=names,
    country=names,
    region=names,
    place_source=st.sampled_from(PlaceSource),
    acquirer=names,
    forwarder=names,
    terminal=texts,
    rrn=names,
    stan=names,
    transmitted_at=names,
    local_time=names,
    initiator=st.sampled_from(Initiator),
    institution=texts,
    terminal_flagged=flags,
    pin_entered=flags,
    auth_code=names,
    balance_minor=st.none() | money,
    was_declined=flags,
)
CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "Register": st.builds(commands.Register, profiles),
    "UpdateCard": st.builds(
        commands.UpdateCard, st.none() | st.sampled_from(CardStatus), st.none() | flags, flags
    ),
    "SetControl": st.builds(
        lambda typed, etag, new: commands.SetControl(typed[0], typed[1], etag, new),
        typed_controls,
        texts,
        flags,
    ),
    "RemoveControl": st.builds(commands.RemoveControl, st.sampled_from(CONTROL_TYPES), texts),
    "CancelPending": st.builds(commands.CancelPending, names),
    "PlaceStop": st.builds(commands.PlaceStop, st.sampled_from(StopSource)),
    "LiftStop": st.builds(commands.LiftStop, st.none() | st.sampled_from(StopSource)),
    "GrantPermission": st.builds(commands.GrantPermission, permissions),
    "RevokePermission": st.builds(commands.RevokePermission, texts),
    "AnswerChallenge": st.builds(commands.AnswerChallenge, texts, flags),
    "MarkUndeliverable": st.builds(commands.MarkUndeliverable, texts),
    "SwitchBinding": st.builds(commands.SwitchBinding, texts, flags),
    "RemoveBinding": st.builds(commands.RemoveBinding, texts),
    "Post": st.builds(commands.Post, money, st.none() | money, texts, texts, texts, texts, texts),
}
originals = st.builds(
    Original,
    version=small,
    trace_key=st.just(b"") | digests,
    auth_code=names,
    rrn=names,
    terminal=texts,
    replacement_minor=money,
)
actors = st.just(commands.NETWORK) | st.builds(Actor, texts, st.sampled_from(Via), flags, flags)
orders = st.builds(
    Command,
    st.just(KEY),
    request=st.none() | requests,
    change=st.none() | st.one_of(*CHANGES.values()),
    original=st.none() | originals,
    actor=actors,
    idempotency_key=st.just(b"") | digests,
    nonce=st.binary(max_size=8),
)
findings = st.builds(
    Finding,
    st.sampled_from(Outcome),
    st.sampled_from(Reason),
    names,
    st.lists(st.tuples(names, money | texts), max_size=3).map(tuple),
    texts,
)
entries = st.builds(
    Entry,
    version=st.integers(1, 2**31),
    now_ms=numbers,
    filed_ms=numbers,
    command=orders,
    outcome=st.sampled_from(Outcome),
    policy_version=texts,
    findings=st.lists(findings, max_size=3).map(tuple),
    asked=small,
    group=st.none()
    | st.builds(Group, small, st.sampled_from(GroupState), some_bookings, money, money),
    auth_code=names,
    challenge_id=texts,
    duplicate_of=small,
    limits=st.lists(st.builds(LimitReport, *[numbers] * 7), max_size=4).map(tuple),
    flags=small,
    note=texts,
)
filings = st.builds(
    Filing, st.lists(digests, max_size=3).map(tuple), st.lists(small, max_size=4).map(tuple)
)
