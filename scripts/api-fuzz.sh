#!/usr/bin/env bash
# api-fuzz.sh DEMO_JSON: lets schemathesis, from PyPI, make requests from the OpenAPI document of the running
# demonstration that DEMO_JSON (`make demo` writes it) tells of, and fails on any server error, and on any answer
# that the document does not allow. The tool is installed once into the cache folder; it is no part of the product.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
demo=${1:?usage: api-fuzz.sh DEMO_JSON}
[ -r "$demo" ] || fail "api-fuzz: $demo can't be read. Start the demo first: make demo"

python=$(python_with "schemathesis==4.32.5")
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
origin=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["portal_url"].removesuffix("/portal"))' "$demo")
token=$(python3 "$here/../docs/examples/api/token.py" "$demo")
cd "$(mktemp -d)"
exec "$(dirname "$python")/schemathesis" run "$origin/api/v1/openapi.json" --url "$origin" \
  --header "Authorization: Bearer $token" \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
  --max-examples "${EXAMPLES:-40}"
