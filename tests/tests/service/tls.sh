# The api's TLS in its unit: docs/tls.md as it is written, a reload, and a key that the api's user cannot read.

promise "with TLS the api serves by a certificate below /etc, with the page's owners and modes"
certificate() { # made in the container's /root, and put where the page says
    in_it 'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout api-key.pem -out api.pem -days 60 \
        -subj /CN=agent -addext subjectAltName=IP:127.0.0.1 2>/run/openssl'
    page=${page%/*}/tls.md page "TLS" 1
}
certificate
in_it 'cp -a /etc/signing-agent/signing-agent.toml /root/plain.toml
    sed -i "/^\[api\]/a tls_cert_file = \"tls/api.pem\"\ntls_key_file = \"tls/api-key.pem\"" /etc/signing-agent/signing-agent.toml
    systemctl restart signing-agent.target'
eventually 20 'curl -sf --cacert api.pem --header @partner-header https://127.0.0.1:8007/api/v1/healthcheck/ready'
no 'curl -sf --header @partner-header http://127.0.0.1:8007/api/v1/healthcheck/ready'
doctor_says() { in_it 'signing-agent doctor --json >/run/doctor || true'; finds "$1" "$2"; }
for check in files tls-certificate tls-key; do doctor_says $check good; done

promise "systemctl reload brings another certificate into force, and no room ends"
before=$(pid api)
certificate
in_it 'systemctl reload signing-agent-api'
eventually 20 'test "$(openssl s_client -connect 127.0.0.1:8007 </dev/null 2>/dev/null | openssl x509 -noout -serial)" = "$(openssl x509 -noout -serial -in api.pem)"'
yes 'curl -sfo /dev/null --cacert api.pem --header @partner-header https://127.0.0.1:8007/api/v1/healthcheck/ready'
[ "$(pid api)" = "$before" ] || fail "the api is another process after a reload"

promise "a key that the api's user cannot read is not taken, doctor names it to root too, and the one before stays"
in_it 'chown root /etc/signing-agent/tls/api-key.pem && systemctl reload signing-agent-api'
eventually 20 "journalctl --sync; journalctl -u signing-agent-api -o cat --no-pager | grep -q 'the TLS files are not taken'"
yes 'curl -sfo /dev/null --cacert api.pem --header @partner-header https://127.0.0.1:8007/api/v1/healthcheck/ready'
doctor_says tls-files fault
in_it 'cp -a plain.toml /etc/signing-agent/signing-agent.toml && rm -r /etc/signing-agent/tls && systemctl restart signing-agent.target'
eventually 20 'curl -sf --header @partner-header 127.0.0.1:8007/api/v1/healthcheck/ready'
approves "and without TLS it goes on"
