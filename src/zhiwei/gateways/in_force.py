"""InForce: the policy and the response codes that hold now, as one value that is switched at once.

A file that the server was started with holds before anything else (policy as code); else what was
adopted last and is kept with the data; else what is shipped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Final

from zhiwei.core.policy import DEFAULT_POLICY, Policy
from zhiwei.core.policy_order import loosens
from zhiwei.gateways.response_codes import ResponseCodes, restored
from zhiwei.gateways.response_codes import load as load_response_codes
from zhiwei.policy_file import PolicyError, field_of, policy_of_stored, settings_of, stored_text
from zhiwei.ports import PolicyChange, Reader

ADOPTED: Final = "adopted"
_CHUNK: Final = 100
_DIGEST_BYTES: Final = 4


@dataclass(frozen=True)
class Difference:
    """One setting, or one response code, that is not the same in two versions."""

    #: Name as in the policy file, or `response_codes.visa.answers.challenge`.
    setting: str
    #: As JSON has it; None = there was none.
    old: Any
    new: Any
    #: Something could be approved afterwards that was refused before.
    loosens: bool


@dataclass(frozen=True)
class InForce:
    """What holds now. Whoever reads it twice may find two versions; read it once."""

    policy: Policy
    codes: ResponseCodes
    #: How many versions were adopted up to this one; 0 = it is none of them.
    number: int = 0
    #: When it was adopted (UTC ms); 0 = it is a file, or shipped.
    since_ms: int = 0
    #: What was given as a file, and so cannot be changed here: `policy`, `response_codes`.
    fixed: tuple[str, ...] = ()
    #: Response codes by version of the policy, for answers that were given before.
    codes_by_version: Mapping[str, ResponseCodes] = field(default_factory=dict)

    def codes_of(self, version: str) -> ResponseCodes:
        """The tables that held with a version of the policy; those of now where nobody knows."""
        return self.codes_by_version.get(version, self.codes)

    def followed_by(self, policy: Policy, codes: ResponseCodes, now_ms: int) -> InForce:
        """What holds once these are adopted."""
        by_version = {**self.codes_by_version, policy.version: codes}
        return replace(
            self,
            policy=policy,
            codes=codes,
            number=self.number + 1,
            since_ms=now_ms,
            codes_by_version=by_version,
        )


def in_force_of(
    reader: Reader, policy: Policy | None = None, codes: ResponseCodes | None = None
) -> InForce:
    """What holds on these data; `policy` and `codes` are what the operator gave as files.

    Raises:
        PolicyError, ResponseCodesError: what was adopted last cannot be read.
    """
    fixed = (() if policy is None else ("policy",)) + (() if codes is None else ("response_codes",))
    changes = adopted(reader)
    shipped = load_response_codes()
    by_version: dict[str, ResponseCodes] = {}
    last = DEFAULT_POLICY, shipped
    if codes is None:
        by_version[DEFAULT_POLICY.version] = shipped
    for change in reversed(changes):
        last = content_of(change.text)
        if codes is None:
            by_version[change.version] = last[1]
    newest = changes[0] if changes and not fixed else None
    return InForce(
        last[0] if policy is None else policy,
        last[1] if codes is None else codes,
        0 if newest is None else newest.number,
        0 if newest is None else newest.decided_ms,
        fixed,
        by_version,
    )


def adopted(reader: Reader) -> list[PolicyChange]:
    """All changes that were adopted, the latest first."""
    found: list[PolicyChange] = []
    before = ""
    while True:
        chunk = reader.records(PolicyChange, subject=ADOPTED, before=before, limit=_CHUNK)
        found.extend(chunk)
        if len(chunk) < _CHUNK:
            return sorted(found, key=lambda change: -change.number)
        before = chunk[-1].id


def named(name: str, policy: Policy, codes: ResponseCodes) -> Policy:
    """The policy under the version that its name and the whole content give."""
    content = stored_text(replace(policy, version="")) + json.dumps(
        codes.document(), sort_keys=True
    )
    digest = blake2b(content.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return replace(policy, version=f"{name}-{digest}")


def content_text(policy: Policy, codes: ResponseCodes) -> str:
    """Policy and response codes as JSON, to be kept."""
    document = {"policy": json.loads(stored_text(policy)), "response_codes": codes.document()}
    return json.dumps(document, sort_keys=True)


def content_of(text: str) -> tuple[Policy, ResponseCodes]:
    """What `content_text` kept.

    Raises:
        PolicyError, ResponseCodesError: the text cannot be read.
    """
    try:
        document = json.loads(text)
        policy_text, tables = json.dumps(document["policy"]), document["response_codes"]
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"a kept change of the policy cannot be read: {error}") from None
    return policy_of_stored(policy_text), restored(tables)


def differences(
    old: tuple[Policy, ResponseCodes], new: tuple[Policy, ResponseCodes]
) -> tuple[Difference, ...]:
    """What differs, settings first; names of versions do not count."""
    before, after = settings_of(old[0]), settings_of(new[0])
    looser = loosens(old[0], new[0])
    found = [
        Difference(name, before[name], after[name], field_of(name) in looser)
        for name in before
        if before[name] != after[name]
    ]
    codes_before, codes_after = _flat(old[1]), _flat(new[1])
    found.extend(
        Difference(name, codes_before.get(name), codes_after.get(name), loosens=False)
        for name in dict.fromkeys((*codes_before, *codes_after))
        if codes_before.get(name) != codes_after.get(name)
    )
    return tuple(found)


def _flat(codes: ResponseCodes) -> dict[str, str]:
    return {
        f"response_codes.{network}.{part}.{name}": code
        for network, table in codes.document().items()
        for part, rows in table.items()
        for name, code in rows.items()
    }
