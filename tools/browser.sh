#!/bin/sh
# Prints the path of a Chromium or Chrome for the browser tests, installing one if this is root on Debian or Ubuntu.
# Order: $CHROME, then what is on PATH, then apt.
set -eu
cd "$(dirname "$0")/.."
. tools/debian.sh

stop() { echo "browser: $1" >&2; exit 1; }

find_browser() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$name"; then return 0; fi
    done
    return 1
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
