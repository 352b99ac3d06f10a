"""Signatures: a call that proves itself by Standard Webhooks headers instead of a key.

For web gateways that cannot send our `Authorization` header. The signature covers `webhook-id`,
`webhook-timestamp` and the body; a timestamp more than five minutes away from the machine's time is
refused, and whoever holds the secret reaches the signed calls alone, as an operator would: it
tightens and loosens nothing. Which of the ways a signature is wrong is not told.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request
from standardwebhooks import Webhook, WebhookVerificationError

from zhiwei.gateways.http.caller import Caller
from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.keys import OPERATOR
from zhiwei.gateways.http.problems import Problem
from zhiwei.ports import ApiKey

#: The scheme's name in the OpenAPI document.
SIGNATURE: Final = "signature"
#: What the vault derives the secret from where the operator configured none.
PURPOSE: Final = "inbound|http"
_SIGNER: Final = ApiKey("signed_gateway", 0, "", OPERATOR)
_ID: Final = re.compile(r"[!-~]{1,255}", re.ASCII)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNATURES_MAX: Final = 2048
_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")


def is_signed(request: Request) -> bool:
    """Whether a call wants to be judged by its signature: it has one, and no key."""
    return "webhook-signature" in request.headers and "authorization" not in request.headers


async def signed_caller(request: Request, house: House) -> Caller:
    """Who signed the call.

    Raises:
        Problem: `unauthorized`.
    """
    headers = {name: request.headers.getlist(name) for name in _HEADERS}
    if any(len(values) != 1 for values in headers.values()):
        raise _unauthorized()
    single = {name: values[0] for name, values in headers.items()}
    body = await request.body()
    secrets = house.inbound_secrets or (house.vault.derived_secret(PURPOSE),)
    if not any(_is_right(secret, single, body) for secret in secrets):
        raise _unauthorized()
    return Caller(_SIGNER, is_strong=False)


def signed_id(request: Request, caller: Caller) -> str:
    """The `webhook-id` of a signed call; empty for a call with a key."""
    return request.headers["webhook-id"] if caller.key is _SIGNER else ""


def _is_right(secret: bytes, headers: dict[str, str], body: bytes) -> bool:
    """Whether a secret made this signature just now."""
    has_form = (
        _ID.fullmatch(headers["webhook-id"])
        and _TIMESTAMP.fullmatch(headers["webhook-timestamp"])
        and len(headers["webhook-signature"]) <= _SIGNATURES_MAX
    )
    if not has_form:
        return False
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        # The library meets malformed signatures and bodies that are no UTF-8 with a ValueError.
        return False
    return True


def _unauthorized() -> Problem:
    detail = "sign the call as Standard Webhooks has it, or send `Authorization: Bearer <key>`"
    return Problem("unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="zhiwei"'})
