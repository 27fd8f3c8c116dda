# What promises.sh says and does, in words.
fail() { echo "NOT KEPT: $said: $*" >&2; exit 1; }
promise() { said=$1; printf '%3d s  %s\n' "$SECONDS" "$said"; }
container() { nsenter -t "$leader" -a -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C DEBIAN_FRONTEND=noninteractive "$@"; }
# Without pipefail: `grep -q` ends before what feeds it.
in_it() { container bash -eu -c "cd /root; $1"; }
yes() { in_it "$1" || fail "this did not hold: $1"; }
no() { if in_it "$1" >/dev/null 2>&1; then fail "this held: $1"; fi; }
eventually() { # SECONDS CONDITION
    local until=$((SECONDS + $1))
    until in_it "$2" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$until" ]; then fail "not within $1 s: $2"; fi
        sleep .1
    done
}

# The commands of the page below a heading; a number says which block of several.
block() {
    awk -v want="## $1" -v which="${2:-0}" '
        /^## / { here = ($0 == want) } !here { next }
        /^```sh$/ { inside = 1; count++; next } /^```$/ { inside = 0 }
        inside && (!which || count == which) { print; lines++ } END { exit !lines }' "$page" \
        || fail "the page has no commands below \"$1\""
}
page() { # HEADING [BLOCK], with the id in $action where the page says ACTION; `status` may say that something is wrong
    local commands
    echo "$page $*" >>"$results/typed"
    commands=$(block "$@" | sed "s/\bACTION\b/${action:-ACTION}/")
    in_it 'signing-agent() { command signing-agent "$@" || [ "$1" = status ]; }; set -x -o pipefail; BACKEND=http://127.0.0.1:9800/api/v1/p RESOURCE=client ADDRESSES=localhost'$'\n'"$commands" </dev/null \
        >>"$results/page.log" 2>&1 || { tail -30 "$results/page.log" >&2; fail "the page's commands below \"$1\" failed"; }
}

all_typed() { # PAGE N: but for N of its blocks, where each that was typed was so by itself
    local typed
    typed=$(grep -F "$1 " "$results/typed" | sort -u | wc -l)
    [ "$((typed + $2))" -eq "$(grep -c '^```sh$' "$1")" ] || fail "$typed blocks of $1 were typed, and there are $(grep -c '^```sh$' "$1")"
}

control() { container curl -sf --max-time 20 "${@:1:$#-1}" "http://127.0.0.1:9800/control/${*: -1}"; }
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$results/partner.json"; }
pid() { # Of the room, once it is up.
    eventually 20 "systemctl -q is-active signing-agent-$1 && test \$(systemctl show -p MainPID --value signing-agent-$1) -ne 0"
    container systemctl show -p MainPID --value "signing-agent-$1"
}
shows() { # UNIT PROPERTY=VALUE …
    local each
    for each in "${@:2}"; do
        [ "$(container systemctl show -p "${each%%=*}" "$1")" = "$each" ] || fail "$1: $(container systemctl show -p "${each%%=*}" "$1"), not $each"
    done
}
# Has the simulator make an action of this kind; its id.
orders() { control -d "{\"kind\":\"$1\",\"expiresIn\":3600}" actions | grep -o '"id":"[^"]*' | head -1 | cut -d'"' -f4 | grep .; }
# One more action, approved by policy, verified by the simulator; `ordered` is its id.
approves() {
    promise "$1"
    ordered=$(orders transfer) || fail "the simulator took no order"
    approvals=$((approvals + 1))
    control "wait?approved=$approvals&timeoutMs=20000" >"$results/stats.json" \
        || { container signing-agent status >&2 || true; fail "there was no approval: $(cat "$results/stats.json")"; }
    case "$(cat "$results/stats.json")" in *'"refusalsTotal":0'*) ;; *) fail "the simulator refused something: $(cat "$results/stats.json")" ;; esac
}
