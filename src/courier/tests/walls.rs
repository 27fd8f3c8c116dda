//! Whom the courier trusts, what it says of what it carries, and how it starts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod house;

use house::backend::{Backend, accept_feed, answer, close_code, serve};
use house::courier::{Courier, write_config};
use house::{Vault, errand, reply, secret, unsent};
use ipc::{Answer, Errand, Method, Place};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tokio_tungstenite::tungstenite::Message;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A TLS configuration for a server named `name`, certified by `authority`.
fn tls(authority: &Authority, name: &str, versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.into()]).unwrap().signed_by(&key, authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    Arc::new(config)
}

fn https(config: Arc<ServerConfig>) -> Backend {
    Backend::new(move |_, stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        serve(StreamOwned::new(connection, stream), &|_| answer("200 OK", "", b"inside"));
    })
}

fn pem(dir: &Path, name: &str, authority: &Authority) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, authority.pem()).unwrap();
    path
}

/// Goes on one errand to `host`, with `ca` as the ca_file and `system` as the system's only CA.
fn one_errand(backend: &Backend, host: &str, ca: Option<&Authority>, system: &Authority) -> ipc::Outcome {
    let vault = Vault::new();
    let mut lines = format!("url = \"https://{host}:{}/p\"", backend.port);
    if let Some(ca) = ca {
        lines += &format!("\nca_file = \"{}\"", pem(vault.dir.path(), "ca.pem", ca).display());
    }
    let system = pem(vault.dir.path(), "system.pem", system);
    let _courier = Courier::start_on(&vault, &lines, Some(&system));
    vault.send(errand(1, Method::Get, "action/w1"));
    vault.outcome(1)
}

#[test]
fn a_ca_file_is_trusted_and_nothing_else() {
    let (ours, other) = (authority(), authority());
    let both = [&rustls::version::TLS13, &rustls::version::TLS12];
    let backend = https(tls(&ours, "127.0.0.1", &both));
    let elsewhere = https(tls(&ours, "elsewhere.example", &both));
    assert_eq!(reply(one_errand(&backend, "127.0.0.1", Some(&ours), &other)).1, b"inside");
    assert_eq!(
        reply(one_errand(&backend, "127.0.0.1", None, &ours)).1,
        b"inside",
        "the system's CAs, without a ca_file"
    );
    for (what, refused) in [
        ("another CA", one_errand(&backend, "127.0.0.1", Some(&other), &other)),
        ("the system's CA, with a ca_file", one_errand(&backend, "127.0.0.1", Some(&other), &ours)),
        ("a CA that is neither", one_errand(&backend, "127.0.0.1", None, &other)),
        ("another name", one_errand(&elsewhere, "127.0.0.1", Some(&ours), &ours)),
    ] {
        let words = unsent(refused);
        assert!(words.contains("certificate"), "{what}: {words}");
    }
}

/// Asks the callback, its CA and the backend's as given.
fn one_question(callback: &Backend, ca: Option<&Authority>, backends: &Authority, system: &Authority) -> ipc::Outcome {
    let vault = Vault::new();
    let dir = vault.dir.path();
    let backends = pem(dir, "ca.pem", backends);
    let mut lines = format!("url = \"https://127.0.0.1:9/p\"\nca_file = {backends:?}\n[callback]\n");
    lines += &format!("url = \"https://127.0.0.1:{}/ask\"\npublic_key_file = \"not the courier's\"\n", callback.port);
    if let Some(ca) = ca {
        lines += &format!("ca_file = {:?}\n", pem(dir, "callback-ca.pem", ca));
    }
    let system = pem(dir, "system.pem", system);
    let _courier = Courier::start_on(&vault, &lines, Some(&system));
    vault.send(Errand { place: Place::Callback, ..errand(1, Method::Post, "") });
    vault.outcome(1)
}

#[test]
fn a_callback_has_its_own_ca_or_the_systems_and_never_the_backends() {
    let (ours, other) = (authority(), authority());
    let callback = https(tls(&ours, "127.0.0.1", &[&rustls::version::TLS13]));
    assert_eq!(reply(one_question(&callback, Some(&ours), &other, &other)).1, b"inside");
    assert_eq!(reply(one_question(&callback, None, &other, &ours)).1, b"inside", "the system's");
    for (what, refused) in [
        ("the backend's CA", one_question(&callback, None, &ours, &other)),
        ("the system's and the backend's, with a ca_file", one_question(&callback, Some(&other), &ours, &ours)),
    ] {
        let words = unsent(refused);
        assert!(words.contains("certificate"), "{what}: {words}");
    }
}

#[test]
fn a_name_is_resolved_and_tls_1_2_is_enough() {
    let ours = authority();
    let backend = https(tls(&ours, "localhost", &[&rustls::version::TLS12]));
    assert_eq!(reply(one_errand(&backend, "localhost", Some(&ours), &ours)).1, b"inside");
}

