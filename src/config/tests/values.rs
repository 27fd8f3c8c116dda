//! What a good configuration means.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use config::{Auth, Config, Curve, Level, LogFormat, Pin, Token};
use signing_agent_config as config;

fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("/etc/agent")).expect("a good configuration")
}

fn backend(lines: &str) -> config::Backend {
    parse(&format!("[backend]\n{lines}\n")).backend
}

#[test]
fn a_url_is_enough() {
    let c = parse("[backend]\nurl = \"https://play-api.qredo.network/api/v1/p\"\n");
    assert_eq!(c.backend.endpoint("init"), "https://play-api.qredo.network/api/v1/p/client/init");
    assert_eq!(c.backend.feed(), "wss://play-api.qredo.network/api/v1/p/client/feed");
    assert_eq!(c.backend.read_pin().unwrap(), 0);
    assert_eq!(c.api.listen.to_string(), "127.0.0.1:8007");
    // Nobody is let in who has no token.
    let extras = (c.api.tls.is_some(), c.api.clients.len(), c.api.cors_origins.len());
    assert_eq!((c.api.auth, extras), (Auth::Token, (false, 0, 0)));
    assert_eq!(c.api.feed_url(c.api.listen), "ws://127.0.0.1:8007/api/v1/client/feed");
    assert_eq!(c.hsm.module, Path::new("/usr/lib/softhsm/libsofthsm2.so"));
    assert_eq!(c.hsm.token, Token::Label("signing-agent".into()));
    assert_eq!(c.hsm.identity_curve, Curve::P256);
    assert_eq!(c.hsm.pin_file, None);
    assert!(c.sealing.recovery_recipients.is_empty());
    assert_eq!(c.policy.file, None);
    assert_eq!(c.state.ledger(), Path::new("/var/lib/signing-agent/ledger.sqlite"));
    assert_eq!(c.state.lane_admin(), Path::new("/var/lib/signing-agent/lanes/admin.sock"));
    assert_eq!((c.log.format, c.log.level), (LogFormat::Text, Level::Info));
}

#[test]
fn the_whole_of_it_is_read() {
    let c = parse(
        r#"
        [backend]
        url = "https://play-api.qredo.network/api/v1/p"
        resource = "coreclient"
        feed_url = "wss://elsewhere.example/feed"
        pin = 9999
        ca_file = "ca.pem"
        [api]
        listen = "[::1]:0"
        auth = "none"
        public_url = "https://agent.example/base/"
        [hsm]
        module = "/opt/module.so"
        slot = 3
        profile = "local"
        pin_file = "/run/pin"
        identity_curve = "secp256k1"
        [sealing]
        recovery_recipients = ["age1qqq", "age1ppp"]
        [policy]
        file = "policy.toml"
        [state]
        dir = "state"
        [log]
        format = "json"
        level = "trace"
        "#,
    );
    assert_eq!(c.backend.feed(), "wss://elsewhere.example/feed");
    assert_eq!(c.backend.endpoint("action/x"), "https://play-api.qredo.network/api/v1/p/coreclient/action/x");
    assert_eq!(c.backend.read_pin().unwrap(), 9999);
    assert_eq!(c.backend.ca_file, Some(PathBuf::from("/etc/agent/ca.pem")));
    assert_eq!(c.api.feed_url(c.api.listen), "wss://agent.example/base/api/v1/client/feed");
    assert_eq!(c.hsm.token, Token::Slot(3));
    assert_eq!(c.hsm.identity_curve, Curve::Secp256k1);
    assert_eq!(c.sealing.recovery_recipients, ["age1qqq", "age1ppp"]);
    assert_eq!(c.policy.file, Some(PathBuf::from("/etc/agent/policy.toml")));
    assert_eq!(c.state.dir, Path::new("/etc/agent/state"));
    assert_eq!((c.log.format, c.log.level), (LogFormat::Json, Level::Trace));
}

