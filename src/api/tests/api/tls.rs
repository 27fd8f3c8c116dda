//! TLS at the door: its versions, and whose certificates are taken.

use crate::pki::{Pki, VERSIONS};
use crate::secure::{Files, client, get, is_refused, shake};
use crate::support::{Api, Reply, connect, once, registered};
use config::Auth;
use ipc::{AccessFault, Ask};
use signing_agent_api::{Times, Tls};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

#[test]
fn tls_1_3_and_1_2_are_spoken_and_what_is_older_is_not() {
    let files = Files::new();
    let (api, _) = files.api(Auth::Token);
    for version in VERSIONS {
        let config = files.pki.client_config(None, &[version]);
        assert_eq!(get(&config, api.addr).status, 200, "{version:?}");
    }
    for version in [0, 1, 2] {
        let mut stream = connect(api.addr);
        stream.write_all(&client_hello(version)).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        // RFC 8446 §6: a fatal alert, protocol_version.
        assert!(heard.len() == 7 && heard[0] == 21 && heard[5..] == [2, 70], "3.{version}: {heard:?}");
    }
    // The same hello in a version that is spoken.
    let mut stream = connect(api.addr);
    stream.write_all(&client_hello(3)).unwrap();
    let mut kind = [0];
    stream.read_exact(&mut kind).unwrap();
    assert_eq!(kind, [22], "a handshake goes on");
}

/// RFC 5246 §7.4.1.2, with SSL 3.0 as `minor` 0, TLS 1.0 as 1, 1.1 as 2 and 1.2 as 3: ECDHE with ECDSA on P-256.
fn client_hello(minor: u8) -> Vec<u8> {
    let extensions = [&[0, 13, 0, 4, 0, 2, 4, 3][..], &[0, 10, 0, 4, 0, 2, 0, 23], &[0, 11, 0, 2, 1, 0]].concat();
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0, 0, extensions.len() as u8]);
    body.extend(extensions);
    let mut hello = vec![22, 3, minor.min(1), 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    hello.extend(body);
    hello
}

/// A session that is resumed is not looked at again.
#[test]
fn no_session_is_resumed() {
    let files = Files::new();
    let (api, _) = files.api(Auth::Mtls);
    for version in VERSIONS {
        let config = files.pki.client_config(Some(&files.pki.client("desk")), &[version]);
        for _ in 0..3 {
            let mut stream = shake(&config, api.addr).unwrap();
            assert_eq!(once(&mut stream, "GET", "/api/v1/client", "").status, 200);
            assert_eq!(stream.conn.handshake_kind(), Some(rustls::HandshakeKind::Full), "{version:?}");
        }
    }
}

