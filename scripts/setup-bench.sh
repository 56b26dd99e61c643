#!/usr/bin/env bash
# Makes this machine able to run `make bench`: PostgreSQL alone, of all that testing needs.
# Safe and quick to run again.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."

postgres=$(postgres_package)
if [ -n "$postgres" ]; then
  install_packages "setup-bench" "$postgres"
fi
say "setup-bench: ready to measure (PostgreSQL in $(scripts/with-postgres.sh --find))"