#[test]
fn who_may_call_and_over_what_is_read() {
    let c = parse(
        r#"
        [backend]
        url = "https://h"
        [api]
        listen = "0.0.0.0:8007"
        auth = "either"
        tls_cert_file = "c.pem"
        tls_key_file = "/k.pem"
        client_ca_file = "ca.pem"
        client_crl_file = "crl.pem"
        cors_origins = ["https://desk.example", "http://localhost:3000", "https://[::1]:8443"]
        [[api.client]]
        name = "desk"
        subject = "CN=desk,O=Example Bank"
        scopes = "read, decide"
        [[api.client]]
        name = "screen"
        san = "screen.example"
        scopes = "feed"
        [people]
        policy_signers = ["alice ssh-ed25519 AAAA"]
        policy_signatures = 1
        change_signers = ["alice ssh-ed25519 AAAA", "bob ssh-ed25519 BBBB"]
        change_signatures = 2
        "#,
    );
    let tls = c.api.tls.as_ref().unwrap();
    let files = [Some(&tls.cert_file), Some(&tls.key_file), tls.client_ca_file.as_ref(), tls.client_crl_file.as_ref()];
    let wanted = ["/etc/agent/c.pem", "/k.pem", "/etc/agent/ca.pem", "/etc/agent/crl.pem"];
    assert_eq!(files.map(|file| file.unwrap().to_str().unwrap()), wanted);
    let clients: Vec<(&str, Option<&str>, Option<&str>, String)> = c
        .api
        .clients
        .iter()
        .map(|client| {
            (client.name.as_str(), client.subject.as_deref(), client.san.as_deref(), client.scopes.to_string())
        })
        .collect();
    assert_eq!(
        clients,
        [
            ("desk", Some("CN=desk,O=Example Bank"), None, "decide,read".to_owned()),
            ("screen", None, Some("screen.example"), "feed".to_owned()),
        ]
    );
    assert_eq!((c.api.auth, c.api.cors_origins.len()), (Auth::Either, 3));
    assert_eq!(c.api.feed_url(c.api.listen), "wss://0.0.0.0:8007/api/v1/client/feed");
    assert_eq!((c.people.change_signers.len(), c.people.change_signatures), (2, 2));
    for auth in [Auth::None, Auth::Token] {
        let lines = format!("[backend]\nurl = \"https://h\"\n[api]\nauth = \"{}\"\n", auth.as_str());
        assert_eq!(parse(&lines).api.auth, auth);
    }
    // Off loopback by TLS and a token.
    let tls = "listen = \"[::]:8007\"\ntls_cert_file = \"c\"\ntls_key_file = \"k\"";
    assert!(parse(&format!("[backend]\nurl = \"https://h\"\n[api]\n{tls}\n")).api.tls.is_some());
}

#[test]
fn what_is_signed_over_has_one_form() {
    for url in ["https://H.example:443/p", "https://h.example/p/", "https://h.example/p//", "HTTPS://h.example/x/../p"]
    {
        let backend = backend(&format!("url = \"{url}\""));
        assert_eq!(backend.endpoint("init"), "https://h.example/p/client/init", "{url}");
        assert_eq!(backend.feed(), "wss://h.example/p/client/feed", "{url}");
    }
    assert_eq!(backend("url = \"https://h\"").endpoint("init"), "https://h/client/init");
}

#[test]
fn plain_http_reaches_loopback() {
    for host in ["127.0.0.1:9000", "127.8.8.8:1", "[::1]:9000", "localhost:9000"] {
        let backend = backend(&format!("url = \"http://{host}/p\""));
        assert_eq!(backend.feed(), format!("ws://{host}/p/client/feed"));
    }
}

#[test]
fn the_feed_url_is_built_from_the_address_that_is_bound() {
    let c = parse("[backend]\nurl = \"https://h\"\n[api]\nlisten = \"127.0.0.1:0\"\n");
    assert_eq!(c.api.feed_url("127.0.0.1:4711".parse().unwrap()), "ws://127.0.0.1:4711/api/v1/client/feed");
}

#[test]
fn relative_paths_count_from_the_files_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    std::fs::write(&path, "[backend]\nurl = \"https://h\"\n[state]\ndir = \"here\"\n").unwrap();
    assert_eq!(config::load(&path).unwrap().state.deed(), dir.path().join("here/deed.jws"));
}

#[test]
fn a_pin_file_is_read_only_if_it_is_private_and_holds_a_pin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pin");
    let backend = backend(&format!("url = \"https://h\"\npin_file = \"{}\"", path.display()));
    let put = |content: &[u8], mode: u32| {
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let answer = backend.read_pin();
        answer.map_err(|error| error.to_string())
    };
    assert!(backend.read_pin().unwrap_err().to_string().contains("cannot read"));
    assert_eq!(put(b" 0042\n", 0o600), Ok(42));
    assert_eq!(put(b"9999", 0o400), Ok(9999));
    for mode in [0o640, 0o604, 0o620, 0o610, 0o666] {
        assert!(put(b"42", mode).unwrap_err().contains("chmod 600"), "{mode:o}");
    }
    for content in [&b""[..], b"10000", b"-1", b"+1", b"1 2", b"12a", b"\xff", &[b'1'; 100]] {
        let said = put(content, 0o600).unwrap_err();
        assert!(said.contains("pin_file"), "{said}");
        assert!(!said.contains("12a") && !said.contains("10000"), "{said}");
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(backend.read_pin().unwrap_err().to_string().contains("regular file"));
}

#[test]
fn a_pin_is_not_shown_by_debug() {
    assert!(!format!("{:?}", backend("url = \"https://h\"\npin = 4711")).contains("4711"));
    assert_eq!(backend("url = \"https://h\"\npin = 4711").pin, Pin::Inline(4711));
}
