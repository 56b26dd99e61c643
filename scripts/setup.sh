#!/usr/bin/env bash
# Makes this machine able to build Countersign. Safe and quick to run again.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

need_cargo

# command:package. cmake, Go and Perl build the FIPS module; gcc and g++ also build SQLite.
missing=()
for pair in cc:gcc c++:g++ make:make cmake:cmake go:golang-go perl:perl; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  install_packages "setup" "${missing[@]}"
fi
say "setup: ready to build ($(cargo --version | cut -d' ' -f1,2), $(go version | cut -d' ' -f3), $(cmake --version | sed -n '1s/ version//p'))"
