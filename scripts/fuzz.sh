#!/usr/bin/env bash
# fuzz.sh [SECONDS [TARGET...]]: runs the fuzz targets, each for SECONDS (600), and stops at the first
# finding. What it learns is kept outside the work tree; an input worth keeping goes to fuzz/corpus
# by hand, and every test run replays it from there.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
need_cargo

command -v cargo-fuzz >/dev/null ||
  fail "fuzz: cargo-fuzz was not found." "Install it with 'cargo install --locked cargo-fuzz', then run this again."

seconds=${1:-600}
[ $# -eq 0 ] || shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls fuzz/corpus)
learned=${XDG_CACHE_HOME:-$HOME/.cache}/countersign/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')

# Without a sanitizer the stable compiler does: there is no unsafe code of ours to watch over.
for target in "${targets[@]}"; do
  mkdir -p "$learned/$target"
  stage "fuzz $target" cargo fuzz run --sanitizer none --target "$host" -O "$target" \
    "$learned/$target" "fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -max_len=17000 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1
done
