#!/usr/bin/env bash
# The test command of this project. `./scripts/test.sh --help` says what it does.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: ./scripts/test.sh [--only-tests] [-- ARGUMENTS OF cargo test]
       ./scripts/test.sh --services

Runs formatting, lints, a build of every binary, and all tests, against a
throwaway PostgreSQL server that it starts and removes itself.

  ./scripts/test.sh                               everything
  ./scripts/test.sh --only-tests                  without formatting and lints
  ./scripts/test.sh --only-tests -- -p ordering   one package
  ./scripts/test.sh -- -p e2e race -- --nocapture as with cargo test

  --services   only start PostgreSQL, print what to export, and keep it running
               until Ctrl-C. In another terminal, after those exports:
               cargo build --workspace --bins && cargo test -p ordering

Some tests mount a small disk in a namespace of their own: as root, or as a user who
may make namespaces (on Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0).

What is missing is installed with apt-get as root or with passwordless sudo
(PostgreSQL server programs, Chromium and its driver, Python, libfaketime), with
rustup (rustfmt, clippy) and with pip, below target (schemathesis). Where that is
not allowed, the script says what to install and stops.

Set for the tests; those marked * are kept when they are set already:
  LOCKSTEP_TEST_POSTGRES   the throwaway server: postgres://postgres@127.0.0.1:PORT/postgres
  LOCKSTEP_PG_BIN        * directory of initdb, postgres, pg_dump and the like
  LOCKSTEP_PG_USER         when root: the user that PostgreSQL servers run as; else empty
  LOCKSTEP_CHROMIUM      * the browser, and
  LOCKSTEP_CHROMEDRIVER  *   its WebDriver server, of the same version
  LOCKSTEP_SCHEMATHESIS  * schemathesis, which holds the services against openapi.json
  LOCKSTEP_FAKETIME      * libfaketimeMT.so.1, which moves the clock of a program
  LOCKSTEP_REAL_DATA     * directory of online-retail-10k.csv, if there is one
HELP
}

say() { printf '\n== %s\n' "$*" >&2; }
fail() { printf '\ntest.sh: %s\n' "$*" >&2; exit 1; }

# ---------------------------------------------------------------- what is needed

find_postgres() { # the newest complete set of server programs
  local dir program
  for dir in ${LOCKSTEP_PG_BIN:-} \
    $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) \
    $(dirname -- "$(readlink -f -- "$(command -v initdb || echo /none/initdb)")"); do
    for program in initdb pg_ctl postgres pg_basebackup pg_dump pg_restore; do
      [ -x "$dir/$program" ] || continue 2
    done
    LOCKSTEP_PG_BIN=$dir
    return 0
  done
  return 1
}

major() { "$1" --version 2>/dev/null | grep -oE '[0-9]+' | head -n 1; }

# A browser is only of use with a driver of its own version.
is_pair() {
  local browser driver
  browser=$(command -v "$1") && driver=$(command -v "$2") || return 1
  [ "$(major "$browser")" = "$(major "$driver")" ] || return 1
  LOCKSTEP_CHROMIUM=$browser LOCKSTEP_CHROMEDRIVER=$driver
}

find_browser() {
  is_pair "${LOCKSTEP_CHROMIUM:-/none}" "${LOCKSTEP_CHROMEDRIVER:-/none}" ||
    is_pair chromium chromedriver ||
    is_pair google-chrome "${CHROMEWEBDRIVER:-/none}/chromedriver" ||
    is_pair google-chrome chromedriver ||
    is_pair /snap/bin/chromium /snap/bin/chromium.chromedriver ||
    is_pair chromium-browser chromedriver
}

find_faketime() {
  local file
  for file in "${LOCKSTEP_FAKETIME:-}" /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib*/faketime/libfaketimeMT.so.1; do
    [ -f "$file" ] || continue
    LOCKSTEP_FAKETIME=$file
    return 0
  done
  return 1
}

find_c_compiler() { command -v cc >/dev/null; }

find_schemathesis() { [ -x "${LOCKSTEP_SCHEMATHESIS:-/none}" ]; }

