#!/usr/bin/env bash
# cargo-tool.sh cargo-nextest|cargo-deny: makes sure that the tool is there.
# One already on PATH is used as it is. Otherwise the version of tools.txt goes to the cache
# folder: its wheel where pip and a wheel for this machine exist (seconds), else compiled (minutes).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
tool=${1:?usage: cargo-tool.sh cargo-nextest|cargo-deny}

found=$(command -v "$tool" || true)
if [ -n "$found" ] && [ "$found" != "$tools_bin/$tool" ]; then
  exit 0
fi
package=astral-dev-toolchain-$tool
version=$(pinned "$package")
[ -n "$version" ] || fail "cargo-tool: $tool is not listed in scripts/tools.txt"

if [ ! -x "$tools_bin/$tool" ] || [ "$(cat "$tools_bin/.$tool.version" 2>/dev/null)" != "$version" ]; then
  mkdir -p "$tools_bin"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  if fetch_wheel "$package" "$work" &&
    install -m 755 "$work"/wheel/*.data/scripts/"$tool" "$work/$tool" &&
    "$work/$tool" --version >/dev/null 2>&1; then
    mv "$work/$tool" "$tools_bin/$tool"
    say "cargo-tool: $tool $version installed from its wheel into $tools_bin" >&2
  else
    grep -s -m 1 ERROR "$work/pip.log" >&2 || true
    say "cargo-tool: the wheel of $tool $version can't be had here; compiling it once (minutes)" >&2
    need_cargo
    # A checker that runs for a second gains nothing from an optimized build.
    CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
      CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=false \
      cargo install --quiet --locked --root "$work/root" --target-dir "$work/target" \
      "$tool" --version "$version" >&2 ||
      fail "cargo-tool: 'cargo install --locked $tool --version $version' failed; its message is above."
    mv "$work/root/bin/$tool" "$tools_bin/$tool"
  fi
  printf '%s' "$version" >"$tools_bin/.$tool.version"
fi
