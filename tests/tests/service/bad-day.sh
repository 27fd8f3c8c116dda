# docs/bad-day.md as it is written, on the agent that runs.

day() { page=${page%/*}/bad-day.md page "$@"; }
starts_again() { in_it 'systemctl start signing-agent.target' && eventually 30 'signing-agent status --json | grep -q "{"'; }
frozen() { yes "signing-agent status --json | grep -q '\"frozen\": $1'"; }

promise "the bad day, as its page says: a suspicion"
in_it 'signing-agent token add desk --scope decide >desk-token'
in_it 'signing-agent status --json | sed -n "/\"audit\":/,\$ s/.*\"key\": *\"\([^\"]*\)\".*/\1/p" | head -1 >audit-key.txt'
day "Suspected compromise" 1
frozen true
day "Suspected compromise" 2
day "Suspected compromise" 3
no 'systemctl is-active signing-agent-vault'
starts_again
frozen true
day "Suspected compromise" 4
approves "unfrozen it goes on"

promise "a lost token, a captured door"
day "A lost or stolen token" 1
day "A lost or stolen token" 2
yes 'signing-agent token list | grep -q desk-2'
in_it 'signing-agent token add desk --scope decide >desk-token'
day "A captured door" 1
no 'curl -s --max-time 2 127.0.0.1:8007/healthz'
day "A captured door" 2
frozen false
approves "and it goes on with new doors"

promise "a signer's key is lost, a policy is wrong"
ssh-keygen -q -t ed25519 -N "" -C alice -f "$results/alice"
day "An approver's or signer's key is lost" 1
in_it "sed -i 's|^approvers = \[\]|approvers = [\"alice $(cat "$results/alice.pub")\"]|' /etc/signing-agent/signing-agent.toml"
# Here nobody signs changes, and it says so.
no "$(page=${page%/*}/bad-day.md block "An approver's or signer's key is lost" 2) 2>/run/draft"
yes 'grep -q "nobody needs to sign this" /run/draft'
day "An approver's or signer's key is lost" 3
in_it 'signing-agent unfreeze && cp /etc/signing-agent/policy.toml policy.toml'
action=$(orders withdraw) || fail "the simulator made no action"
eventually 20 "signing-agent actions show $action --json | grep -q '\"held\"'"
day "A wrong policy" 1
frozen false
day "A wrong policy" 2
yes "signing-agent actions show $action --json | grep -q '\"rejected\"'"
action=
approves "and what policy approves it approves"

promise "a state directory that was put back"
in_it 'systemctl stop signing-agent.target signing-agent-vault && cp -a /var/lib/signing-agent before'
starts_again
approves "it goes on from there"
in_it 'systemctl stop signing-agent.target signing-agent-vault && rm -r /var/lib/signing-agent && cp -a before /var/lib/signing-agent'
starts_again
yes '{ signing-agent status || true; } | grep -q "older than the token"'
day "A state directory that was put back, two agents on one token"
frozen true
in_it 'signing-agent unfreeze'
day "A clock that jumped"
approves "and after that it approves"

promise "an agent goes out of service"
day "Decommission" 1
no 'systemctl is-active signing-agent-vault || systemctl is-enabled signing-agent.target'
# How the package is purged install.md says too, and package.sh types it.
[ "$(page=${page%/*}/bad-day.md block Decommission 2)" = "$(grep -A1 '^touch /etc/signing-agent/purge' "$page")" ] || fail "two pages purge in two ways"
# But for the draft above, and the purge.
all_typed "${page%/*}/bad-day.md" 2
in_it 'systemctl enable --now signing-agent.target'
eventually 30 'signing-agent unfreeze'
approves "put back into service it works"
