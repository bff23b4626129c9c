# Read by browser.sh and scanner.sh: install what a real part of the tests needs, once, where this is root on
# Debian or Ubuntu. Sets no option and prints nothing on standard output.

apt_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    echo "set-up: installing $* with apt-get (once)" >&2
    log=$(mktemp)
    if { DEBIAN_FRONTEND=noninteractive apt-get update &&
         DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } </dev/null >"$log" 2>&1
    then rm -f "$log"; return 0; fi
    tail -n 5 "$log" >&2; rm -f "$log"; return 1
}
