# Sourced by check.sh and test.sh: run every step, whatever the one before said, and sum up at the end.
# shellcheck shell=bash
failed=()
# Some machines are told to keep no bytecode. The suite starts some hundred programs, and each of them would
# compile a thousand modules anew, for longer than it then works.
unset PYTHONDONTWRITEBYTECODE

# step TITLE COMMAND... : run it under a heading and remember if it failed.
step() {
    local title=$1
    shift
    printf '\n== %s\n' "$title"
    "$@" || failed+=("$title")
}

# finish NAME : the last line, and the exit code.
finish() {
    local title
    if [ ${#failed[@]} -eq 0 ]; then
        printf '\n%s: all passed\n' "$1"
        exit 0
    fi
    printf '\n%s: %d failed:\n' "$1" "${#failed[@]}"
    for title in "${failed[@]}"; do printf '  - %s\n' "$title"; done
    exit 1
}
