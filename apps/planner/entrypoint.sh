#!/bin/sh
# What the container runs: the database is brought to this version, then one process answers.
set -eu

# Spaces say by which name they are reached.
if [ -z "${BASE_URL:-}" ] && [ -n "${SPACE_HOST:-}" ]; then
    BASE_URL="https://$SPACE_HOST"
    export BASE_URL
fi

# Refuses here, with every problem at once, what no start could keep: a placeholder, a missing secret.
bylaw check apps.planner >&2

# A copy of what an older version has left, before it is changed. The last seven are kept.
if [ -f /data/app.db ]; then
    mkdir -p /data/backups
    bylaw db backup /data/backups -p apps/planner/bylaw.toml >&2
    ls -1t /data/backups/* | tail -n +8 | while read -r old; do rm -f -- "$old"; done
fi
bylaw db upgrade -p apps/planner/bylaw.toml >&2
flask --app apps.planner database upgrade >&2

# One process: the limits are counted in its memory (see [rate_limits] in bylaw.toml).
exec bylaw run apps.planner --host 0.0.0.0 --port "${PORT:-7860}" --workers 1