#[test]
fn who_speaks_plain_http_to_tls_is_told_so() {
    let files = Files::new();
    let (api, _) = files.api(Auth::Token);
    let mut stream = connect(api.addr);
    stream.write_all(b"GET /api/v1/client HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut heard = String::new();
    let _ = stream.read_to_string(&mut heard);
    assert!(heard.starts_with("HTTP/1.1 400") && heard.contains("use https"), "{heard}");
    assert!(api.vault.asks.try_recv().is_err());
}

#[test]
fn a_handshake_that_stops_is_not_waited_for() {
    let files = Files::new();
    let times = Times { handshake: Duration::from_millis(200), ..Times::default() };
    let (api, _) = files.api_with(Auth::Token, |settings| settings.times = times);
    for begun in [&[][..], &[22, 3, 1, 2, 0, 1]] {
        let mut stream = connect(api.addr);
        stream.write_all(begun).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(get(&files.config(None), api.addr).status, 200);
}

#[test]
fn only_certificates_of_the_ca_that_are_in_date_and_not_revoked_are_taken() {
    let files = Files::new();
    let (right, revoked) = (files.pki.client("desk"), files.pki.client("desk"));
    files.put("crl.pem", &files.pki.revokes(&[&revoked], 86_400 * 60));
    let (api, _) = files.api(Auth::Mtls);
    let reply = get(&files.config(Some(&right)), api.addr);
    assert_eq!(reply.status, 200);
    let (caller, _) = api.vault.called();
    assert_eq!((caller.certificate.as_deref(), caller.bearer), (Some("desk"), None));
    assert_eq!(caller.address, Some("127.0.0.1".parse().unwrap()));
    let other = Pki::new("Another authority");
    let strangers = [other.client("desk"), files.pki.client_for("desk", -1), revoked];
    for stranger in &strangers {
        assert!(is_refused(&files.config(Some(stranger)), api.addr));
    }
    assert!(is_refused(&files.config(None), api.addr), "without any");
    // A server's certificate is no client's.
    assert!(is_refused(&files.config(Some(&files.pki.server(9))), api.addr));
    assert!(api.vault.asks.try_recv().is_err(), "the vault was not asked for any of them");
    let (mut told, mut times) = (BTreeSet::new(), 0);
    while times < 5 {
        let all = api.vault.was_told(|ask| match ask {
            Ask::TurnedAway(all) => Some(all),
            _ => None,
        });
        times += all.iter().map(|one| one.times).sum::<u32>();
        told.extend(all.iter().map(|one| one.fault.code()));
        assert!(all.iter().all(|one| one.address.is_some()));
    }
    let causes = [AccessFault::CertificateMissing.code(), AccessFault::CertificateRefused.code()];
    assert_eq!((told, times), (BTreeSet::from(causes), 5));
}

#[test]
fn where_a_certificate_is_one_of_two_ways_a_client_may_have_none_but_no_bad_one() {
    let files = Files::new();
    let (api, _) = files.api(Auth::Either);
    assert_eq!(get(&files.config(None), api.addr).status, 200);
    assert_eq!(api.vault.called().0.certificate, None);
    assert_eq!(get(&files.config(Some(&files.pki.client("nobody"))), api.addr).status, 200);
    assert_eq!(api.vault.called().0.certificate.as_deref(), Some(""), "the vault hears that it is nobody's");
    assert!(is_refused(&files.config(Some(&Pki::new("Another authority").client("desk"))), api.addr));
}

#[test]
fn where_only_tokens_are_taken_no_certificate_is_asked_for() {
    let files = Files::new();
    let (api, _) = files.api(Auth::Token);
    let reply = once(
        &mut shake(&files.config(Some(&files.pki.client("desk"))), api.addr).unwrap(),
        "GET",
        "/api/v1/client",
        "Authorization: Bearer abc\r\n",
    );
    assert_eq!(reply.status, 200);
    let (caller, _) = api.vault.called();
    assert_eq!((caller.certificate, caller.bearer.unwrap().expose()), (None, "abc"));
    let warnings = api.vault.was_told(|ask| match ask {
        Ask::DoorState(state) => Some(state.warnings),
        _ => None,
    });
    assert!(warnings[0].contains("client_ca_file is not used"), "{warnings:?}");
}

#[test]
fn a_certificate_is_its_clients_by_all_that_the_configuration_says_of_it() {
    let files = Files::new();
    let whose = |subject: Option<&str>, san: Option<&str>| {
        let tls = Tls::open(&files.files, Auth::Mtls, &[client("it", subject, san)]).unwrap();
        let api = Api::set(registered, |settings| settings.tls = Some(tls.into()));
        let Reply { status, .. } = get(&files.config(Some(&files.pki.client("desk"))), api.addr);
        assert_eq!(status, 200);
        api.vault.called().0.certificate.unwrap()
    };
    let (subject, san) = ("CN=desk,O=Partner", "desk.partner.example");
    assert_eq!(whose(Some(subject), None), "it");
    assert_eq!(whose(None, Some("DESK.partner.example")), "it");
    assert_eq!(whose(Some("cn=desk , o=Partner"), Some(san)), "it");
    for (subject, san) in [
        (Some("O=Partner,CN=desk"), None),
        (Some("CN=desk"), None),
        (Some("CN=Desk,O=Partner"), None),
        (Some("CN=desk,O=Partner,C=XX"), None),
        (Some("CN=desk+O=Partner"), None),
        (Some(subject), Some("other.partner.example")),
        (Some("CN=other,O=Partner"), Some(san)),
        (None, Some("partner.example")),
        (None, Some("*.partner.example")),
        (None, Some("127.0.0.1")),
    ] {
        assert_eq!(whose(subject, san), "", "{subject:?} {san:?}");
    }
}

type Spoil<'a> = &'a dyn Fn(&Files);

#[test]
fn files_that_are_no_good_are_refused_with_words() {
    let refused = |spoil: Spoil| {
        let files = Files::new();
        spoil(&files);
        match files.open(Auth::Mtls) {
            Ok(_) => panic!("it was taken"),
            Err(error) => error.to_string(),
        }
    };
    let chmod = |files: &Files, mode| {
        std::fs::set_permissions(&files.files.key_file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (mode, words) in [
        (0o640, "others may read this private key"),
        (0o604, "others may read this private key"),
        (0o620, "can be written by others"),
    ] {
        assert!(refused(&|files| chmod(files, mode)).contains(words), "{mode:o}");
    }
    let other = Pki::default().server(9);
    let cases: [(Spoil, &str); 9] = [
        (&|files| files.put("server.key", &other.key_pem), "it is not the key of the certificate"),
        (&|files| files.put("server.key", &other.pem), "no private key in it"),
        (&|files| files.put("server.pem", "nothing"), "no certificate in it"),
        (&|files| files.put("ca.pem", ""), "no certificate in it"),
        (&|files| files.put("crl.pem", &other.pem), "no revocation list in it"),
        (&|files| files.put("crl.pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"), "crl.pem: "),
        (&|files| std::fs::remove_file(&files.files.cert_file).unwrap(), "server.pem: No such file"),
        (&|files| files.put("crl.pem", &"x".repeat(5 << 20)), "longer than 4 MiB"),
        (
            &|files| {
                std::fs::remove_file(&files.files.key_file).unwrap();
                std::fs::create_dir(&files.files.key_file).unwrap();
            },
            "not a regular file",
        ),
    ];
    for (spoil, words) in cases {
        let said = refused(spoil);
        assert!(said.contains(words), "{said}");
    }
    let files = Files::new();
    let wrong = Tls::open(&files.files, Auth::Mtls, &[client("it", Some("desk"), None)]).err().unwrap().to_string();
    assert!(wrong.contains("[[api.client]] it: subject: write it as"), "{wrong}");
}
