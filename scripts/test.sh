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
stage "build" cargo build --locked --workspace --all-targets

if grep -rqE '^\s*//[/!] ```' crates/*/src; then
  stage "doc tests" cargo test --locked --workspace --doc
fi

# Both suites run whatever the first one says: one run shows all that is broken.
status=0
began=$SECONDS
say "==> tests in Rust"
scripts/with-postgres.sh cargo nextest run --locked --workspace --profile "$profile" || status=$?
say "==> tests in Rust: $((SECONDS - began)) s, exit code $status"

began=$SECONDS
browser_status=0
say "==> tests in the browser"
scripts/test-browser.sh || browser_status=$?
say "==> tests in the browser: $((SECONDS - began)) s, exit code $browser_status"

[ "$status" -ne 0 ] || status=$browser_status
exit "$status"
