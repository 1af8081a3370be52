#!/usr/bin/env bash
# Feeds made-up input to all that reads what comes from outside. `./scripts/fuzz.sh --help` says how.
set -euo pipefail

readonly targets=(token page order import fault)
readonly cargo_fuzz_version=0.13.1
# More than the largest input that is kept.
readonly max_bytes=65536

usage() {
  cat <<HELP
Usage: ./scripts/fuzz.sh [--seconds N] [--seed N] [TARGET…]

Runs each fuzz target (all of them: ${targets[*]}) for that long, beginning
with the inputs in fuzz/corpus and with those that earlier runs found. Ends with 1
when something was found, and says how to repeat it.

  --seconds N  for each target, 60 when absent
  --seed N     of libFuzzer's randomness, 1 when absent; how far a run comes
               depends on the machine too

cargo fuzz is installed below target when it is missing. It needs a C++ compiler;
the stable toolchain is enough. What must hold is in crates/untrusted-input; the test run
checks it for fuzz/corpus.
HELP
}

say() { printf '\n== %s\n' "$*" >&2; }
fail() { printf '\nfuzz.sh: %s\n' "$*" >&2; exit 2; }

is_number() { [[ $1 =~ ^[0-9]+$ ]]; }

seconds=60
seed=1
chosen=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit ;;
    --seconds | --seed)
      is_number "${2:-}" || fail "$1 needs a whole number"
      declare "${1#--}=$2"
      shift
      ;;
    -*) usage >&2; fail "unknown argument: $1" ;;
    *)
      [[ " ${targets[*]} " == *" $1 "* ]] || fail "no such target: $1 (there are: ${targets[*]})"
      chosen+=("$1")
      ;;
  esac
  shift
done
[ ${#chosen[@]} != 0 ] || chosen=("${targets[@]}")

cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
command -v cargo >/dev/null || fail "cargo not found. Install Rust: https://rustup.rs"
command -v c++ >/dev/null || fail "no C++ compiler. Install: sudo apt-get install g++"
mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
tools=$target/cargo-fuzz
export PATH=$tools/bin:$PATH
if [ "$(cargo-fuzz --version 2>/dev/null)" != "cargo-fuzz $cargo_fuzz_version" ]; then
  say "installing cargo-fuzz in $tools"
  cargo install cargo-fuzz --locked --version "$cargo_fuzz_version" --root "$tools" ||
    fail "that failed. Install: cargo install cargo-fuzz --locked --version $cargo_fuzz_version"
fi

# No sanitizer: there is no unsafe code to watch here, and they need an unstable compiler.
fuzz() { (cd fuzz && cargo fuzz "$1" --fuzz-dir . --target-dir "$target/fuzz" --sanitizer none "${@:2}"); }

say "building ${#targets[@]} targets"
fuzz build || fail "the targets do not build"

found=()
for name in "${chosen[@]}"; do
  say "$name, for $seconds s"
  # New inputs go here: fuzz/corpus holds those that somebody chose.
  mkdir -p "$target/fuzz-corpus/$name"
  fuzz run "$name" "$target/fuzz-corpus/$name" "$PWD/fuzz/corpus/$name" -- \
    -max_total_time="$seconds" -seed="$seed" -max_len="$max_bytes" -timeout=10 -print_final_stats=1 ||
    found+=("$name")
done

if [ ${#found[@]} != 0 ]; then
  say "something was found by: ${found[*]}"
  printf '%s\n' "The input is in fuzz/artifacts. To see it fail again, and to make it smaller:" \
    "  cd fuzz && PATH=$tools/bin:\$PATH" >&2
  for name in "${found[@]}"; do
    printf '  cargo fuzz %s --target-dir %q --sanitizer none %s artifacts/%s/crash-…\n' \
      run "$target/fuzz" "$name" "$name" tmin "$target/fuzz" "$name" "$name" >&2
  done
  printf '%s\n' "Keep the smaller one in fuzz/corpus, under a name that says what it is." >&2
  exit 1
fi
say "nothing was found by: ${chosen[*]}"
