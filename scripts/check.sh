#!/usr/bin/env bash
# Everything that can be judged without running the program. All steps run; the last line sums up.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/steps.sh
. scripts/steps.sh

step "format (make format mends it)" .venv/bin/ruff format --check --quiet .
step "lint" .venv/bin/ruff check --output-format concise .
step "types" .venv/bin/mypy
step "house rules" .venv/bin/pytest -q tests/test_house.py tests/house
finish check
