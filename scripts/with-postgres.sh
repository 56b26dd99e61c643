#!/usr/bin/env bash
# with-postgres.sh COMMAND...: runs the command beside a throw-away PostgreSQL, whose address is in
# COUNTERSIGN_TEST_PG_URL, and ends with the command's own exit code.
# with-postgres.sh --find: prints the folder of the PostgreSQL binaries that would be used.
#
# The cluster lives in a new folder, on a free loopback port. On every way out that cluster is
# stopped, by its folder, and the folder is removed. No other cluster of the machine is touched.
# It commits as a real one does (fsync on): durability is part of what is tested.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

oldest=15

# Debian keeps the server binaries off PATH, one folder a version; elsewhere they may be on PATH.
find_binaries() {
  local candidate version
  for candidate in "${PG_BIN:-}" /usr/lib/postgresql/$oldest/bin \
    $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V) \
    "$(dirname "$(command -v initdb 2>/dev/null || echo /none/initdb)")"; do
    if [ -x "$candidate/initdb" ] && [ -x "$candidate/pg_ctl" ]; then
      version=$("$candidate/initdb" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
      if [ "$version" -ge $oldest ]; then
        printf '%s\n' "$candidate"
        return 0
      fi
    fi
  done
  return 1
}

bin=$(find_binaries) || fail "with-postgres: no PostgreSQL $oldest or newer was found." \
  "Run 'make setup-bench', or name the folder of initdb and pg_ctl in PG_BIN."
if [ "${1:-}" = --find ]; then
  printf '%s\n' "$bin"
  exit 0
fi
[ $# -gt 0 ] || fail "usage: with-postgres.sh COMMAND..."

# PostgreSQL refuses to run as root.
as_owner=()
owner=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
  owner=postgres
  id postgres >/dev/null 2>&1 || owner=nobody
  as_owner=(runuser -u "$owner" --)
fi

# /var/tmp is on a disk where /tmp may be memory, and its path is short enough for a socket's name.
place=/var/tmp
[ -w "$place" ] || place=/tmp
folder=$(mktemp -d "$place/countersign-pg.XXXXXX")
cluster=$folder/cluster
child=

# Anything that is run as the owner starts here: it may not be allowed to see where we stand.
pg() { (cd "$folder" && "${as_owner[@]}" "$@"); }

# shellcheck disable=SC2329 # run by the trap
clean_up() {
  trap '' INT TERM HUP
  if [ -n "$child" ] && kill -0 "$child" 2>/dev/null; then
    kill -TERM -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  if [ -f "$cluster/postmaster.pid" ]; then
    # The data is thrown away: nothing is gained from an orderly checkpoint.
    pg "$bin/pg_ctl" -D "$cluster" -m immediate -w stop >/dev/null 2>&1 || true
  fi
  rm -rf -- "$folder"
}
trap clean_up EXIT
# A signal passes on to the command; its end ends us.
# shellcheck disable=SC2329 # run by the traps
stopped_by() {
  [ -z "$child" ] || kill "-$1" -- "-$child" 2>/dev/null || true
  [ -n "$child" ] || exit "$2"
}
trap 'stopped_by INT 130' INT
trap 'stopped_by TERM 143' TERM
trap 'stopped_by HUP 129' HUP

chown "$owner" "$folder"
pg "$bin/initdb" -D "$cluster" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
  --no-sync >"$folder/initdb.log" 2>&1 || {
  tail -n 20 "$folder/initdb.log" >&2
  fail "with-postgres: initdb failed; its last lines are above."
}
cat >>"$cluster/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$folder'
max_connections = 200
fsync = on
synchronous_commit = on
CONF

# A port that is free now may be taken a moment later: start, and try the next one if it was.
for _ in 1 2 3 4 5 6 7 8; do
  port=$((20000 + RANDOM % 12000))
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    continue
  fi
  if pg "$bin/pg_ctl" -D "$cluster" -o "-p $port" -l "$folder/server.log" -w -t 60 start \
    >"$folder/pg_ctl.log" 2>&1; then
    break
  fi
  grep -q 'Address already in use' "$folder/server.log" 2>/dev/null || break
  : >"$folder/server.log"
done
if [ ! -f "$cluster/postmaster.pid" ]; then
  tail -n 20 "$folder/server.log" "$folder/pg_ctl.log" >&2 || true
  fail "with-postgres: PostgreSQL did not start; its last lines are above."
fi

export COUNTERSIGN_TEST_PG_URL="postgres://postgres@127.0.0.1:$port/postgres"
export COUNTERSIGN_TEST_PG_SOCKET_URL="postgres://postgres@${folder//\//%2F}:$port/postgres"
export COUNTERSIGN_TEST_PG_BIN="$bin"

# In a process group of its own, so that a signal reaches the command and all that it started.
set -m
"$@" </dev/null &
child=$!
set +m
status=0
while :; do
  wait "$child" && status=0 || status=$?
  # A trapped signal interrupts the wait: wait again until the command has really ended.
  kill -0 "$child" 2>/dev/null || break
done
child=
exit "$status"
