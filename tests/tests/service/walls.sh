# Walls that are seen at run time: the live rooms, and a probe in units with the rooms' own settings and in one without any.

promise "three rooms, three users, no capabilities, no new privileges, a seccomp filter each"
users=" "
for room in vault api courier; do
    status=$(container cat "/proc/$(pid $room)/status")
    value() { awk -v key="$1:" '$1 == key { print $2 }' <<<"$status"; }
    case "$users" in *" $(value Uid) "*) fail "$room shares its user" ;; esac
    [ "$(value Uid)" != 0 ] || fail "$room is root"
    users+="$(value Uid) "
    for bits in CapEff CapPrm CapInh CapBnd CapAmb; do
        [ "$(value $bits)" = 0000000000000000 ] || fail "$room has $bits $(value $bits)"
    done
    [ "$(value NoNewPrivs) $(value Seccomp)" = "1 2" ] || fail "$room: NoNewPrivs, Seccomp: $(value NoNewPrivs) $(value Seccomp)"
    yes "grep -q '^Max core file size  *0  *0 ' /proc/$(pid $room)/limits"
    shows "signing-agent-$room" MemorySwapMax=0 LimitCORE=0 UMask=0077 MemoryDenyWriteExecute=yes ProtectProc=invisible NotifyAccess=main
    denied=$(container systemctl show -p IPAddressDeny --value signing-agent-$room | tr ' ' '\n' | sort | tr '\n' ' ')
    [ "$denied" = "0.0.0.0/0 ::/0 " ] || fail "$room: IPAddressDeny=$denied"
done

promise "the vault and the api have no network but an empty one, each of its own"
own=$(in_it 'readlink /proc/1/ns/net')
for room in vault api; do
    [ "$(in_it "readlink /proc/$(pid $room)/ns/net")" != "$own" ] || fail "$room is in the host's network"
    [ "$(in_it "tail -n +3 /proc/$(pid $room)/net/dev | grep -vc '^ *lo:' || true")" = 0 ] || fail "$room has an interface"
done

promise "each lane is its group's"
for lane in api:signing-agent-lane-api courier:signing-agent-lane-courier admin:signing-agent-admin; do
    yes "test \"\$(stat -c %U:%G:%a /run/signing-agent/${lane%%:*}.sock)\" = root:${lane##*:}:660"
done

promise "a member of signing-agent-admin has its answer without reading the configuration, and nobody else has one"
in_it 'useradd --system --user-group --groups signing-agent-admin olga'
as_operator='setpriv --reuid=olga --regid=olga --init-groups'
no "$as_operator cat /etc/signing-agent/signing-agent.toml"
yes "$as_operator signing-agent status --json | grep -q agentID"
no 'setpriv --reuid=nobody --regid=nogroup --clear-groups signing-agent status'

promise "without walls the probe gets everywhere"
in_it 'cat >/run/systemd/system/control.service && systemctl daemon-reload && systemctl start control' <<END
[Service]
Type=oneshot
ExecStart=/usr/local/lib/probe
StandardOutput=file:/run/probe-control
END
container cat /run/probe-control >"$results/probe-control"
[ "$(wc -l <"$results/probe-control")" -ge 30 ] || fail "the probe did not try all: $(cat "$results/probe-control")"
if grep -v -e ' ok$' -e '^filters ' -e '^landlock ' "$results/probe-control"; then fail "the control was refused something; what is refused elsewhere proves nothing"; fi

promise "in the rooms' units it gets nowhere but where the room has business"
for room in vault api courier; do
    # The room's own unit, with another program in it.
    in_it "room=$room"'
        name=signing-agent-probe-$room unit=/usr/lib/systemd/system/signing-agent-$room.service own=/usr/libexec/signing-agent/signing-agent-$room
        sed -e "/^Requires=/d; /^Wants=/d; /^After=/d; /^OnFailure=/d; /^Sockets=/d; /^Restart=/d; /^WatchdogSec=/d" \
            -e "s|^ExecStart=.*|ExecStart=/usr/local/lib/probe|" -e "s|^ExecPaths=$own|ExecPaths=/usr/local/lib/probe|" \
            "$unit" >/run/systemd/system/$name.service
        mkdir -p /run/systemd/system/$name.service.d
        printf "[Service]\nType=oneshot\nStandardOutput=file:/run/probe-$room\n" >/run/systemd/system/$name.service.d/99-once.conf
        cp /etc/systemd/system/signing-agent-$room.service.d/*.conf /run/systemd/system/$name.service.d 2>/dev/null || true
        systemctl daemon-reload && systemctl start $name && cat /run/probe-$room' >"$results/probe-$room" \
        || { in_it "journalctl -u signing-agent-probe-$room --no-pager | tail" >&2; fail "the probe did not run as $room"; }
    case $room in
        vault) may="read-state read-token" ;;
        api) may="lane-api" ;;
        courier) may="lane-courier tcp-loopback" ;;
    esac
    got=$(sed -n 's/ ok$//p' "$results/probe-$room" | sort | tr '\n' ' ')
    [ "$got" = "$may " ] || fail "$room may: $may; it got: $got"
    [ "$(wc -l <"$results/probe-$room")" = "$(wc -l <"$results/probe-control")" ] || fail "$room: the probe did not try all"
    grep -q SIGSYS "$results/probe-$room" || fail "$room: nothing was killed by the system call filter"
    # What the room has more than that it has put up itself. A door is on its way back: the probe took its place at its lane.
    outer=$(sed -n 's/^filters //p' "$results/probe-$room")
    eventually 20 "grep -E '^Seccomp_filters:' /proc/\$(systemctl show -p MainPID --value signing-agent-$room)/status \
        | (read -r _ filters; test \$filters -gt $outer)"
done

promise "the rooms use the Landlock that the kernel has"
for room in vault api courier; do
    if grep -q '^landlock [1-9]' "$results/probe-$room"; then
        no "journalctl --sync; journalctl -u signing-agent-$room -o cat --no-pager | grep -q 'this kernel has it not'"
    fi
done