#[test]
fn the_feed_stands_on_the_same_trust() {
    let (ours, other) = (authority(), authority());
    for (trusted, opens) in [(&ours, true), (&other, false)] {
        let config = tls(&ours, "127.0.0.1", &[&rustls::version::TLS13]);
        let backend = Backend::new(move |_, stream| {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let Ok(mut socket) = tokio_tungstenite::tungstenite::accept(StreamOwned::new(connection, stream)) else {
                return;
            };
            socket.send(Message::text("over wss")).unwrap();
            while socket.read().is_ok() {}
        });
        let vault = Vault::new();
        let ca = pem(vault.dir.path(), "ca.pem", trusted);
        let lines = format!("url = \"https://127.0.0.1:{}/p\"\nca_file = \"{}\"", backend.port, ca.display());
        let _courier = Courier::start(&vault, &lines);
        vault.ticket(&format!("wss://127.0.0.1:{}/p/client/feed", backend.port), "pass");
        if opens {
            vault.wait("the message", |seen| (seen.messages == ["over wss"]).then_some(()));
        } else {
            let why = vault.wait("the closing", |seen| seen.closed().pop());
            assert!(why.contains("certificate"), "{why}");
        }
    }
}

#[test]
fn the_log_at_trace_level_holds_no_header_and_no_body() {
    let backend = Backend::new(|_, stream| {
        let mut verb = [0; 3];
        while stream.peek(&mut verb).unwrap() < verb.len() {}
        if verb == *b"GET" {
            let (mut socket, _) = accept_feed(stream);
            socket.send(Message::text("feed-text-canary")).unwrap();
            close_code(&mut socket);
        } else {
            serve(stream, &|_| answer("200 OK", "X-Reply: reply-header-canary\r\n", b"reply-body-canary"));
        }
    });
    let vault = Vault::new();
    let mut courier = Courier::start(&vault, &backend.config());
    let going = Errand {
        headers: vec![secret("x-api-key", "api-key-canary"), secret("x-sign", "sign-canary")],
        body: b"request-body-canary".to_vec(),
        ..errand(1, Method::Post, "init")
    };
    vault.send(going.clone());
    assert_eq!(reply(vault.outcome(1)).0, 200);
    // One that cannot be sent, so that its error is logged.
    let torn = vec![secret("x-api-key", "api-key-canary\n")];
    vault.send(Errand { id: 2, headers: torn, ..going });
    unsent(vault.outcome(2));
    vault.ticket("ws://user:ticket-canary@127.0.0.1/feed", "pass-canary");
    vault.wait("a refusal of the ticket", |seen| (seen.closed().len() == 1).then_some(()));
    vault.ticket(&format!("ws://localhost:{}/feed", backend.port), "pass-canary\u{7f}");
    vault.wait("a refusal of the pass", |seen| (seen.closed().len() == 2).then_some(()));
    vault.ticket(&format!("ws://localhost:{}/feed", backend.port), "pass-canary");
    vault.wait("the feed's message", |seen| (seen.messages.len() == 1).then_some(()));
    vault.give(Answer::Retire);
    assert_eq!(courier.code(), i32::from(ipc::EXIT_RETIRED));
    let log = courier.log();
    assert!(log.contains("errand=1") && log.contains("tail=\"init\"") && log.contains("feed open"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[test]
fn what_is_wrong_with_the_configuration_is_said_and_is_exit_code_78() {
    let run = |config: &Path| {
        let out =
            Command::new(env!("CARGO_BIN_EXE_signing-agent-courier")).arg("--config").arg(config).output().unwrap();
        (out.status.code().unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let vault = Vault::new();
    let ca = vault.dir.path().join("ca.pem");
    let lines = format!("url = \"https://127.0.0.1:1/p\"\nca_file = \"{}\"", ca.display());
    let (code, words) = run(&vault.dir.path().join("absent.toml"));
    assert!(code == 78 && words.contains("absent.toml"), "{code} {words}");
    let (code, words) = run(&write_config(&vault, "url = \"http://192.0.2.1/p\""));
    assert!(code == 78 && words.contains("https"), "{code} {words}");
    let (code, words) = run(&write_config(&vault, &lines));
    assert!(code == 78 && words.contains("ca.pem") && words.contains("cannot read"), "{code} {words}");
    for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&ca, text).unwrap();
        let (code, words) = run(&write_config(&vault, &lines));
        assert!(code == 78 && words.contains("ca_file must hold CA certificates"), "{text:?}: {code} {words}");
    }
}

#[test]
fn the_version_is_told_and_an_unknown_argument_is_not_guessed_at() {
    let courier = |argument| Command::new(env!("CARGO_BIN_EXE_signing-agent-courier")).arg(argument).output().unwrap();
    let out = courier("--version");
    assert_eq!(
        String::from_utf8(out.stdout).unwrap(),
        format!("signing-agent-courier {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(courier("--verbose").status.code(), Some(2));
}
