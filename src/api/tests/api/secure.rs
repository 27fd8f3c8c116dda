//! What the tests of TLS need: the files, the api that reads them, and clients of every kind.

use crate::pki::{Certified, Pki, VERSIONS, put};
use crate::support::{Api, Reply, connect, once, registered};
use config::{ApiClient, Auth};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use signing_agent_api::{Settings, Tls};
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use tempfile::TempDir;

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// The files, and who certified them.
pub struct Files {
    pub dir: TempDir,
    pub pki: Pki,
    pub files: config::Tls,
}

impl Files {
    pub fn new() -> Self {
        let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::default());
        pki.house(dir.path());
        let file = |name: &str| dir.path().join(name);
        put(dir.path(), "crl.pem", &pki.revokes(&[], 86_400 * 60));
        let files = config::Tls {
            cert_file: file("server.pem"),
            key_file: file("server.key"),
            client_ca_file: Some(file("ca.pem")),
            client_crl_file: Some(file("crl.pem")),
        };
        Self { dir, pki, files }
    }

    pub fn put(&self, name: &str, text: &str) {
        put(self.dir.path(), name, text);
    }

    pub fn open(&self, auth: Auth) -> std::result::Result<Tls, signing_agent_api::Error> {
        Tls::open(&self.files, auth, &[client("desk", Some("CN=desk,O=Partner"), None)])
    }

    /// The api with these files, and what reads them again.
    pub fn api(&self, auth: Auth) -> (Api, Arc<Tls>) {
        self.api_with(auth, |_| {})
    }

    pub fn api_with(&self, auth: Auth, set: impl FnOnce(&mut Settings)) -> (Api, Arc<Tls>) {
        let tls = Arc::new(self.open(auth).unwrap());
        let shared = tls.clone();
        let api = Api::set(registered, |settings| {
            settings.tls = Some(shared);
            set(settings);
        });
        (api, tls)
    }

    pub fn config(&self, shown: Option<&Certified>) -> Arc<ClientConfig> {
        self.pki.client_config(shown, VERSIONS)
    }
}

pub fn client(name: &str, subject: Option<&str>, san: Option<&str>) -> ApiClient {
    let text = |text: Option<&str>| text.map(str::to_owned);
    ApiClient { name: name.into(), subject: text(subject), san: text(san), scopes: "read".parse().unwrap() }
}

/// A connection whose handshake is done as far as the client knows.
pub fn shake(config: &Arc<ClientConfig>, addr: SocketAddr) -> Result<Stream> {
    let connection = ClientConnection::new(config.clone(), addr.ip().into()).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, connect(addr));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

pub fn get(config: &Arc<ClientConfig>, addr: SocketAddr) -> Reply {
    once(&mut shake(config, addr).unwrap(), "GET", "/api/v1/client", "")
}

/// Whether the other end has ended it; that it only says nothing is not that.
pub fn has_ended(stream: &mut Stream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(length) => length == 0,
        Err(e) => !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Whether somebody is not let in; with TLS 1.3 a client hears of it only after its handshake.
pub fn is_refused(config: &Arc<ClientConfig>, addr: SocketAddr) -> bool {
    let Ok(mut stream) = shake(config, addr) else { return true };
    let asked = stream.write_all(b"GET /api/v1/client HTTP/1.1\r\nHost: a\r\n\r\n");
    asked.is_err() || has_ended(&mut stream)
}
