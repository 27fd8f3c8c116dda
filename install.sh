#!/usr/bin/env bash
# Installs what is missing of COMMAND=PACKAGE …, or /FILE=PACKAGE (with wildcards), with apt; without the rights for it, prints the line to type and fails.
set -euo pipefail

missing=()
for pair in "$@"; do
    case $pair in
        /*) compgen -G "${pair%%=*}" >/dev/null ;;
        *) command -v "${pair%%=*}" >/dev/null 2>&1 ;;
    esac || missing+=("${pair##*=}")
done
((${#missing[@]})) || exit 0

command -v apt-get >/dev/null 2>&1 || { echo "missing: ${missing[*]}, and there is no apt-get here: install them" >&2; exit 1; }
line="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
    as_root=(env DEBIAN_FRONTEND=noninteractive)
elif command -v sudo >/dev/null 2>&1; then
    as_root=(sudo env DEBIAN_FRONTEND=noninteractive)
else
    echo "missing: ${missing[*]}. Please run as root: $line" >&2
    exit 1
fi
echo "installing ${missing[*]} ($line)" >&2
# One source that is away must not keep the others from being asked.
"${as_root[@]}" apt-get update -qq >&2 || true
# shellcheck disable=SC2086
"${as_root[@]}" ${line} -qq >&2 || { echo "that failed; please run as root: apt-get update && $line" >&2; exit 1; }
