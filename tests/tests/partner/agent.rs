//! An agent that asks partner apps who they are, and what an app brings to be let in.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use signing_agent_tests::{House, Reply, Settings, until};
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// What an app is let in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Token,
    TokenOverTls,
    Certificate,
}

pub const SCOPES: &str = "register,decide,read,feed";

pub trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

pub struct Agent {
    pub house: House,
    pub door: Door,
    /// The app's, where it is let in by one.
    pub token: Option<String>,
}

impl Agent {
    /// Initialised and running; nobody has registered it.
    pub fn start(door: Door) -> Self {
        Self::with(door, Settings::default())
    }

    pub fn with(door: Door, settings: Settings) -> Self {
        let mut house = House::empty(settings);
        house.settings.api = api(door, house.dir.path());
        house.write_config();
        let init = house.output(&["init"]);
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        house.run_unready();
        let well = || house.output(&["status", "--json"]).status.success();
        until("the vault is open", well, || house.log());
        let mut agent = Self { house, door, token: None };
        if door != Door::Certificate {
            let token = agent.add_token("my-app", SCOPES);
            fs::write(agent.path("app-token"), format!("{token}\n")).unwrap();
            agent.token = Some(token);
        }
        agent
    }

    pub fn add_token(&self, name: &str, scopes: &str) -> String {
        let added = self.house.output(&["token", "add", name, "--scope", scopes, "--expires", "1h"]);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        String::from_utf8(added.stdout).unwrap().trim().to_owned()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.house.dir.path().join(name)
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.house.url("").trim_start_matches("http://").to_owned()
    }

    /// What an app is told to call.
    pub fn url(&self) -> String {
        let scheme = if self.door == Door::Token { "http" } else { "https" };
        format!("{scheme}://{}", self.address())
    }

    /// The one header that is new to the Go agent's clients.
    pub fn header(&self) -> String {
        self.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default()
    }

    /// A connection, as the app makes it.
    pub fn wire(&self) -> Box<dyn Wire> {
        self.wire_with(self.door == Door::Certificate).unwrap()
    }

    /// The same, with the app's certificate or without.
    pub fn wire_with(&self, certificate: bool) -> io::Result<Box<dyn Wire>> {
        let stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        if self.door == Door::Token {
            return Ok(Box::new(stream));
        }
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let config = if certificate {
            let own = CertificateDer::from_pem_file(self.path("my-app.pem")).unwrap();
            let key = PrivateKeyDer::from_pem_file(self.path("my-app.key")).unwrap();
            config.with_client_auth_cert(vec![own], key).unwrap()
        } else {
            config.with_no_client_auth()
        };
        let name = ServerName::try_from("127.0.0.1").unwrap();
        Ok(Box::new(StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)))
    }

    /// A request in this test's own words, let in as the app is.
    pub fn ask(&self, method: &str, path: &str) -> Reply {
        let (host, header) = (self.address(), self.header());
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{header}Content-Length: 0\r\n\r\n");
        exchange(&mut *self.wire(), &head).unwrap()
    }

    /// Waits until so many hear the feed.
    pub fn listeners(&self, count: u64) {
        let status = || self.ask("GET", "/api/v1/healthcheck/status").json();
        let listening = || status()["WebSocket"]["ConnectedClients"] == count;
        until("the listeners are counted", listening, || format!("{}\n{}", status(), self.house.log()));
    }

    /// A registration as its file holds it, in the names of protocol.md.
    pub fn registration(&mut self) -> PathBuf {
        let partner = self.house.partner();
        let text = json!({
            "name": "my-app", "APIKey": partner["apiKey"], "Base64PrivateKey": partner["base64PrivateKey"],
        });
        let path = self.path("registration.json");
        fs::write(&path, text.to_string()).unwrap();
        path
    }

    /// The backend has one approval of it, or none.
    pub fn ended(&self, id: &str, status: &str) {
        let action = self.house.action(id);
        let approvals = u64::from(status == "approved");
        assert_eq!((&action["status"], &action["approvals"]), (&json!(status), &json!(approvals)), "{action}");
    }

    pub fn order(&self, order: Value) -> String {
        self.house.order(order).remove(0)
    }
}

/// Sends octets as they are, and reads one answer whose length is known.
pub fn exchange(wire: &mut dyn Wire, request: &str) -> io::Result<Reply> {
    wire.write_all(request.as_bytes())?;
    wire.flush()?;
    let head = read_head(wire)?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or_default()];
    wire.read_exact(&mut body)?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Reply { status, head, body })
}

/// Up to the empty line, and nothing of what comes after it.
pub fn read_head(wire: &mut dyn Wire) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        wire.read_exact(&mut octet)?;
        head.push(octet[0]);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// `[api]` for this door, and the files that it names.
fn api(door: Door, dir: &Path) -> String {
    let line = |key: &str, name: &str| format!("{key} = {:?}\n", dir.join(name).display().to_string());
    if door == Door::Token {
        return "auth = \"token\"\n".into();
    }
    authority(dir, "ca");
    certify(dir, "ca", "server", "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n");
    let tls = line("tls_cert_file", "server.pem") + &line("tls_key_file", "server.key");
    if door == Door::TokenOverTls {
        return format!("auth = \"token\"\n{tls}");
    }
    certify(dir, "ca", "my-app", "extendedKeyUsage=clientAuth\n");
    let ca = line("client_ca_file", "ca.pem");
    format!(
        "auth = \"mtls\"\n{tls}{ca}\n[[api.client]]\nname = \"my-app\"\nsubject = \"CN=my-app\"\nscopes = \"{SCOPES}\"\n"
    )
}

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// A certificate authority: `NAME.pem` and `NAME.key`.
pub fn authority(dir: &Path, name: &str) {
    let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
    let subject = format!("/CN=authority {name}");
    let rest = ["-keyout", &key, "-out", &pem, "-days", "2", "-subj", &subject];
    let usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
    openssl(dir, &[&["req", "-x509"][..], &KEY, &rest, &usage].concat());
}

/// A certificate of an authority's: `NAME.pem` and `NAME.key`.
pub fn certify(dir: &Path, authority: &str, name: &str, extensions: &str) {
    let file = |end: &str| format!("{name}.{end}");
    let subject = format!("/CN={name}");
    let rest = ["-keyout", &file("key"), "-out", &file("csr"), "-subj", &subject];
    openssl(dir, &[&["req"][..], &KEY, &rest].concat());
    sign(dir, authority, name, extensions);
}

/// Certifies what asks for it in `NAME.csr`.
pub fn sign(dir: &Path, authority: &str, name: &str, extensions: &str) {
    let file = |end: &str| format!("{name}.{end}");
    fs::write(dir.join(file("ext")), extensions).unwrap();
    let (ca, key) = (format!("{authority}.pem"), format!("{authority}.key"));
    let by = ["x509", "-req", "-CA", &ca, "-CAkey", &key, "-CAcreateserial", "-days", "2"];
    let rest = ["-in", &file("csr"), "-out", &file("pem"), "-extfile", &file("ext")];
    openssl(dir, &[&by[..], &rest].concat());
}

fn openssl(dir: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(dir).output().expect("openssl starts");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
