#!/usr/bin/env bash
# Builds the source once more, in another directory, and compares the programs with those in DIRECTORY, octet for octet:
# for the same toolchain, cargo home and kind of machine.
#
#     reproducible.sh DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/.."
programs=$1
elsewhere=$(mktemp -d)/a/longer/way/than/usual
mkdir -p "$elsewhere"
trap 'rm -rf "${elsewhere%/a/longer/*}"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 tar --create | tar --extract --directory "$elsewhere"
(cd "$elsewhere" && env -u CARGO_TARGET_DIR cargo build --quiet --release --locked --workspace --bins)
for program in signing-agent signing-agent-{vault,api,courier}; do
    sum=$(sha256sum <"$programs/$program")
    [ "$sum" = "$(sha256sum <"$elsewhere/target/release/$program")" ] || { echo "$program is another one in each directory" >&2; exit 1; }
    echo "$program ${sum%% *}"
done
