#!/usr/bin/env bash
# Runs the browser tests alone, against the binary that is already built.
# Extra arguments go to node's runner: scripts/test-browser.sh --test-name-pattern=article
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

COUNTERSIGN_BIN=${COUNTERSIGN_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/debug/countersign}
export COUNTERSIGN_BIN
[ -x "$COUNTERSIGN_BIN" ] || fail "test-browser: $COUNTERSIGN_BIN is not there." \
  "Build it with 'cargo build -p countersign --features demo', or run 'make test'."
need_node
cd web
# Two files at a time: each starts its own server and browser, and waits most of its time for the next code.
exec node --test --test-reporter=spec --test-concurrency=2 --test-timeout=600000 "$@" e2e/*.test.mjs
