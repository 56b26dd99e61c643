#!/usr/bin/env bash
# fhir-client-test.sh DEMO_JSON: lets fhirclient, a SMART on FHIR client from PyPI, authorize at the stand-in
# EHR of the running demonstration that DEMO_JSON (`make demo` writes it) tells of, and read a chart.
# The client is installed once into the cache folder; it is no part of the product.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
demo=${1:?usage: fhir-client-test.sh DEMO_JSON}
[ -r "$demo" ] || fail "fhir-client-test: $demo can't be read. Start the demo first: make demo"

python=$(python_with "fhirclient==4.4.0")

# The client must reach the server on this machine and nothing else.
exec env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY -u all_proxy \
  "$python" -I "$here/fhir_client_test.py" "$demo"
