#!/usr/bin/env bash
# Everything that judges the code without running it, the cheapest first.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
need_cargo
need_node

scripts_parse() {
  local file
  for file in scripts/*.sh .ci/run; do
    bash -n "$file" || return 1
  done
  for file in web/e2e/*.mjs web/e2e/*/*.mjs web/authenticator/*.mjs web/authenticator/tools/*.mjs; do
    node --check "$file" || return 1
  done
}

no_download_addresses() {
  # The lock file holds hashes; where the packages come from is the installing machine's business.
  if grep -nE '"resolved"|https?://[^"]*\.tgz' web/package-lock.json web/authenticator/package-lock.json; then
    say "a package-lock.json holds download addresses: remake it with 'npm install --ignore-scripts' beside it" >&2
    return 1
  fi
}

no_stand_ins() {
  if cargo tree --locked -p countersign -e normal,build --prefix none | grep '^countersign-standins '; then
    say "a release would hold the demonstration's stand-ins" >&2
    return 1
  fi
}

scripts/cargo-tool.sh cargo-deny
stage "format" cargo fmt --all --check
stage "scripts parse" scripts_parse
stage "npm lock file" no_download_addresses
stage "bans, licenses, sources" cargo deny --locked check bans licenses sources
stage "clippy" cargo clippy --locked --workspace --all-targets --features countersign/demo -- -D warnings
# What is shipped is judged too: without the demonstration nothing may be left over.
stage "clippy, as released" cargo clippy --locked --workspace --all-targets -- -D warnings
stage "no stand-ins in a release" no_stand_ins
RUSTDOCFLAGS=-Dwarnings stage "rustdoc" cargo doc --locked --workspace --no-deps --features countersign/demo
