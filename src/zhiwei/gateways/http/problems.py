"""Problems: the one shape of every answer that is not a success (RFC 9457).

    {"type": "/docs/problems#card_not_found", "title": "…", "status": 404,
     "code": "card_not_found", "detail": "…", "request_id": "req_…",
     "errors": [{"pointer": "/card", "code": "…", "detail": "…"}]}

The catalogue below is closed: a code has one status and one title, and the tests walk all of them.
No problem repeats what was sent, except in ways that cannot carry a card number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException

from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.result import Rejection
from zhiwei.gateways.http.masking import masked

MEDIA_TYPE: Final = "application/problem+json"
DETAIL_MAX: Final = 300

#: Code → status and title.
CATALOGUE: Final[dict[str, tuple[int, str]]] = {
    # 400: the request cannot be read.
    "malformed_json": (400, "The body is not JSON as RFC 8259 has it"),
    "malformed_request": (400, "A field is missing, unknown or of the wrong type"),
    "unknown_parameter": (400, "A query parameter is unknown"),
    "bad_idempotency_key": (400, "The Idempotency-Key is not 1 to 255 visible ASCII characters"),
    "bad_precondition": (400, "If-Match or If-None-Match cannot be read"),
    "bad_http": (400, "The HTTP message cannot be read"),
    # 401, 403: who asks.
    "unauthorized": (401, "A valid key is needed"),
    "forbidden_scope": (403, "The scope of the key does not allow this call"),
    "strong_authentication_required": (403, "A loosening needs strong authentication"),
    "second_officer_required": (403, "Somebody else than the proposer must adopt this change"),
    "not_the_proposer": (403, "Only who proposed a change may withdraw it"),
    "staff_only": (403, "Only the issuer or an operator may do this"),
    "not_by_sms": (403, "This cannot be done by SMS"),
    # 404: nothing there, or nothing that this key may see.
    "route_not_found": (404, "There is no such resource"),
    "card_not_found": (404, "There is no such card"),
    "cardholder_not_found": (404, "There is no such cardholder"),
    "control_not_found": (404, "The control is not set"),
    "unknown_control_type": (404, "There is no such type of control"),
    "pending_not_found": (404, "No loosening of this control is waiting"),
    "challenge_not_found": (404, "There is no such challenge"),
    "permission_not_found": (404, "There is no such exception"),
    "binding_not_found": (404, "There is no such binding"),
    "original_not_found": (404, "The original is not known"),
    "authorization_not_found": (404, "There is no such authorization"),
    "posting_not_found": (404, "There is no such posting"),
    "stop_not_found": (404, "There is no stop of this kind"),
    "checkup_not_found": (404, "There is no such security check-up"),
    "event_not_found": (404, "There is no such event"),
    "subscription_not_found": (404, "There is no such event subscription"),
    "policy_change_not_found": (404, "There is no such change of the policy"),
    "contact_not_found": (404, "There is no such trusted contact"),
    "message_not_found": (404, "There is no such message"),
    "messaging_off": (404, "This server sends no messages"),
    # 405 and other protocol answers.
    "method_not_allowed": (405, "The resource does not know this method"),
    "request_timeout": (408, "The body did not arrive in time"),
    "body_too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "Bodies are application/json"),
    # 409: not in the state that things are in.
    "same_key_other_body": (409, "The Idempotency-Key was used with another body"),
    "same_key_in_progress": (409, "A request with this Idempotency-Key is still running"),
    "challenge_expired": (409, "The challenge has expired"),
    "challenge_already_answered": (409, "The challenge was answered before"),
    "already_reversed": (409, "The authorization was reversed before"),
    "too_many_permissions": (409, "The card has too many exceptions"),
    "too_many_bindings": (409, "The card has too many bindings"),
    "too_many_contacts": (409, "The cardholder has too many trusted contacts"),
    "subscription_disabled": (409, "The event subscription is switched off"),
    "message_not_replayable": (409, "The message is in a state in which it is not sent again"),
    "policy_fixed": (409, "Policy or response codes are files that the server was started with"),
    "policy_stale": (409, "Another version of the policy was adopted meanwhile"),
    "policy_unchanged": (409, "Nothing differs from the policy in force"),
    "policy_change_decided": (409, "The change was adopted, rejected or withdrawn before"),
    "too_many_policy_changes": (409, "Too many changes of the policy are open"),
    "card_is_closed": (409, "A closed card stays closed"),
    # 412, 428: preconditions.
    "precondition_failed": (412, "The control was changed in between"),
    "precondition_required": (428, "Say which state the change starts from"),
    # 422: well-formed, but not allowed.
    "not_allowed": (422, "A value lies outside what the rules allow"),
    "permission_not_allowed": (422, "The exception lies outside what the issuer allows"),
    # 429, 5xx: later, perhaps.
    "too_many_requests": (429, "Too many requests at once with this key"),
    "too_many_invitations": (429, "Too many invitations, or one that was refused lately"),
    "internal_error": (500, "Something went wrong inside; it was recorded"),
    "card_unreadable": (500, "The card's file fails its checksum; nothing more is written to it"),
    "unavailable": (503, "The guardian cannot take this now; nothing was done"),
    "outcome_unknown": (503, "It is not known whether this was done; ask again with the same key"),
}

_BY_STATUS: Final[dict[int, str]] = {
    400: "bad_http",
    401: "unauthorized",
    404: "route_not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    503: "unavailable",
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where (JSON pointer, RFC 6901; empty = the whole)."""

    pointer: str
    code: str
    detail: str

    def document(self) -> dict[str, str]:
        """As the API shows it."""
        return {
            "pointer": masked(self.pointer, 200),
            "code": masked(self.code),
            "detail": masked(self.detail, DETAIL_MAX),
        }


