# The rest of the page: the PIN encrypted, the upgrade, removal and purge.

promise "the PIN can lie encrypted, by the machine's key"
page "The PIN, encrypted"
no 'test -e /etc/signing-agent/token-pin'
approves "and the vault logs in with it"

promise "an upgrade restarts all rooms, and leaves the configuration as it is"
before=$(for room in vault api courier; do pid $room; done)
sum=$(in_it 'sha256sum /etc/signing-agent/*')
page "Upgrade"
for room in vault api courier; do
    grep -qx "$(pid $room)" <<<"$before" && fail "$room was not restarted"
done
[ "$(in_it 'sha256sum /etc/signing-agent/*')" = "$sum" ] || fail "the configuration is another"
yes 'test -z "$(dpkg-query -W -f "\${Conffiles}" signing-agent)"'
approves "and goes on afterwards"

promise "removed and purged, the package leaves keys, state and configuration, and says so"
# For the search of secrets, while they are there.
container tar -C /var/lib/signing-agent -c . | tar -C "$results" -x --one-top-level=state
page "Removal" 1
no 'systemctl -q is-active signing-agent-vault || test -e /usr/bin/signing-agent || test -e /etc/systemd/system/multi-user.target.wants/signing-agent.target'
yes 'dpkg --purge signing-agent >/run/purged 2>&1; grep -q "kept /var/lib/signing-agent$" /run/purged'
yes 'test -e /var/lib/signing-agent/ledger.sqlite && test -e /var/lib/signing-agent/bls.age && test -e /etc/signing-agent/signing-agent.toml && ls /var/lib/signing-agent-softhsm | grep -q .'

promise "installed again, it goes on with what was kept"
page "1. The package"
container systemctl start signing-agent.target
approves "as the agent that it was"

promise "asked beforehand, the purge takes everything"
page "Removal" 2
no 'test -e /var/lib/signing-agent || test -e /var/lib/signing-agent-softhsm || test -e /etc/signing-agent || test -e /etc/systemd/system/signing-agent-vault.service.d'
