"""Letter: a message as an e-mail, the same bytes each time, and never a header that was not meant.

Whatever stands in a name, a subject or an address cannot begin a new line of the header: subjects
are put on one line, and an address that is not exactly one address is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from zhiwei.core.errors import ZhiweiError
from zhiwei.messaging.model import Message

#: RFC 5321: a path has at most 256 characters with its brackets.
_ADDRESS_MAX: Final = 254
_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9-]*[A-Za-z0-9]"
)
_SUBJECT_MAX: Final = 200


class BadAddressError(ZhiweiError):
    """an e-mail address cannot be written to"""


@dataclass(frozen=True)
class From:
    """Who writes."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        """What stands behind the @."""
        return self.address.rpartition("@")[2]


def plain_address(text: str) -> str:
    """The address in ASCII, a domain of other letters as its `xn--` form.

    Raises:
        BadAddressError: it is not one address, or its local part has other letters, which most
            servers do not take.
    """
    local, at, domain = text.rpartition("@")
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            raise BadAddressError from None
    plain = f"{local}@{domain}"
    is_good = at and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)
    if not is_good or len(plain) > _ADDRESS_MAX or len(local) > 64:
        raise BadAddressError
    return plain


def letter(message: Message, sender: From, recipient: str) -> bytes:
    """The e-mail of a message, ready for DATA; ASCII only, lines end in CR LF.

    The Message-ID follows from the message's id, and the date is that of its event, so that a
    repeat can be told by any mail program.

    Args:
        message: subject and text are used.
        sender: who writes.
        recipient: what `plain_address` gave.
    """
    made = EmailMessage(policy=SMTP)
    made["From"] = Address(_one_line(sender.name), addr_spec=sender.address)
    made["To"] = Address(addr_spec=recipient)
    made["Subject"] = _one_line(message.subject)[:_SUBJECT_MAX] or _one_line(message.kind)
    made["Date"] = datetime.fromtimestamp(message.created_ms // 1_000, UTC)
    made["Message-ID"] = f"<{message.id}@{sender.domain}>"
    # RFC 3834: holiday replies and the like stay away.
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"
    made.set_content(message.text, charset="utf-8", cte="base64")
    # After the content, which takes away every header about content that was there before.
    made["Content-Language"] = message.language
    return made.as_bytes()


def _one_line(text: str) -> str:
    """The text on one line, without what mail programs and the standard library would decode.

    `=?utf-8?q?=0D=0A...?=` is a line break in disguise (RFC 2047), and the library falls for it.
    """
    text = "".join(c if c.isprintable() else " " for c in text).replace("=?", "= ?")
    return " ".join(text.split())
