# What ends, hangs or is refused, and what becomes of it.

comes_back() { # ROOM WHAT-IS-DONE-TO-IT
    local before
    before=$(pid "$1")
    in_it "$2"
    eventually 20 "now=\$(systemctl show -p MainPID --value signing-agent-$1); test \$now -ne 0 && test \$now -ne $before && systemctl -q is-active signing-agent-$1"
}

promise "a door that is killed comes back"
comes_back api 'systemctl kill -s KILL signing-agent-api'
eventually 10 'curl -sf --header @partner-header 127.0.0.1:8007/api/v1/healthcheck/ready'
comes_back courier 'systemctl kill -s KILL signing-agent-courier'
approves "and works"

promise "a vault that is killed comes back, and the doors find it"
comes_back vault 'systemctl kill -s KILL signing-agent-vault'
approves "and goes on"

promise "a vault that hangs is killed by the watchdog, and comes back"
# The unit's half minute, shortened for the test alone.
in_it 'mkdir -p /run/systemd/system/signing-agent-vault.service.d && printf "[Service]\nWatchdogSec=3s\n" \
    >/run/systemd/system/signing-agent-vault.service.d/99-test.conf && systemctl daemon-reload && systemctl restart signing-agent-vault'
comes_back vault 'systemctl kill -s STOP signing-agent-vault'
yes 'journalctl --sync; journalctl -u signing-agent-vault --no-pager | grep -q "Watchdog timeout"'
in_it 'rm -r /run/systemd/system/signing-agent-vault.service.d && systemctl daemon-reload && systemctl restart signing-agent-vault'
shows signing-agent-vault WatchdogUSec=30s
approves "and goes on again"

promise "SIGHUP ends no room: the vault reads its policy again, the doors say that they reload nothing"
before=$(for room in vault api courier; do pid $room; done)
in_it 'systemctl kill -s HUP signing-agent-vault signing-agent-api signing-agent-courier'
for room in api courier; do
    eventually 20 "journalctl --sync; journalctl -u signing-agent-$room -o cat --no-pager | grep -q 'nothing is reloaded on SIGHUP'"
done
eventually 20 "journalctl --sync; journalctl -u signing-agent-vault -o cat --no-pager | grep -q 'the policy was read again'"
in_it 'systemctl reload signing-agent-vault' || fail "systemctl reload reads the policy again"
in_it 'cp -a /etc/signing-agent/policy.toml /root/ && echo nonsense >>/etc/signing-agent/policy.toml'
no 'systemctl reload signing-agent-vault'
in_it 'cp -a /root/policy.toml /etc/signing-agent/policy.toml && systemctl reload signing-agent-vault'
[ "$(for room in vault api courier; do pid $room; done)" = "$before" ] || fail "a room is another process after SIGHUP"
approves "and the agent works"

promise "the journal has an action's and a request's lines by fields of their own, of every room"
in_it "sed -i 's|^format = .*|format = \"journal\"|' /etc/signing-agent/signing-agent.toml && systemctl restart signing-agent.target"
approves "and it works"
id=$ordered
yes "curl -sf -o /dev/null --header @partner-header --header 'X-Request-Id: order-7' 127.0.0.1:8007/api/v1/client/action/$id"
for room in vault courier; do eventually 10 "journalctl --sync; journalctl -q --no-pager -o cat ACTION=$id ROOM=$room PRIORITY=6 | grep ."; done
eventually 10 "journalctl --sync; journalctl -q --no-pager -o cat ACTION=$id ROOM=api REQUEST=order-7 _SYSTEMD_UNIT=signing-agent-api.service | grep ."
in_it "sed -i 's|^format = .*|format = \"text\"|' /etc/signing-agent/signing-agent.toml && systemctl restart signing-agent.target"
approves "and in words again"

promise "stop is clean, and leaves no socket behind"
container systemctl stop signing-agent.target
# The target has stopped; it waits for no room.
eventually 30 'test "$(systemctl is-active signing-agent-vault signing-agent-api signing-agent-courier | sort -u)" = inactive'
for room in vault api courier; do shows signing-agent-$room ActiveState=inactive Result=success ExecMainStatus=0; done
no 'ls /run/signing-agent | grep .'

