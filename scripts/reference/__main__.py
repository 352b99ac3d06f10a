"""`python -m scripts.reference`: write the pages of `docs/reference/` anew from the code."""

from __future__ import annotations

from scripts.reference.pages import PAGES, write

changed = write()
print(f"reference: done, {len(changed)} of {len(PAGES)} pages changed")
