#!/usr/bin/env bash
# Manual pages and completions for bash, zsh and fish, as the built program itself describes its command line; pages are packed as
# Debian wants them, without a time in them, so that the same program makes the same octets.
set -euo pipefail
program=$1 dir=$2

[ -x "$program" ] || { echo "$program is not there: build first (make)" >&2; exit 1; }
rm -rf "$dir"
"$program" generate "$dir"
gzip -9n "$dir"/man/*.1
