#!/bin/sh
# Every check that needs no running application. All of them run; what failed is named in one line each at the end.
set -u
cd "$(dirname "$0")/.."
bin=.venv/bin
log=$(mktemp)
failures=$(mktemp)
trap 'rm -f "$log" "$failures"' EXIT

# step NAME REMEDY COMMAND...: silent when well, the tool's own words when not.
step() {
    name=$1 remedy=$2
    shift 2
    if "$@" >"$log" 2>&1; then
        echo "ok    $name"
    else
        echo "FAIL  $name"
        cat "$log"
        echo "check: $name failed: $remedy" >>"$failures"
    fi
}

code=$(ls -d src apps tests tools benchmarks 2>/dev/null)   # one name per line, none with a space
shipped=$(ls -d src apps tools benchmarks 2>/dev/null)

step "ruff check"      "$bin/ruff check --fix mends much of it"                    $bin/ruff check .
step "ruff format"     "$bin/ruff format mends it"                                 $bin/ruff format --check .
step "house rules"     "the rules stand in tools/rules.py"                         $bin/python -m tools.rules
step "import contract" "a room imports from the floors below it (pyproject.toml)"  $bin/lint-imports --no-logo
# shellcheck disable=SC2086  # a list of names
step "bandit"          "mend it, or say why it is safe: # nosec B608  # why"       $bin/bandit -q -r $shipped -c pyproject.toml
step "detect-secrets"  "take the secret out, or see CONTRIBUTING.md, Secrets"      $bin/python -m tools.secret_scan
# shellcheck disable=SC2086
step "traceability"    "make trace writes docs/traceability.md anew"               $bin/python -m tools.trace --check
for each in mtc planner projects; do
    remedy="bylaw verify apps.$each --write; bylaw document apps.$each"
    step "SECURITY.md $each" "$remedy"                                             $bin/bylaw document "apps.$each" --check
done
# shellcheck disable=SC2086
step "mypy"            "the lines are named above"                                 $bin/mypy $shipped

if [ -s "$failures" ]; then
    echo
    cat "$failures" >&2
    exit 1
fi
