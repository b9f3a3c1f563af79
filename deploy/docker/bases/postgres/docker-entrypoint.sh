#!/bin/sh
# The part of the official entrypoint that a trial needs: a new data folder gets POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB and
# what the scripts of /docker-entrypoint-initdb.d do, on a server that no other machine reaches yet.
set -eu
export POSTGRES_USER="${POSTGRES_USER:-postgres}"
export POSTGRES_DB="${POSTGRES_DB:-$POSTGRES_USER}"
if ! [ -s "$PGDATA/PG_VERSION" ]; then
    password=$(mktemp)
    printf '%s\n' "${POSTGRES_PASSWORD:?the password of $POSTGRES_USER}" >"$password"
    initdb --username="$POSTGRES_USER" --pwfile="$password" --auth-host=scram-sha-256 --auth-local=trust
    rm "$password"
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    pg_ctl start --wait --options="-c listen_addresses=''"
    [ "$POSTGRES_DB" = postgres ] || createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    for script in /docker-entrypoint-initdb.d/*.sh; do
        [ -e "$script" ] || continue
        . "$script"
    done
    pg_ctl stop --wait
fi
exec "$@" -c listen_addresses='*'
