#!/bin/bash
# The image's start, as its documentation has it: folders are given to user influxdb, which runs the server; before its first run
# DOCKER_INFLUXDB_INIT_* make user, organization, bucket and token, by a server at another port, so that nobody meets half of it.
set -eo pipefail
[[ ${1-} == influxd ]] || exec "$@"
if [[ $(id -u) == 0 ]]; then
  mkdir -p "$INFLUXD_ENGINE_PATH"
  chown -R influxdb /var/lib/influxdb2 /etc/influxdb2
  chmod 700 /var/lib/influxdb2 "$INFLUXD_ENGINE_PATH"
  exec gosu influxdb "$0" "$@"
fi

said() { # NAME: the variable, or what is in the file that NAME_FILE names
  local file=DOCKER_INFLUXDB_INIT_$1_FILE value=DOCKER_INFLUXDB_INIT_$1
  if [[ ${!file-} ]]; then cat "${!file}"; else printf %s "${!value?$value is not set}"; fi
}

if [[ ${DOCKER_INFLUXDB_INIT_MODE-} == setup && ! -e $INFLUXD_BOLT_PATH ]]; then
  trap 'rm -rf "$INFLUXD_BOLT_PATH" "$INFLUXD_SQLITE_PATH" "$INFLUXD_ENGINE_PATH"/*' EXIT # else the next start would take it for done
  body=$(printf '{"username":"%s","password":"%s","token":"%s","org":"%s","bucket":"%s","retentionPeriodSeconds":0}' \
    "$(said USERNAME)" "$(said PASSWORD)" "$(said ADMIN_TOKEN)" "$(said ORG)" "$(said BUCKET)")
  "$@" --http-bind-address=":$INFLUXD_INIT_PORT" &
  server=$!
  until curl -fsS "http://localhost:$INFLUXD_INIT_PORT/health" >/dev/null 2>&1; do
    kill -0 "$server"
    sleep 0.2
  done
  curl -fsS -H 'Content-Type: application/json' --data @- "http://localhost:$INFLUXD_INIT_PORT/api/v2/setup" <<<"$body" >/dev/null
  kill "$server"
  wait "$server" || true
  trap - EXIT
fi
exec "$@"
