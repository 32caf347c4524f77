#!/bin/sh
# What docker-compose.yml needs of the official image's entrypoint, and no more: an empty
# volume gets a database of POSTGRES_DB and its user, with the password of a file.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --pgdata "$PGDATA" --username "$POSTGRES_USER" --encoding UTF8 \
        --pwfile "$POSTGRES_PASSWORD_FILE" --auth-local trust --auth-host scram-sha-256
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait -o "-c listen_addresses=''" start
    createdb --username "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --wait stop
fi
exec "$@"
