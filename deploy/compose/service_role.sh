#!/bin/sh
# Makes the role that the replicas connect as; what it may, 'policy-service migrate --service-role' gives it.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$(cat /run/passwords/service-password)" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE policy_service LOGIN PASSWORD :'password';
SQL
