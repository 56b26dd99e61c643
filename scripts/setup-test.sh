#!/usr/bin/env bash
# Makes this machine able to run every test. Safe and quick to run again.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

need_cargo

need_node

missing=()
command -v "${CHROMIUM:-chromium}" >/dev/null || missing+=(chromium)
command -v oathtool >/dev/null || missing+=(oathtool)
command -v qrencode >/dev/null || missing+=(qrencode)
postgres=$(postgres_package)
[ -z "$postgres" ] || missing+=("$postgres")
# Without a font Chromium draws every letter as an empty box.
if [ -z "$(find -L /usr/share/fonts /usr/local/share/fonts "$HOME/.fonts" "$HOME/.local/share/fonts" \
  \( -name '*.ttf' -o -name '*.otf' -o -name '*.ttc' \) -print -quit 2>/dev/null)" ]; then
  missing+=(fonts-liberation)
fi
if [ ${#missing[@]} -gt 0 ]; then
  install_packages "setup-test" "${missing[@]}"
fi

scripts/cargo-tool.sh cargo-nextest

npm_packages web
npm_packages web/authenticator

say "setup-test: ready to test (node $(node --version), PostgreSQL in $(scripts/with-postgres.sh --find), $(command -v "${CHROMIUM:-chromium}"))"
