#!/usr/bin/env bash
# Runs every test and ends with the runners' own summaries. Called by `make test`.
# SCREENSHOTS=1 also writes docs/screenshots from the browser tests.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
need_cargo

profile=default
if [ "${CI:-}" = true ]; then
  profile=ci
fi

# One build for all that follows: the same targets and features as the runner's own, so that
# nothing is compiled twice, and the binary that the browser tests start is the one just built.
stage "build" cargo build --locked --workspace --all-targets --features countersign/demo

if grep -rqE '^\s*//[/!] ```' crates/*/src; then
  stage "doc tests" cargo test --locked --workspace --doc --features countersign/demo
fi

# What the runners say is kept, to repeat their summaries at the very end: the second suite's log is
# long. A terminal keeps its colors though the runners write to a pipe.
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-always} FORCE_COLOR=${FORCE_COLOR:-1}
fi

# Both suites run whatever the first one says: one run shows all that is broken.
status=0
began=$SECONDS
say "==> tests in Rust"
scripts/with-postgres.sh cargo nextest run --locked --workspace --features countersign/demo --profile "$profile" 2>&1 |
  tee "$logs/rust" || status=$?
say "==> tests in Rust: $((SECONDS - began)) s, exit code $status"

began=$SECONDS
browser_status=0
say "==> tests in the browser"
scripts/test-browser.sh 2>&1 | tee "$logs/browser" || browser_status=$?
say "==> tests in the browser: $((SECONDS - began)) s, exit code $browser_status"

# repeat NAME LOG PATTERN: the runner's own summary once more; a run cut short has none.
repeat() {
  say "==> $1, in short"
  sed 's/\x1b\[[0-9;]*m//g' "$2" | grep -E "$3" || say "no summary: it ended before; see above"
}
repeat "tests in Rust" "$logs/rust" '^ *Summary \['
repeat "tests in the browser" "$logs/browser" '^ℹ (tests|pass|fail|cancelled|skipped|duration_ms) '

[ "$status" -ne 0 ] || status=$browser_status
exit "$status"
