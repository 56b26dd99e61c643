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
# One test puts the real proxy in front, with the configuration of docs/operations.md.
nginx_wanted=no
if ! command -v nginx >/dev/null && [ ! -x /usr/sbin/nginx ]; then
  missing+=(nginx)
  nginx_wanted=yes
fi
postgres=$(postgres_package)
[ -z "$postgres" ] || missing+=("$postgres")
# Without a font Chromium draws every letter as an empty box.
if [ -z "$(find -L /usr/share/fonts /usr/local/share/fonts "$HOME/.fonts" "$HOME/.local/share/fonts" \
  \( -name '*.ttf' -o -name '*.otf' -o -name '*.ttc' \) -print -quit 2>/dev/null)" ]; then
  missing+=(fonts-liberation)
fi
if [ ${#missing[@]} -gt 0 ]; then
  install_packages "setup-test" "${missing[@]}"
  # Debian starts what it installs, on port 80 for everybody: only the binary is wanted.
  if [ "$nginx_wanted" = yes ] && command -v systemctl >/dev/null; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" systemctl disable --now nginx >/dev/null 2>&1 || true
  fi
fi

scripts/cargo-tool.sh cargo-nextest

npm_packages web
npm_packages web/authenticator

say "setup-test: ready to test (node $(node --version), PostgreSQL in $(scripts/with-postgres.sh --find), $(command -v "${CHROMIUM:-chromium}"))"
