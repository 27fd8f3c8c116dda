#!/usr/bin/env bash
# Manual pages and completions for bash, zsh and fish, as the built program itself describes its command line; pages are packed as
# Debian wants them, without a time in them, so that the same program makes the same octets. And what it is made of (sbom.py), or,
# where there is no cargo to say it, what the build has left beside the program.
set -euo pipefail
program=$1 dir=$2

[ -x "$program" ] || { echo "$program is not there: build first (make)" >&2; exit 1; }
rm -rf "$dir"
"$program" generate "$dir"
gzip -9n "$dir"/man/*.1
if command -v cargo >/dev/null; then
    "$(dirname "$0")/../install.sh" python3=python3
    "$(dirname "$0")/sbom.py" >"$dir/sbom.cdx.json"
else
    cp "$(dirname "$program")/sbom.cdx.json" "$dir"
fi