find_python() { # of which only schemathesis has need
  find_schemathesis ||
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

is_ubuntu() { grep -qsE '^ID(_LIKE)?=.*ubuntu' /etc/os-release; }

# Sets `missing` to the packages that bring what is not there.
look_for_packages() {
  missing=()
  find_c_compiler || missing+=(gcc libc6-dev)
  find_postgres || missing+=(postgresql)
  find_python || missing+=(python3 python3-venv)
  find_faketime || missing+=(libfaketime)
  if find_browser; then return; fi
  if is_ubuntu; then
    missing+=(chromium-browser chromium-chromedriver fonts-dejavu-core) # snaps behind these names
  else
    missing+=(chromium chromium-driver fonts-dejavu-core)
  fi
}

need_packages() {
  look_for_packages
  [ ${#missing[@]} != 0 ] || return 0
  local advice="Install: sudo apt-get install ${missing[*]}
Elsewhere: a C compiler, PostgreSQL's programs (initdb, pg_ctl, postgres, pg_basebackup, pg_dump,
pg_restore; their directory in LOCKSTEP_PG_BIN), Chromium with a driver of the same version (LOCKSTEP_CHROMIUM,
LOCKSTEP_CHROMEDRIVER), Python 3.10 or later with venv and pip, and libfaketime (libfaketimeMT.so.1 in
LOCKSTEP_FAKETIME)."
  local as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo -n)
  if ! command -v apt-get >/dev/null || ! ${as_root[@]+"${as_root[@]}"} true 2>/dev/null; then
    fail "something is missing. $advice"
  fi

  say "installing ${missing[*]}"
  local apt=(${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update >/dev/null || true # an old list may still do
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null || fail "that failed. $advice"
  look_for_packages
  [ ${#missing[@]} = 0 ] || fail "installed, and still not found. $advice"
}

# In an environment of its own, which is made anew when the list of its packages changes.
need_schemathesis() {
  find_schemathesis && return
  local list=scripts/schemathesis.txt target=${CARGO_TARGET_DIR:-target} environment
  mkdir -p "$target"
  environment=$(cd "$target" && pwd)/schemathesis # tests run it elsewhere
  LOCKSTEP_SCHEMATHESIS=$environment/bin/schemathesis
  if find_schemathesis && cmp -s "$list" "$environment/installed.txt"; then return; fi
  say "installing schemathesis in $environment"
  rm -rf "$environment"
  if ! python3 -m venv "$environment" ||
    ! "$environment/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$list" >&2; then
    rm -rf "$environment"
    fail "that failed. Install: pip install -r $list
in an environment of your own, and set LOCKSTEP_SCHEMATHESIS to its program schemathesis."
  fi
  cp "$list" "$environment/installed.txt"
}

need_rust() {
  command -v cargo >/dev/null || fail "cargo not found. Install Rust: https://rustup.rs"
  local program
  for program in fmt clippy; do
    cargo "$program" --version >/dev/null 2>&1 ||
      rustup component add "${program/fmt/rustfmt}" >&2 ||
      fail "cargo $program not found. Install: rustup component add ${program/fmt/rustfmt}"
  done
}

# ---------------------------------------------------------------- PostgreSQL

# Everything temporary is in here, the tests' own files too (TMPDIR).
scratch=
napping= # the `sleep` of --services

as_pg_user() { # in a directory that this user may read, else initdb gives up
  (
    cd "$scratch/postgres"
    if [ -n "$LOCKSTEP_PG_USER" ]; then
      exec setpriv --reuid="$LOCKSTEP_PG_USER" --regid="$(id -g "$LOCKSTEP_PG_USER")" --init-groups -- "$@"
    fi
    exec "$@"
  )
}

start_postgres() {
  local data=$scratch/postgres/data log=$scratch/postgres/log port
  mkdir "$scratch/postgres"
  [ -z "$LOCKSTEP_PG_USER" ] || chown "$LOCKSTEP_PG_USER" "$scratch/postgres"
  as_pg_user "$LOCKSTEP_PG_BIN/initdb" -D "$data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync \
    >"$scratch/initdb.log" 2>&1 || { cat "$scratch/initdb.log" >&2; fail "initdb failed"; }
  # Never durable, for speed: a crash of the machine would destroy this server, which nobody would miss.
  printf '%s\n' "listen_addresses = '127.0.0.1'" "unix_socket_directories = ''" 'max_connections = 300' \
    'fsync = off' 'synchronous_commit = off' 'full_page_writes = off' >>"$data/postgresql.conf"
  local attempt
  for attempt in 1 2 3 4 5 6 7 8 9 10; do # another program may hold the port
    port=$((20000 + (RANDOM % 12000)))    # below the range that outgoing connections use
    if as_pg_user "$LOCKSTEP_PG_BIN/pg_ctl" -D "$data" -l "$log" -o "-p $port" -w -t 60 start >/dev/null 2>&1; then
      export LOCKSTEP_TEST_POSTGRES=postgres://postgres@127.0.0.1:$port/postgres
      return
    fi
    grep -qs 'could not bind' "$log" || break
  done
  cat "$log" >&2 || true
  fail "PostgreSQL did not start (attempt $attempt)"
}

clean_up() {
  local code=$? pid_file pid
  trap - EXIT
  trap '' INT TERM
  [ -z "$napping" ] || kill "$napping" 2>/dev/null || true
  [ -n "$scratch" ] || exit "$code"
  # The server of this script, and servers that a killed test left behind: their data is in here, so they are ours.
  while IFS= read -r -d '' pid_file; do
    pid=$(head -n 1 "$pid_file" 2>/dev/null) || continue
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != postgres ] || kill -QUIT "$pid" 2>/dev/null || true
  done < <(find "$scratch" -name postmaster.pid -print0 2>/dev/null)
  for _ in 1 2 3 4 5; do # a program that is still ending may write one more file
    rm -rf "$scratch" 2>/dev/null && break
    sleep 0.2
  done
  exit "$code"
}

# ---------------------------------------------------------------- main

only_tests=
services=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit ;;
    --only-tests) only_tests=yes ;;
    --services) services=yes ;;
    --) shift; break ;;
    *) usage >&2; fail "unknown argument: $1" ;;
  esac
  shift
