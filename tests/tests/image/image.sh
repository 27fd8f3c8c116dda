#!/usr/bin/env bash
# In a mount and a network namespace of its own: docs/container.md as it is written, with the images that lie in DIRECTORY/store, and a
# backend that is simulated. Ends at the first promise that is not kept, and says which.
#
#     image.sh DIRECTORY SIMULATOR
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
results=$1 simulator=$2 page=$here/../../../docs/container.md leader=
source "$here/../service/tools.sh"
# Here, and not in a booted system.
container() { "$@"; }
in_it() { bash -eu -c "cd $results/typed-in; $1"; }

ip link set lo up
# A host with both kinds of control groups is none that crun works on; the container needs none.
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p "$results/typed-in/docs"
cp "$here/../../../docs/signing-agent.toml" "$results/typed-in/docs"
"$simulator" --listen 127.0.0.1:9800 >"$results/simulator.log" 2>&1 &
trap 'podman kill --all >/dev/null 2>&1 || true; kill %1 2>/dev/null || true' EXIT
eventually 20 'curl -sf 127.0.0.1:9800/control/stats'

promise "the page asks for the values that are given here, and is built by what has built it"
names=$(block "What is yours to say" | sed -n 's/^\([A-Z]*\)=.*/\1/p' | tr '\n' ' ')
[ "$names" = "BACKEND RESOURCE " ] || fail "$names"
[ "$(block Building)" = "make image" ] || fail "another command"

promise "there is no shell in it, nothing that is set-uid, and it starts as nobody's root"
mounted=$(podman image mount localhost/signing-agent)
yes "test -x $mounted/usr/bin/signing-agent"
for program in sh bash apt-get dpkg; do no "find $mounted -name $program | grep ."; done
no "find $mounted -perm /6000 | grep ."
yes "test -s $mounted/usr/share/doc/signing-agent/sbom.cdx.json"
podman image unmount localhost/signing-agent >/dev/null
yes 'test "$(podman image inspect --format "{{.User}} {{.Config.Entrypoint}} {{.Config.Cmd}}" localhost/signing-agent)" = "10001:10001 [/usr/bin/signing-agent] [run]"'

promise "a token, a configuration, a running agent"
page "The token and its PIN"
page "Configuration"
page "Running"
no 'podman exec signing-agent signing-agent token list --config /etc/signing-agent/nothing.toml'
root=$(podman inspect --format '{{.HostConfig.ReadonlyRootfs}}' signing-agent)
[ "$root" = true ] || fail "its root can be written"
main=$(podman inspect --format '{{.State.Pid}}' signing-agent)
rooms=$(cat "/proc/$main"/task/*/children)
[ "$(wc -w <<<"$rooms")" = 3 ] || fail "there are other processes than three rooms: $rooms"
for pid in $main $rooms; do
    yes "grep -qP '^Uid:\t10001\t10001\t10001\t10001$' /proc/$pid/status && grep -qP '^CapEff:\t0+$' /proc/$pid/status && grep -qP '^NoNewPrivs:\t1$' /proc/$pid/status"
done
# One filter is the container's; a room has its own besides.
for pid in $rooms; do yes "test \$(awk '/^Seccomp_filters:/ { print \$2 }' /proc/$pid/status) -ge 2"; done

promise "it registers"
control new-partner >"$results/partner.json"
in_it "install -m 600 /dev/stdin registration.json" <<END
{"name": "agent-1", "APIKey": "$(field apiKey)", "Base64PrivateKey": "$(field base64PrivateKey)"}
END
page "Registering"
eventually 20 'curl -sf "127.0.0.1:9800/control/wait?feeds=1&timeoutMs=100"'
approvals=0
approves "and approves, with signatures that the simulator has verified"

promise "it stops in order, and another container goes on where it was"
page "Stopping, and another version"
# Of the page's block what starts it; it is initialised already, and says so.
page "Running"
eventually 20 'curl -sf "127.0.0.1:9800/control/wait?feeds=1&timeoutMs=100"'
approves "and approves again"
code=$(podman stop signing-agent >/dev/null && podman inspect --format '{{.State.ExitCode}}' signing-agent)
[ "$code" = 0 ] || fail "it ended with $code"
no 'podman logs signing-agent 2>&1 | grep -i panicked'
# A page's secret is in no log.
no "podman logs signing-agent 2>&1 | grep -F \"\$(cat token-pin)\""
# But for the building and the values, which were looked at first.
all_typed "$page" 2
