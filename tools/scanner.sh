#!/bin/sh
# Prints the path of ClamAV's clamd for the malware tests, installing it if this is root on Debian or Ubuntu.
# Order: $CLAMD, then what is on PATH or in /usr/sbin, then apt. No signatures are fetched: the tests bring their own.
set -eu
cd "$(dirname "$0")/.."
. tools/debian.sh

stop() { echo "scanner: $1" >&2; exit 1; }

find_scanner() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v clamd; }

if [ -n "${CLAMD:-}" ]; then
    [ -x "$CLAMD" ] || stop "CLAMD=$CLAMD is not a program; name another, or leave CLAMD unset"
    scanner=$CLAMD
elif ! scanner=$(find_scanner); then
    apt_install clamav-daemon || stop "no clamd was found; install it (Debian, Ubuntu: apt-get install clamav-daemon), or name it: CLAMD=/path/to/clamd make test"
    scanner=$(find_scanner) || stop "apt-get installed clamav-daemon, but clamd is not on PATH; name it: CLAMD=/path/to/clamd make test"
fi

echo "$scanner"