done

cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
need_rust
need_packages
need_schemathesis
LOCKSTEP_PG_USER=
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
  LOCKSTEP_PG_USER=postgres
  id postgres >/dev/null 2>&1 || LOCKSTEP_PG_USER=nobody
fi
export LOCKSTEP_PG_BIN LOCKSTEP_PG_USER LOCKSTEP_CHROMIUM LOCKSTEP_CHROMEDRIVER LOCKSTEP_SCHEMATHESIS \
  LOCKSTEP_FAKETIME
if [ -z "${LOCKSTEP_REAL_DATA:-}" ] && [ -e ../shared/data/online-retail-10k.csv ]; then
  LOCKSTEP_REAL_DATA=$(cd ../shared/data && pwd)
fi
[ -z "${LOCKSTEP_REAL_DATA:-}" ] || export LOCKSTEP_REAL_DATA

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
scratch=$(mktemp -d /tmp/lockstep-test.XXXXXX) # not below TMPDIR: socket paths must stay short
chmod 755 "$scratch"
mkdir -m 1777 "$scratch/tmp"
start_postgres

if [ -n "$services" ]; then
  for name in LOCKSTEP_TEST_POSTGRES LOCKSTEP_PG_BIN LOCKSTEP_PG_USER LOCKSTEP_CHROMIUM LOCKSTEP_CHROMEDRIVER \
    LOCKSTEP_SCHEMATHESIS LOCKSTEP_FAKETIME LOCKSTEP_REAL_DATA; do
    [ -z "${!name+set}" ] || printf 'export %s=%q\n' "$name" "${!name}"
  done
  say "PostgreSQL is running; Ctrl-C stops and removes it"
  while :; do
    sleep 3600 &
    napping=$!
    wait "$napping" # lets a signal in at once, which a plain sleep does not
  done
fi
export TMPDIR=$scratch/tmp

step() {
  say "$*"
  "$@"
}
if [ -z "$only_tests" ]; then
  step cargo fmt --all --check
  step cargo clippy --workspace --all-targets --locked -- -D warnings
fi
# Tests start the real programs: `cargo test` alone builds those of the tested package only.
step cargo build --workspace --bins --locked

scope=(--workspace)
for argument in "$@"; do
  case $argument in
    --) break ;;
    -p | -p?* | --package | --package=*) scope=() ;; # --workspace would win over it
  esac
done
step cargo test ${scope[@]+"${scope[@]}"} --locked "$@"
