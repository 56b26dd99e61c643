# shellcheck shell=bash
# Shared by the scripts beside it; read with `source`, never run.

# The FIPS module is always built from source: a copy installed on the host is not used.
export AWS_LC_FIPS_SYS_USE_SYSTEM=0

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
  ! "$(dirname "${BASH_SOURCE[0]}")/with-postgres.sh" --find >/dev/null 2>&1 || return 0
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
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
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
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../Cargo.toml")
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
