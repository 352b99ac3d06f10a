"""The statements of `queries.sql` by name."""

from __future__ import annotations

from typing import Final

from zhiwei.stores.files.statements import statements_of

QUERIES: Final = statements_of("zhiwei.stores.postgres.access")
