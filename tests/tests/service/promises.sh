#!/usr/bin/env bash
# Inside container.sh, beside a booted system: docs/install.md as it is written, and what is promised of the service.
# Ends at the first promise that is not kept, and says which.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${leader:?}" "${root:?}" "${page:?}" "${recipient:?}" "${results:?}"
source "$here/tools.sh"

promise "the clean system is up, and has neither the agent nor what it needs"
eventually 30 'systemctl list-jobs | grep -q "No jobs"'
no 'dpkg -s ca-certificates || dpkg -s softhsm2 || getent passwd signing-agent-vault'
names=$(block "What is yours to say" | sed -n 's/^\([A-Z]*\)=.*/\1/p' | tr '\n' ' ')
[ "$names" = "BACKEND RESOURCE ADDRESSES " ] || fail "the page asks for other values than are given here: $names"

promise "step 1: the package brings what it needs, makes users, starts nothing"
# By itself, for curl recommends it too.
yes 'apt-get install --simulate --no-install-recommends ./signing-agent_*.deb >/run/simulated; grep -q "^Inst ca-certificates " /run/simulated'
page "1. The package"
yes 'test "$(systemctl is-enabled signing-agent.target)" = disabled'
no 'systemctl is-active signing-agent.target || systemctl --quiet is-active "signing-agent*"'
yes 'ldd /usr/libexec/signing-agent/* /usr/bin/signing-agent >/tmp/ldd && ! grep "not found" /tmp/ldd'
for user in vault api courier; do yes "id -nG signing-agent-$user | grep -qw signing-agent"; done

promise "steps 2 to 4: a token, a configuration, the courier's addresses"
page "2. The token and its PIN"
page "3. The configuration"
page "4. Whom the courier may reach"
yes 'test "$(stat -c %U:%G:%a /etc/signing-agent/signing-agent.toml)" = root:signing-agent:640'
yes 'test "$(stat -c %U:%G:%a /etc/signing-agent/token-pin)" = root:root:600'
in_it 'cat /etc/signing-agent/token-pin' >"$results/pin"
# Not the page's: a recovery key, with which the secrets can be looked for afterwards; and a log that says all it can.
in_it "sed -i -e 's|^recovery_recipients = .*|recovery_recipients = [\"$recipient\"]|' -e 's|^level = .*|level = \"trace\"|' /etc/signing-agent/signing-agent.toml"
in_it 'nohup custody-simulator --listen 127.0.0.1:9800 >/run/simulator 2>&1 &'
nsenter -t "$leader" -n ip address add 10.9.9.9/32 dev lo
in_it 'nohup /usr/local/lib/probe listen 10.9.9.9 9801 >/run/outside 2>&1 &'
eventually 10 'test -s /run/simulator && test -s /run/outside'

promise "step 5: the target starts all rooms; init and status answer"
page "5. Start"
control new-partner >"$results/partner.json"
in_it "install -m 600 /dev/stdin /root/registration.json" <<END
{"name": "agent-1", "APIKey": "$(field apiKey)", "Base64PrivateKey": "$(field base64PrivateKey)"}
END

promise "step 6: registration, through the api's door and the courier's"
page "6. Register"
no 'test -e /root/registration.json'
eventually 20 "curl -sf 127.0.0.1:9800/control/wait?feeds=1\&timeoutMs=100"
# Both doors retired after it, and came back: that is no failure.
for room in api courier; do
    yes "test \$(systemctl show -p NRestarts --value signing-agent-$room) -ge 1"
    shows signing-agent-$room ActiveState=active Result=success
done
approvals=0
approves "what policy approves is approved, and the simulator has verified the signature"

source "$here/walls.sh"
source "$here/life.sh"
source "$here/tls.sh"
source "$here/bad-day.sh"
source "$here/package.sh"

promise "the journal is kept for the search of secrets"
in_it 'journalctl --sync && journalctl --no-pager -o export --all' >"$results/journal"
grep -q "signing-agent-vault" "$results/journal" || fail "there is no word of the vault in the journal"
if grep -aE 'signing-agent-(vault|api|courier)\.service: .*status=31/SYS' "$results/journal"; then fail "a room stepped over its own system call list"; fi
