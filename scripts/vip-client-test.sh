#!/usr/bin/env bash
# vip-client-test.sh DEMO_JSON: lets python-vipaccess, a free client of the VIP Access protocol, get and
# check credentials at the running server that DEMO_JSON (`make demo` writes it) tells of.
# The client is installed once from PyPI into the cache folder; it is no part of the product.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
demo=${1:?usage: vip-client-test.sh DEMO_JSON}
[ -r "$demo" ] || fail "vip-client-test: $demo can't be read. Start the demo first: make demo"

client="python-vipaccess==0.14.2"
venv=${XDG_CACHE_HOME:-$HOME/.cache}/countersign/vip-client
if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$client" ]; then
  python3 -c 'import ensurepip' 2>/dev/null || install_packages "vip-client-test" python3-venv
  rm -rf "$venv"
  python3 -m venv "$venv"
  # Trust what this machine trusts; pip by itself looks at a list of its own.
  if [ -z "${PIP_CERT:-}" ] && [ -r /etc/ssl/certs/ca-certificates.crt ]; then
    export PIP_CERT=/etc/ssl/certs/ca-certificates.crt
  fi
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$client"
  printf '%s' "$client" >"$venv/.installed"
fi

# The client must reach the server on this machine and nothing else.
exec env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY -u all_proxy \
  "$venv/bin/python" -I "$here/../crates/provision/tests/vip_client.py" "$demo"
