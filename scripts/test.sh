#!/usr/bin/env bash
# The whole suite as plain Python; then the hot part again as compiled code, so that both forms are tested.
# Arguments go to every run of pytest, for example -x or -k NAME. All runs happen; the last line sums up.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/steps.sh
. scripts/steps.sh

pytest=(.venv/bin/pytest -q -n "${JOBS:-2}" -m "not slow")
pure=(tests/core tests/services tests/guardian)
# What runs mostly inside compiled modules: not what is around the stores, whose own modules stay plain.
hot=("${pure[@]}" tests/test_engine.py tests/test_lanes.py tests/test_metrics.py tests/gateways/iso8583 tests/stores)
around=(access decide faults migrations opening policies serving settled tellers workers)
around=("${around[@]/#/--ignore=tests/stores/postgres/test_}")
around=("${around[@]/%/.py}")

test_compiled() {
    .venv/bin/python scripts/compile.py
    case $? in
        0) ;;
        3) # A person without a compiler tests what they have. CI must test both forms.
            [ "${CI:-}" != true ]
            return
            ;;
        *) return 1 ;;
    esac
    PYTHONPATH=build/compiled ZHIWEI_EXPECT=compiled "${pytest[@]}" "${around[@]}" "${hot[@]}" "$@"
}

step "core and services, every branch of them (plain Python)" "${pytest[@]}" --cov --cov-report=term-missing:skip-covered "${pure[@]}" "$@"
step "everything else (plain Python)" "${pytest[@]}" "${pure[@]/#/--ignore=}" tests "$@"
step "the hot part, compiled" test_compiled "$@"
finish test
