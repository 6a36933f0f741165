#!/bin/sh
# The role that the service connects as; 'migrate --service-role' gives it what it needs.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$(cat /etc/policy-database/service-password)" \
    --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
CREATE ROLE policy_service LOGIN PASSWORD :'password';
SQL
