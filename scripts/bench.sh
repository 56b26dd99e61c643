#!/usr/bin/env bash
# bench.sh bench|audit-timing [OPTION...]: measurements, made by hand on a quiet machine; no test
# depends on them. Options go to countersign-bench, such as --quick or --folder DIR.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
need_cargo

what=${1:?usage: bench.sh bench|audit-timing [OPTION...]}
shift
case "$what" in
bench | audit-timing) ;;
*) fail "usage: bench.sh bench|audit-timing [OPTION...]" ;;
esac

# Measured is what is shipped: the optimized build.
cargo build --locked --release -p countersign -p countersign-bench
release=${CARGO_TARGET_DIR:-$PWD/target}/release
export COUNTERSIGN_BIN=$release/countersign

case "$what" in
bench)
  scripts/with-postgres.sh "$release/countersign-bench" checks "$@"
  exec "$release/countersign-bench" signings
  ;;
audit-timing) exec "$release/countersign-bench" audit-timing "$@" ;;
esac