promise "where no vault answers doctor looks as the vault's user, and leaves nothing of root's behind"
no 'signing-agent doctor --json >/run/doctor'
# With a D-Bus, which this system has not, it would be as the unit is started, and with its PIN.
yes 'grep -q "as the state directory.s owner, uid $(id -u signing-agent-vault)" /run/doctor'
finds() { yes "grep -A1 '\"check\": \"$1\"' /run/doctor | grep -q '\"health\": \"$2\"'"; }
finds token-pin unknown
for check in pkcs11-module ledger files state-directory policy port; do finds $check good; done
no 'find /var/lib/signing-agent -not -user signing-agent-vault | grep .'
container systemctl start signing-agent.target
approves "and a start after it goes on"

promise "a refused configuration is not tried again and again: the vault stays down and the doors are shut"
starts() { in_it 'journalctl --sync; journalctl -u signing-agent-vault --no-pager -o cat | grep -c "^Starting " || true'; }
in_it 'cp -a /etc/signing-agent/policy.toml /root/ && echo nonsense >>/etc/signing-agent/policy.toml'
before=$(starts)
in_it 'systemctl restart signing-agent.target 2>/dev/null || true'
eventually 20 'systemctl -q is-active signing-agent-halted.target && test "$(systemctl is-active signing-agent-api signing-agent-courier | sort -u)" = inactive'
shows signing-agent-vault ActiveState=failed ExecMainStatus=78
[ "$(starts)" = $((before + 1)) ] || fail "the vault was started $(($(starts) - before)) times"
promise "the operator's next command starts it once, not in a loop"
no 'signing-agent status'
eventually 20 'systemctl -q is-failed signing-agent-vault && systemctl -q is-active signing-agent-halted.target'
[ "$(starts)" = $((before + 2)) ] || fail "the vault was started $(($(starts) - before)) times"
in_it 'cp -a /root/policy.toml /etc/signing-agent/policy.toml'
page "When something is wrong"
approves "put right and restarted as the page says, it goes on"

promise "a refused PIN is not tried again by a restart; the vault stays up and says so"
in_it 'cp -a /etc/signing-agent/token-pin /root/pin && echo 00000000 >/etc/signing-agent/token-pin && systemctl restart signing-agent-vault'
yes 'systemctl -q is-active signing-agent-vault && signing-agent status 2>/dev/null | grep -qi pin'
in_it 'cp -a /root/pin /etc/signing-agent/token-pin && systemctl restart signing-agent-vault'
yes 'test -e /var/lib/signing-agent/pin-refused && { signing-agent status 2>/dev/null || true; } | grep -q try-pin-again'
yes 'signing-agent init --try-pin-again >/dev/null'
approves "until the operator says so"

promise "a vault that fails at each start is given up after twenty, and the doors are shut"
# Without descriptors to load its libraries by; and in quick succession, for the test alone.
in_it 'mkdir -p /run/systemd/system/signing-agent-vault.service.d && printf "[Service]\nLimitNOFILE=3\nRestartSec=10ms\n" \
    >/run/systemd/system/signing-agent-vault.service.d/99-test.conf && systemctl daemon-reload && systemctl reset-failed "signing-agent*"'
before=$(starts)
in_it 'systemctl restart signing-agent-vault 2>/dev/null || true'
eventually 30 'systemctl -q is-failed signing-agent-vault && systemctl -q is-active signing-agent-halted.target && test "$(systemctl is-active signing-agent-api signing-agent-courier | sort -u)" = inactive'
made=$(($(starts) - before))
{ [ $made -ge 15 ] && [ $made -le 21 ]; } || fail "the vault was started $made times"
in_it 'rm -r /run/systemd/system/signing-agent-vault.service.d && systemctl daemon-reload'
page "When something is wrong"
approves "put right and restarted as the page says, it goes on"
