#!/bin/sh
# Tries an API that runs against its OpenAPI document: run.sh DOCUMENT URL SEED [OPTION…]
# schemathesis is installed once, beside the other tools, from PyPI (versions: requirements.txt). It takes python3 with venv.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools="${TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/signing-agent-tools}"
venv="$tools/schemathesis-$(sha256sum "$here/requirements.txt" | cut -c1-12)"
if [ ! -x "$venv/bin/schemathesis" ]; then
    echo "schemathesis is installed once, into $venv" >&2
    rm -rf "$venv"
    python3 -m venv "$venv" || { echo "no venv: apt-get install python3-venv" >&2; rm -rf "$venv"; exit 1; }
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" || { rm -rf "$venv"; exit 1; }
fi
document=$1 url=$2 seed=$3
shift 3
exec "$venv/bin/schemathesis" --config-file "$here/schemathesis.toml" run "$document" --url "$url" --seed "$seed" --no-color "$@"
