//! Client certificates: the api vouches for them, so they are worth less than a token.

use crate::desk::{Desk, HERE, fault};
use ipc::{AccessFault, Answer, Ask, Call, Caller, Change, Refusal, Scope, Secret, Verb};
use serde_json::json;
use signing_agent_tests::until;
use std::net::IpAddr;
use std::process::Command;

const POLICY: &str = "[currencies]\nETH = { code = 4, decimals = 18, addresses = \"any-case\" }\n\
                      [[rule]]\nname = \"inside\"\nverdict = \"hold\"\naction_types = [\"ApproveTransfer\"]\n\
                      currencies = [\"ETH\"]\nrelease = \"token\"\n";

/// `[api]` with a certificate of its own making, which is its clients' CA too.
fn api(dir: &std::path::Path, auth: &str) -> String {
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]);
    openssl.args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"]).arg(&key);
    let output = openssl.arg("-out").arg(&cert).output().expect("openssl is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (cert, key) = (cert.display(), key.display());
    format!(
        "auth = \"{auth}\"\ntls_cert_file = \"{cert}\"\ntls_key_file = \"{key}\"\nclient_ca_file = \"{cert}\"\n\
         [[api.client]]\nname = \"press\"\nsan = \"press.example\"\nscopes = \"register,decide\"\n\
         [[api.client]]\nname = \"screen\"\nsan = \"screen.example\"\nscopes = \"read,feed\"\n"
    )
}

fn with(token: Option<&str>, certificate: Option<&str>, call: Call) -> Ask {
    let bearer = token.map(|token| Secret::new(token.to_owned()));
    let certificate = certificate.map(str::to_owned);
    Ask::Call { caller: Caller { address: Some(IpAddr::from(HERE)), bearer, certificate, request: None }, call }
}

#[test]
fn a_captured_api_that_makes_up_certificates_releases_nothing_that_takes_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::of(&api(dir.path(), "mtls"), POLICY);
    let mut door = desk.door();
    let press = |call: Call| with(None, Some("press"), call);
    for (certificate, wanted) in [(None, AccessFault::CertificateMissing), (Some(""), AccessFault::CertificateUnknown)]
    {
        assert_eq!(fault(&door.ask(&with(None, certificate, Call::Enter(Scope::Decide)))), Some(wanted));
    }
    let answer = door.ask(&with(None, Some("screen"), crate::desk::decide("w1", Verb::Approve)));
    assert_eq!(fault(&answer), Some(AccessFault::CertificateScope(Scope::Decide)));
    assert_eq!(fault(&door.ask(&press(Call::Health))), Some(AccessFault::CertificateScope(Scope::Read)));
    let registered = door.ask(&press(Call::Register(desk.registration("agent"))));
    assert!(matches!(registered, Answer::Registered { .. }), "{registered:?}");
    desk.house.wait("feeds=1");
    let order = |currency: u64| desk.house.order(json!({ "kind": "transfer", "currency": currency })).remove(0);
    let (inside, open) = (order(4), order(5));
    let held = || desk.status().actions.iter().any(|(state, n)| state == "held" && *n == 2);
    until("both are held", held, || desk.house.log());
    let approve = |id: &str| crate::desk::decide(id, Verb::Approve);
    assert_eq!(door.ask(&press(approve(&inside))), Answer::Refused(Refusal::NeedsToken));
    let done = Answer::Decided { verb: Verb::Approve };
    assert_eq!(door.ask(&press(approve(&open))), done);
    // What a rule's release takes is looked at also where no token is asked for to come in.
    let token = desk.token("hand", &["--scope", "decide"]);
    assert_eq!(door.ask(&with(Some(&token), Some("press"), approve(&inside))), done);
    let by: Vec<_> = desk.records("decision").into_iter().filter(|r| r["verdict"] == "approve").collect();
    let by: Vec<_> = by.iter().map(|record| &record["by"]).collect();
    assert_eq!(by, ["certificate press", "token hand, certificate press"]);
    let refused: Vec<_> = desk.records("access").iter().map(|r| (r["cause"].clone(), r["who"].clone())).collect();
    assert!(refused.contains(&(json!("certificate-scope"), json!("certificate screen"))), "{refused:?}");
}

#[test]
fn where_both_are_asked_for_a_made_up_certificate_is_worth_nothing_without_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::of(&api(dir.path(), "both"), POLICY);
    let mut door = desk.door();
    let reader = desk.token("reader", &["--scope", "read"]);
    let mut says = |token: Option<&str>, certificate: Option<&str>, scope| {
        fault(&door.ask(&with(token, certificate, Call::Enter(scope))))
    };
    assert_eq!(says(None, Some("screen"), Scope::Read), Some(AccessFault::TokenMissing));
    assert_eq!(says(Some("made-up"), Some("screen"), Scope::Read), Some(AccessFault::TokenUnknown));
    assert_eq!(says(Some(&reader), None, Scope::Read), Some(AccessFault::CertificateMissing));
    assert_eq!(says(Some(&reader), Some("press"), Scope::Read), Some(AccessFault::CertificateScope(Scope::Read)));
    assert_eq!(says(Some(&reader), Some("screen"), Scope::Feed), Some(AccessFault::TokenScope(Scope::Feed)));
    assert_eq!(says(Some(&reader), Some("screen"), Scope::Read), None);
    // A door makes no token.
    let change =
        Change::TokenAdd { name: "mine".into(), scopes: Scope::Decide.into(), seconds: None, per_minute: None };
    door.tell(&Ask::Change { change, statements: Vec::new() });
    assert_eq!(door.until_the_end(), []);
}
