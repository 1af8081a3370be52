#!/usr/bin/env bash
# Looks for what the test command has no time to find. `./scripts/soak.sh --help` says how.
set -euo pipefail

# For how long each target of the fuzzer is fed.
readonly fuzz_seconds=60

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
  simulation    both services in one process under a seeded scheduler. A seed that
                fails is printed with its steps, and repeats exactly.
  fuzzing       made-up input to all that reads what comes from outside, 60 s for
                each target, whatever the minutes are: see scripts/fuzz.sh.

The faults have two thirds of the time, the simulation one.
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

printf '== faults, from seed %s on\n' "$seed"
LOCKSTEP_FAULT_SEED=$seed LOCKSTEP_SOAK_SECONDS=$((minutes * 40)) \
  tests -p e2e --test faults -- soak --ignored --nocapture

printf '== simulation, from seed %s on\n' "$seed"
cargo run --release --locked -p simulation -- --from "$seed" --seeds 1000000 --seconds $((minutes * 20))

printf '== fuzzing, with seed %s\n' "$seed"
./scripts/fuzz.sh --seconds "$fuzz_seconds" --seed "$seed"
