#!/usr/bin/env bash
# Makes a throwaway SoftHSM token in a directory of its own, never the system's, and prints the environment to use:
#
#     eval "$(./softhsm-setup.sh DIR [LABEL])"      # the label is signing-agent unless another is given
#     ./softhsm-setup.sh --install-only             # only sees to it that softhsm2 is installed
#
# Running it again keeps what is there. `rm -r DIR` takes everything away.
# SoftHSM keeps its keys in files: good for trying and testing, not for keys that are worth something.
set -euo pipefail
umask 077

say() { printf 'softhsm-setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
usage() { printf 'usage: %s DIR [LABEL]\n       %s --install-only\n' "$0" "$0" >&2; exit 2; }

module_path() {
    local path
    for path in /usr/lib/softhsm /usr/lib/*/softhsm /usr/lib64/softhsm /usr/lib64/pkcs11 /usr/lib/pkcs11 \
        /usr/local/lib/softhsm /opt/homebrew/lib/softhsm; do
        if [ -f "$path/libsofthsm2.so" ]; then
            printf '%s\n' "$path/libsofthsm2.so"
            return
        fi
    done
    return 1
}

installed() { command -v softhsm2-util >/dev/null && module_path >/dev/null; }

install_softhsm() {
    if installed; then return; fi
    "$(dirname -- "${BASH_SOURCE[0]}")/install.sh" softhsm2-util=softhsm2
    installed || die "softhsm2-util or libsofthsm2.so is not where it is looked for; install SoftHSM 2.6 or later"
}

# 20 random digits, in a file that only its owner may read.
make_pin() {
    if [ -s "$1" ]; then return; fi
    local numbers
    read -r -a numbers < <(od -An -N8 -tu4 /dev/urandom)
    printf '%010u%010u\n' "${numbers[@]}" >"$1"
}

has_token() {
    softhsm2-util --module "$module" --show-slots 2>/dev/null | awk -v want="$label" '
        { sub(/[ \t]+$/, "") }
        /^[ \t]*Initialized:/ { ready = ($2 == "yes") }
        /^[ \t]*Label:/ { sub(/^[ \t]*Label:[ \t]*/, ""); if (ready && $0 == want) found = 1 }
        END { exit !found }'
}

case "${1:-}" in
    --install-only) [ $# -eq 1 ] || usage; install_softhsm; exit 0 ;;
    '' | -*) usage ;;
esac
[ $# -le 2 ] || usage
label=${2:-signing-agent}
if [ ${#label} -gt 32 ]; then die "a label has 1 to 32 characters"; fi

install_softhsm
module=$(module_path)
mkdir -p -- "$1/tokens"
dir=$(cd -- "$1" && pwd)

export SOFTHSM2_CONF=$dir/softhsm2.conf
cat >"$SOFTHSM2_CONF" <<CONF
directories.tokendir = $dir/tokens
objectstore.backend = file
log.level = ERROR
CONF

make_pin "$dir/pin"
make_pin "$dir/so-pin"

if has_token; then
    say "keeping the token \"$label\" in $dir"
else
    # softhsm2-util takes PINs from a terminal or from its arguments, not from a pipe: while it runs, this machine's
    # other users can see them. Reason enough to keep nothing of value in such a token.
    softhsm2-util --module "$module" --init-token --free --label "$label" \
        --pin "$(<"$dir/pin")" --so-pin "$(<"$dir/so-pin")" >&2 || die "softhsm2-util could not make the token"
    say "made the token \"$label\" in $dir"
fi

printf 'export SOFTHSM2_CONF=%q\n' "$SOFTHSM2_CONF"
printf 'export SIGNING_AGENT_TOKEN_MODULE=%q\n' "$module"
printf 'export SIGNING_AGENT_TOKEN_LABEL=%q\n' "$label"
printf 'export SIGNING_AGENT_TOKEN_PIN_FILE=%q\n' "$dir/pin"
