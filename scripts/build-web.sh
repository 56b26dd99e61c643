#!/usr/bin/env bash
# Checks and builds the Countersign Authenticator (web/authenticator) into
# crates/server/static/authenticator, whose files are committed so that nobody else needs Node.
# With --check: builds elsewhere and fails where the committed files differ.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

check=no
case "${1-}" in
  "") ;;
  --check) check=yes ;;
  *) fail "usage: scripts/build-web.sh [--check]" ;;
esac
need_node

built=$PWD/crates/server/static/authenticator
cd web/authenticator
if grep -nE '"resolved"|https?://[^"]*\.tgz' package-lock.json; then
  fail "web/authenticator/package-lock.json holds download addresses: remake it with 'npm install --ignore-scripts'"
fi

# From its own folder: the path is this one.
stage "authenticator: packages" npm_packages .
stage "authenticator: types" npm run --silent typecheck
stage "authenticator: unit tests" npm test --silent
if [ "$check" = no ]; then
  stage "authenticator: build" npm run --silent build
  exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
OUT_DIR=$folder/authenticator stage "authenticator: build" npm run --silent build
diff -r "$built" "$folder/authenticator" ||
  fail "crates/server/static/authenticator is not what web/authenticator builds: run scripts/build-web.sh and commit what it makes."
