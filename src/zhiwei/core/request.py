"""Request: one question ("may this card do this now?") or one report, after the wire is forgotten.

Every door translates into this one value (SEMANTICS 2). `unknown` is a value: nothing is guessed
here, policy decides what an unknown means.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, final


class MessageClass(IntEnum):
    """What the sender wants of us."""

    #: 0100/0200: asks; may be refused.
    REQUEST = 1
    #: 0120/0220: says that it already happened (stand-in, offline); never refused.
    ADVICE = 2
    #: 0400/0420: takes back an earlier request, wholly or in part (冲正).
    REVERSAL = 3
    #: Raises the amount of an earlier authorization.
    INCREMENT = 4


class Kind(IntEnum):
    """What is to be done with the account. Numbers are stored and never reused."""

    PURCHASE = 1  # 消费
    CASH_WITHDRAWAL = 2  # 取现
    TRANSFER_OUT = 3  # 转出
    PREAUTHORIZATION = 4  # 预授权
    COMPLETION = 5  # 预授权完成
    BALANCE_INQUIRY = 6  # 余额查询
    REFUND = 7  # 退货
    VOID = 8  # 消费撤销 / 预授权撤销
    DEPOSIT = 9  # 存款
    TRANSFER_IN = 10  # 转入
    BINDING = 11  # 快捷支付签约


class Channel(IntEnum):
    """Where it happens. Numbers are stored and never reused."""

    UNKNOWN = 0
    ATM = 1
    POS = 2
    ONLINE = 3
    QUICK_PAY = 4  # 快捷支付
    COUNTER = 5  # 柜面
    DIRECT_DEBIT = 6  # 代扣


class Medium(IntEnum):
    """How the card was presented. Numbers are stored and never reused."""

    UNKNOWN = 0
    CHIP = 1
    CONTACTLESS = 2
    #: By stripe, and the card has no chip (纯磁条卡).
    MAGSTRIPE = 3
    #: A chip card used by its stripe (降级).
    FALLBACK = 4
    MANUAL = 5
    ECOMMERCE = 6
    QR = 7
    CREDENTIAL_ON_FILE = 8
    NONE = 9


class PlaceSource(IntEnum):
    """Which field told the place, so that a refusal can say on what it rests (SEMANTICS 5)."""

    NOT_TOLD = 0
    #: DE19, the acquirer's country.
    ACQUIRER_COUNTRY = 1
    #: DE32 in its form for institutions abroad (0 + ISO 3166 number).
    ACQUIRER_OVERSEAS = 2
    #: The region inside DE42, the merchant number.
    MERCHANT_REGION = 3
    #: The region inside DE32, the institution number.
    ACQUIRER_REGION = 4
    #: The text of DE43.
    MERCHANT_TEXT = 5
    #: Given outright by the caller (HTTP).
    GIVEN = 6


class Initiator(IntEnum):
    """Who started it."""

    CARDHOLDER = 0
    MERCHANT = 1


DEBIT_KINDS: Final = frozenset(
    (
        Kind.PURCHASE,
        Kind.CASH_WITHDRAWAL,
        Kind.TRANSFER_OUT,
        Kind.PREAUTHORIZATION,
        Kind.COMPLETION,
    )
)

#: The same as bits, since nearly every judge asks.
_DEBIT_BITS: Final = sum(1 << kind for kind in DEBIT_KINDS)

#: China (中国大陆): the one country in which a transaction is domestic. Hong Kong, Macao and Taiwan
#: are 境外.
DOMESTIC: Final = "CHN"


@final
class Request:
    """One card message in normal form.

    Texts are empty and numbers negative where nothing was told.
    """

    __slots__ = (
        "acquirer",
        "amount_minor",
        "auth_code",
        "balance_minor",
        "billing_amount_minor",
        "billing_currency",
        "channel",
        "country",
        "currency",
        "forwarder",
        "initiator",
        "institution",
        "kind",
        "local_time",
        "mcc",
        "medium",
        "merchant_id",
        "merchant_name",
        "message_class",
        "pin_entered",
        "place_source",
        "region",
        "rrn",
        "stan",
        "terminal",
        "terminal_flagged",
        "transmitted_at",
        "was_declined",
    )

    def __init__(
        self,
        *,
        kind: Kind,
        message_class: MessageClass = MessageClass.REQUEST,
        channel: Channel = Channel.UNKNOWN,
        medium: Medium = Medium.UNKNOWN,
        amount_minor: int = 0,
        currency: str = "",
        billing_amount_minor: int = -1,
        billing_currency: str = "",
        merchant_id: str = "",
        merchant_name: str = "",
        mcc: str = "",
        country: str = "",
        region: str = "",
        place_source: PlaceSource = PlaceSource.NOT_TOLD,
        acquirer: str = "",
        forwarder: str = "",
        terminal: str = "",
        rrn: str = "",
        stan: str = "",
        transmitted_at: str = "",
        local_time: str = "",
        initiator: Initiator = Initiator.CARDHOLDER,
        institution: str = "",
        terminal_flagged: bool = False,
        pin_entered: bool = False,
        auth_code: str = "",
        balance_minor: int | None = None,
        was_declined: bool = False,
    ) -> None:
        self.kind: Final = kind
        self.message_class: Final = message_class
        self.channel: Final = channel
        self.medium: Final = medium
        #: Transaction amount in minor units of `currency`; at least 0.
        self.amount_minor: Final = amount_minor
        #: ISO 4217 letters of the transaction currency.
        self.currency: Final = currency
        #: Amount in the cardholder's billing currency (DE6), -1 where not told.
        self.billing_amount_minor: Final = billing_amount_minor
        #: ISO 4217 letters of the billing currency (DE51), empty where not told.
        self.billing_currency: Final = billing_currency
        #: Card acceptor id (DE42).
        self.merchant_id: Final = merchant_id
        self.merchant_name: Final = merchant_name
        #: Merchant category code, four digits.
        self.mcc: Final = mcc
        #: ISO 3166-1 alpha-3 of the acceptor's country, empty = unknown.
        self.country: Final = country
        #: GB/T 2260 two digits of the province, empty = unknown.
        self.region: Final = region
        self.place_source: Final = place_source
        #: Acquiring institution (DE32).
        self.acquirer: Final = acquirer
        #: Forwarding institution (DE33).
        self.forwarder: Final = forwarder
        #: Terminal id (DE41).
        self.terminal: Final = terminal
        #: Retrieval reference number (DE37).
        self.rrn: Final = rrn
        #: System trace audit number (DE11).
        self.stan: Final = stan
        #: Transmission date and time as sent (DE7); part of the identity, never a clock.
        self.transmitted_at: Final = transmitted_at
        #: The terminal's own date and time (DE13 + DE12); informative only.
        self.local_time: Final = local_time
        self.initiator: Final = initiator
        #: Payment institution behind a quick-pay debit or a binding (支付机构), empty where not
        #: told.
        self.institution: Final = institution
        #: The terminal is known as non-standard (非标终端) or was flagged by the issuer.
        self.terminal_flagged: Final = terminal_flagged
        self.pin_entered: Final = pin_entered
        #: Authorization code of the original (DE38), for completions.
        self.auth_code: Final = auth_code
        #: Available balance after the transaction where the sender told it (DE54), minor units.
        self.balance_minor: Final = balance_minor
        #: Advices only: the stand-in had declined it, so there is nothing to book.
        self.was_declined: Final = was_declined

    @property
    def is_domestic(self) -> bool:
        """Known to be in the Chinese mainland.

        A province says so even where the country is missing.
        """
        return self.country == DOMESTIC or (not self.country and bool(self.region))

    @property
    def is_debit(self) -> bool:
        """Money would leave the account."""
        return bool(_DEBIT_BITS >> self.kind & 1)

    @property
    def is_abroad(self) -> bool:
        """Known to be outside the Chinese mainland (境外); Hong Kong, Macao and Taiwan are."""
        return bool(self.country) and self.country != DOMESTIC

    @property
    def is_card_not_present(self) -> bool:
        """Online or quick pay: the card itself is not there (无卡)."""
        return self.channel is Channel.ONLINE or self.channel is Channel.QUICK_PAY

    @property
    def may_be_offline(self) -> bool:
        """An offline transaction (线下交易), or one whose channel is unknown and so could be one.

        Offline := ATM cash withdrawal, ATM transfer-out, POS purchase, new POS pre-authorization. A
        completion that is judged at all has no known pre-authorization, and is the purchase itself.
        """
        channel = self.channel
        kind = self.kind
        if channel is Channel.ATM:
            return kind is Kind.CASH_WITHDRAWAL or kind is Kind.TRANSFER_OUT
        if channel is Channel.POS:
            return kind is Kind.PURCHASE or kind is Kind.PREAUTHORIZATION or kind is Kind.COMPLETION
        return channel is Channel.UNKNOWN and kind in DEBIT_KINDS

    @property
    def may_be_card_not_present(self) -> bool:
        """A debit without the card, or one whose channel is unknown and so could be one."""
        channel = self.channel
        if channel is Channel.ONLINE or channel is Channel.QUICK_PAY or channel is Channel.UNKNOWN:
            return self.is_debit
        return False
