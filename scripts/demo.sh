#!/usr/bin/env bash
# demo.sh start|reset: the demo in the folder DATA, on PORT and the three ports after it.
# reset removes what an earlier demo left there, then starts.
# PROFILE=release builds the optimized binary; the default builds much faster.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

data=${DATA:-./data}
port=${PORT:-8700}
profile=${PROFILE:-dev}
folder=$profile
[ "$profile" != dev ] || folder=debug

case "$port" in
'' | *[!0-9]*) fail "demo: PORT must be a number from 1024 to 65532, not '$port'." ;;
esac

binary=${CARGO_TARGET_DIR:-target}/$folder/countersign

scripts/setup.sh
[ -x "$binary" ] || say "demo: the first build takes some minutes (the FIPS module alone about one)"
cargo build --locked --profile "$profile" -p countersign --features demo

case "${1:-start}" in
start) exec "$binary" demo --data "$data" --port "$port" ;;
# The binary itself refuses a folder that the demo did not make.
reset) exec "$binary" demo --data "$data" --port "$port" --reset ;;
*) fail "usage: demo.sh start|reset" ;;
esac
