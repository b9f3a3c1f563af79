#!/bin/sh
# One database and one owner for each service; run by the image of PostgreSQL when its data folder is new.
for name in dagster druid superset; do
    eval "password=\$$(printf '%s' "$name" | tr '[:lower:]' '[:upper:]')_POSTGRES_PASSWORD"
    psql --set ON_ERROR_STOP=1 --username postgres --set name="$name" --set password="$password" <<'END'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
END
done
