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

python=$(python_with "python-vipaccess==0.14.2")

# The client must reach the server on this machine and nothing else.
exec env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY -u all_proxy \
  "$python" -I "$here/../crates/provision/tests/vip_client.py" "$demo"
