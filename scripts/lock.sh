#!/usr/bin/env bash
# Renew requirements-dev.txt from pyproject.toml. It names versions only, and no place to load them from, so
# that it works with any package index.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "lock: failed: uv is not installed (pip install uv)" >&2; exit 1; }
new=$(mktemp)
trap 'rm -f "$new" uv.lock' EXIT
rm -f uv.lock
{
    echo "# Every package of a development set-up, pinned. Made by \`make lock\` from pyproject.toml; not edited by hand."
    uv export --quiet --format requirements.txt --all-groups --no-hashes --no-annotate --no-header --no-emit-project
} >"$new"
cat "$new" >requirements-dev.txt
echo "lock: done ($(grep -c == requirements-dev.txt) packages)"
