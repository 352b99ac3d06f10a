"""`python -m zhiwei` is `zhiwei`."""

from __future__ import annotations

from zhiwei.cli import main

main()
