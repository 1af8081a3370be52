#!/usr/bin/env bash
# Looks for what the test command has no time to find. `./scripts/soak.sh --help` says how.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: ./scripts/soak.sh --minutes N [--seed S]

Goes on for N minutes with what the test command does a little of, with new seeds
each time, and stops at the first failure.

  --minutes N   how long, builds not counted
  --seed S      the first seed; the next ones follow. Else one is drawn by lot

  faults        rounds of the fault matrix: the real programs on both databases, with
                processes and servers killed, networks that lie, full and read-only
                disks, clocks that jump. Printed at the end: rounds, writes, and how
                often each kind of fault was met. A round that fails prints its seed
                and the command that repeats it. The plan of a round follows from its
                seed; the moments at which things meet in the machine do not: repeat
                it several times.
HELP
}

fail() { printf 'soak.sh: %s\n' "$*" >&2; exit 1; }

minutes=
seed=$((RANDOM * 32768 + RANDOM))
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit ;;
    --minutes) minutes=${2:-}; shift ;;
    --seed) seed=${2:-}; shift ;;
    *) usage >&2; fail "unknown argument: $1" ;;
  esac
  [ $# = 0 ] || shift
done
[[ $minutes =~ ^[1-9][0-9]*$ ]] || fail "--minutes needs a number from 1 on"
[[ $seed =~ ^[0-9]+$ ]] || fail "--seed needs a number"

cd "$(dirname -- "${BASH_SOURCE[0]}")/.."

# The tests below, with PostgreSQL and everything else that the test command gives them.
tests() { ./scripts/test.sh --only-tests -- "$@"; }

# Each part has its share of the time, in percent; together 100.
seconds() { echo $((minutes * 60 * $1 / 100)); }

printf '== faults, from seed %s on\n' "$seed"
LOCKSTEP_FAULT_SEED=$seed LOCKSTEP_SOAK_SECONDS=$(seconds 100) \
  tests -p e2e --test faults -- soak --ignored --nocapture
