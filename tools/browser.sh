#!/bin/sh
# Prints the path of a Chromium or Chrome for the browser tests, installing one if this is root on Debian or Ubuntu.
# Order: $CHROME, then what is on PATH, then apt.
set -eu
cd "$(dirname "$0")/.."

stop() { echo "browser: $1" >&2; exit 1; }

find_browser() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$name"; then return 0; fi
    done
    return 1
}

apt_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    echo "browser: installing $* with apt-get (once)" >&2
    log=$(mktemp)
    if { DEBIAN_FRONTEND=noninteractive apt-get update &&
         DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } </dev/null >"$log" 2>&1
    then rm -f "$log"; return 0; fi
    tail -n 5 "$log" >&2; rm -f "$log"; return 1
}

if [ -n "${CHROME:-}" ]; then
    [ -x "$CHROME" ] || stop "CHROME=$CHROME is not a program; name another, or leave CHROME unset"
    browser=$CHROME
elif ! browser=$(find_browser); then
    apt_install chromium || stop "no Chromium or Chrome was found; install one, or name it: CHROME=/path/to/chrome make test"
    browser=$(find_browser) || stop "apt-get installed chromium, but it is not on PATH; name it: CHROME=/path/to/chrome make test"
fi

# Playwright brings its own node, which needs a library that a minimal Debian lacks.
node=$(echo .venv/lib/python3.*/site-packages/playwright/driver/node)
if [ -x "$node" ] && ! "$node" --version >/dev/null 2>&1; then
    apt_install libatomic1 && "$node" --version >/dev/null ||
        stop "Playwright's node does not start; it usually lacks libatomic (Debian, Ubuntu: apt-get install libatomic1)"
fi

echo "$browser"
