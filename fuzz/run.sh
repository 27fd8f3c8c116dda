#!/usr/bin/env bash
# Fuzzes each target for SECONDS with SANITIZER (address, or none), from the kept corpus; what it finds new goes to a scratch
# directory. cargo-fuzz needs nightly flags: with a stable toolchain RUSTC_BOOTSTRAP allows them.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1 sanitizer=$2
./install.sh g++=g++ # libFuzzer is C++
tools=${XDG_CACHE_HOME:-$HOME/.cache}/signing-agent-tools
if ! [ -x "$tools/bin/cargo-fuzz" ]; then
  echo "cargo-fuzz is built once, into $tools; this takes a minute"
  CARGO_TARGET_DIR=$tools/target cargo install --debug --locked --quiet --root "$tools" cargo-fuzz@0.13.1
  rm -rf "$tools/target"
fi
export PATH="$tools/bin:$PATH" RUSTC_BOOTSTRAP=1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cargo fuzz build --fuzz-dir fuzz --sanitizer "$sanitizer"
for target in fuzz/fuzz_targets/*.rs; do
  name=$(basename "$target" .rs)
  mkdir "$scratch/$name"
  dictionary=()
  [ -e "fuzz/dictionaries/$name" ] && dictionary=(-dict="fuzz/dictionaries/$name")
  echo "fuzzing $name for $seconds s"
  cargo fuzz run --fuzz-dir fuzz --sanitizer "$sanitizer" "$name" "$scratch/$name" "fuzz/corpus/$name" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 \
    "${dictionary[@]}" 2>&1 |
    grep -E 'stat::number_of_executed_units|stat::peak_rss|SUMMARY|panicked|Test unit written|ERROR' ||
    { echo "$name failed"; exit 1; }
done
