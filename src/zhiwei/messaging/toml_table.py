"""Table: one table of a settings file, read name by name and strictly.

Every value is checked as it is read, and `done` complains of names that nobody asked for, so that a
typing error never becomes a default. Secrets are never shown, neither by `repr` nor in an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, final

from zhiwei.core.errors import ZhiweiError

_SECRET_BYTES_MAX: Final = 4_096
_TEXTS_MAX: Final = 1_000


class MessagesFileError(ZhiweiError):
    """the messages file cannot be used"""


@final
class Table:
    """A table of a file; `place` is its name in the file (`sms.smpp`), empty for the whole file."""

    def __init__(
        self, values: Mapping[str, Any], place: str = "", folder: Path | None = None
    ) -> None:
        """Paths of secrets are relative to `folder` (that of the file; None = where we run)."""
        self._values: Final = values
        self._place: Final = place
        self._folder: Final = folder if folder is not None else Path()
        self._asked: Final[set[str]] = set()
        self._tables: Final[dict[str, Table]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def __repr__(self) -> str:
        return f"Table({self._place!r}, names={sorted(self._values)!r})"

    def path_of(self, name: str) -> str:
        """Where a name stands, for an error: `sms.smpp.host`."""
        return f"{self._place}.{name}" if self._place else name

    def wrong(self, name: str, why: str) -> MessagesFileError:
        """An error about a name, to be raised: "`sms.smpp.host` ..."."""
        return MessagesFileError(f"`{self.path_of(name)}` {why}")

    def text(self, name: str, default: str | None = None, *, longest: int = 1_000) -> str:
        """A text of 1 to `longest` characters; without a default it must be there.

        Raises:
            MessagesFileError: it is missing, no such text, or has control characters.
        """
        value = self._value(name, default)
        return self._text(name, value, longest) if name in self._values else str(value)

    def choice(self, name: str, default: str | None, choices: tuple[str, ...]) -> str:
        """One of a few words.

        Raises:
            MessagesFileError: it is none of them, or missing without a default.
        """
        value = self._value(name, default)
        if value not in choices:
            raise self.wrong(name, f"is one of {', '.join(choices)}")
        return str(value)

    def whole(
        self, name: str, default: int | None = None, low: int = 0, high: int = 1 << 53
    ) -> int:
        """A whole number from `low` to `high`, both included; without a default it must be there.

        Raises:
            MessagesFileError: it is missing, not a whole number, or out of bounds.
        """
        value = self._value(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(name, f"is a whole number from {low} to {high}")
        return value

    def truth(self, name: str, default: bool | None = None) -> bool:
        """True or false; without a default it must be there.

        Raises:
            MessagesFileError: it is missing or something else.
        """
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "is true or false")
        return value

    def texts(
        self, name: str, default: tuple[str, ...] | None = None, *, longest: int = 1_000
    ) -> tuple[str, ...]:
        """A list of texts, each as `text` has them.

        Raises:
            MessagesFileError: it is missing without a default, or no such list.
        """
        value = self._value(name, default)
        if name not in self._values:
            return tuple(value)
        if not isinstance(value, list) or len(value) > _TEXTS_MAX:
            raise self.wrong(name, f"is a list of at most {_TEXTS_MAX} texts")
        return tuple(self._text(name, one, longest) for one in value)

    def secret(self, name: str, default: str | None = None) -> str:
        """A password or key, given in one of three ways.

        As `name` = the secret itself, `name_file` = path of a file that holds it (a line feed at
        the end is left out), or `name_env` = name of an environment variable. Without a default it
        must be there.

        Raises:
            MessagesFileError: it is missing, given twice, unreadable or empty; never shows it.
        """
        given = [one for one in (name, f"{name}_file", f"{name}_env") if one in self._values]
        self._asked.update((name, f"{name}_file", f"{name}_env"))
        if len(given) > 1:
            raise self.wrong(given[1], f"and `{given[0]}` say the same thing; leave one out")
        if not given:
            if default is None:
                raise self.wrong(name, f"is missing (or `{name}_file`, `{name}_env`)")
            return default
        told = self._values[given[0]]
        if not isinstance(told, str) or not told or len(told) > _SECRET_BYTES_MAX:
            raise self.wrong(given[0], "is a text that is not empty")
        if given[0].endswith("_file") and given[0] != name:
            return self._secret_of_file(given[0], told)
        if given[0].endswith("_env") and given[0] != name:
            found = os.environ.get(told, "")
            if not found:
                raise self.wrong(given[0], "names an environment variable that is empty or not set")
            return found
        return told

    def file(self, name: str) -> Path | None:
        """A file, relative to the settings' folder; None where none is named. It must be there.

        Raises:
            MessagesFileError: it is not named by a text, or is no file that can be read.
        """
        if name not in self._values:
            self._asked.add(name)
            return None
        path = self._folder / self.text(name)
        if not path.is_file() or not os.access(path, os.R_OK):
            raise self.wrong(name, "names no file that can be read")
        return path

    def table(self, name: str) -> Table:
        """A table in this one; empty where there is none. The same object each time.

        Raises:
            MessagesFileError: there is something else under the name.
        """
        if name not in self._tables:
            value = self._value(name, {})
            if not isinstance(value, dict):
                raise self.wrong(name, "is a table")
            self._tables[name] = Table(value, self.path_of(name), self._folder)
        return self._tables[name]

    def names(self) -> tuple[str, ...]:
        """The names in it, where they are free (headers); they all count as asked for."""
        self._asked.update(self._values)
        return tuple(self._values)

    def done(self) -> None:
        """Complain of names that nobody asked for, here and in the tables that were asked for.

        Raises:
            MessagesFileError: there is one.
        """
        for name in self._values:
            if name not in self._asked:
                known = ", ".join(sorted(self._asked))
                raise self.wrong(name, f"is not known here; known: {known or 'nothing'}")
        for table in self._tables.values():
            table.done()

    def _value(self, name: str, default: Any) -> Any:  # noqa: ANN401 - of a file, to be checked
        self._asked.add(name)
        value = self._values.get(name, default)
        if value is None:
            raise self.wrong(name, "is missing")
        return value

    def _text(self, name: str, value: object, longest: int) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= longest:
            raise self.wrong(name, f"is a text of 1 to {longest} characters")
        if not value.isprintable():
            raise self.wrong(name, "has control characters")
        return value

    def _secret_of_file(self, name: str, path: str) -> str:
        try:
            with (self._folder / path).open("rb") as file:
                raw = file.read(_SECRET_BYTES_MAX + 1)
            text = raw.decode().removesuffix("\n").removesuffix("\r")
        except OSError as error:
            raise self.wrong(name, f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise self.wrong(name, "is not UTF-8 text") from None
        if not text or len(raw) > _SECRET_BYTES_MAX:
            raise self.wrong(name, f"holds 1 to {_SECRET_BYTES_MAX} bytes")
        return text
