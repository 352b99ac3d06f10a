"""Template: an issuer's description of a gateway's request, filled in without ever breaking out.

`{to}`, `{text}`, `{id}`, `{sender}` and `{secret}` stand in a URL, in a form, or in the strings of
a JSON body. The template is taken apart first and filled in afterwards, so that no text of a
message can become a field, a path or a quote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from zhiwei.core.errors import ZhiweiError

NAMES: Final = ("to", "number", "text", "id", "sender", "secret")
_PLACE: Final = re.compile(r"\{(\w+)\}")
_DEPTH_MAX: Final = 16


class TemplateError(ZhiweiError):
    """the template cannot be used"""


@dataclass(frozen=True)
class Template:
    """What a request is made from."""

    url: str
    #: Name and value of each field of a form; empty = there is no form.
    form: tuple[tuple[str, str], ...] = ()
    #: A JSON value; None = there is none.
    body: Any = None

    def url_for(self, values: Mapping[str, str]) -> str:
        """The URL, with every value percent-encoded whole."""
        return _PLACE.sub(lambda place: quote(values[place[1]], safe=""), self.url)

    def body_for(self, values: Mapping[str, str]) -> tuple[bytes, str]:
        """The body and its media type; both empty where there is none."""
        if self.form:
            fields = [(name, _filled(value, values)) for name, value in self.form]
            return urlencode(fields).encode(), "application/x-www-form-urlencoded"
        if self.body is not None:
            filled = json.dumps(_filled_deep(self.body, values), ensure_ascii=False)
            return filled.encode("utf-8", "replace"), "application/json"
        return b"", ""


def template_of(url: str, form: str, body: str) -> Template:
    """Check and take apart a template.

    Args:
        url: `https://host/path?to={to}`; scheme and host are fixed.
        form: `mobile={to}&content={text}`, empty = none.
        body: JSON with placeholders in its strings, empty = none.

    Raises:
        TemplateError: it is not well-formed, or has a placeholder that is not known.
    """
    if form and body:
        raise TemplateError("a form and a JSON body exclude each other")
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not url.isascii() or " " in url or "{" in url[: url.find("/", 8)]:
        raise TemplateError("the address is http or https with a fixed host")
    try:
        fields = parse_qsl(form, keep_blank_values=True, strict_parsing=True) if form else []
        value = json.loads(body) if body else None
    except (ValueError, RecursionError):
        raise TemplateError("the form or the JSON body is not well-formed") from None
    for text in (url, form, body):
        for name in _PLACE.findall(text):
            if name not in NAMES:
                known = ", ".join(f"{{{one}}}" for one in NAMES)
                raise TemplateError(f"`{{{name}}}` is not known; known: {known}")
    _check_depth(value, 0)
    return Template(url, tuple(fields), value)


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: values[place[1]], template)


def _filled_deep(template: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(template, str):
        return _filled(template, values)
    if isinstance(template, list):
        return [_filled_deep(one, values) for one in template]
    if isinstance(template, dict):
        return {name: _filled_deep(one, values) for name, one in template.items()}
    return template


def _check_depth(value: object, depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise TemplateError("the JSON body is nested too deep")
    if isinstance(value, list):
        for one in value:
            _check_depth(one, depth + 1)
    elif isinstance(value, dict):
        for one in value.values():
            _check_depth(one, depth + 1)