class Problem(HTTPException):
    """An answer that is not a success; `code` is one of CATALOGUE."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: tuple[Fault, ...] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        status, title = CATALOGUE[code]
        super().__init__(status, detail or title, dict(headers or {}))
        self.code: Final = code
        self.title: Final = title
        self.errors: Final = errors
        self.extra: Final = dict(extra or {})

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem document."""
        return {
            "type": f"/docs/problems#{self.code}",
            "title": self.title,
            "status": self.status_code,
            "code": self.code,
            "detail": masked(self.detail, DETAIL_MAX),
            "errors": [fault.document() for fault in self.errors],
            **self.extra,
            "request_id": request_id,
        }


def problem_of_rejection(rejection: Rejection) -> Problem:
    """What a command's rejection is called here; every rejection has its name in the catalogue."""
    return Problem(rejection.code, _REMEDIES.get(rejection.code, ""))


def problem_of_value(error: NotAllowedValueError, under: str = "") -> Problem:
    """A value that the rules do not allow; `under` is where the settings stand in the body."""
    fault = Fault(under + error.pointer, error.code, str(error))
    return Problem("not_allowed", str(error), errors=(fault,))


def problem_of_status(status: int, headers: Mapping[str, str] | None) -> Problem:
    """A problem for an answer of the framework's own, which knows only a status."""
    code = _BY_STATUS.get(status, "bad_http" if status < 500 else "internal_error")
    detail = ""
    if status == 405 and headers and "Allow" in headers:
        detail = f"this resource knows {headers['Allow']}"
    return Problem(code, detail, headers=headers)


#: What one can do about it, where that is not plain.
_REMEDIES: Final[dict[str, str]] = {
    "strong_authentication_required": (
        "authenticate the cardholder strongly, then send the call with an issuer key and"
        " `Authentication-Strength: strong`"
    ),
    "precondition_failed": "read the control again and send its new ETag in `If-Match`",
    "same_key_other_body": "send a new `Idempotency-Key`, or the very same body",
}
