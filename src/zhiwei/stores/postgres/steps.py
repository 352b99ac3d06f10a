"""Steps: what leads from each schema to the next, in two halves, so that servers go one by one.

- `NNNN.pre.sql` (or `NNNN.sql`) only adds: tables with their indexes, sequences, columns that may
  be null. The first server of a newer version runs it at its start, while older ones go on serving:
  they do not see what was added, and the newer version works with rows in which it is missing.
- `NNNN.post.sql` is what only works when no server is left that knows less than NNNN: dropping
  what nobody reads any more, `not null`, checks. `zhiwei migrate --finish` runs it. A version works
  before and after the `post` of each number that it knows.

So a program serves a schema that is newer than itself, as long as no newer `post` was run: a
version can be rolled out server by server, and rolled back. Servers hold a shared lock under their
own number while they are connected (`serve_schema`), and finishing asks for those below it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

PACKAGE: Final = "zhiwei.stores.postgres"
_NAME: Final = re.compile(r"(\d{4})(?:\.(pre|post))?\.sql")


@dataclass(frozen=True)
class Steps:
    """Scripts by the number of the schema that they lead to, in order."""

    pre: dict[int, str]
    post: dict[int, str]

    @property
    def newest(self) -> int:
        """The schema that the program is written for."""
        return max(self.pre)

    @property
    def finished(self) -> int:
        """The last number that has a `post`; 0 = none has."""
        return max(self.post, default=0)


@cache
def known_steps() -> Steps:
    """The steps that this version of the program comes with."""
    halves: dict[str, dict[int, str]] = {"pre": {}, "post": {}}
    for file in sorted((files(PACKAGE) / "migrations").iterdir(), key=lambda file: file.name):
        match = _NAME.fullmatch(file.name)
        if match is not None:
            half = halves[match[2] or "pre"]
            assert int(match[1]) not in half, f"two files make schema {match[1]}"
            half[int(match[1])] = file.read_text(encoding="utf-8")
    assert list(halves["pre"]) == list(range(1, len(halves["pre"]) + 1)), "numbers have no gaps"
    assert set(halves["post"]) <= set(halves["pre"]), "what is finished was begun"
    return Steps(halves["pre"], halves["post"])
