//! The one HTTP stack of the room: errands and the feed share its resolver, its trust and its TLS.

use reqwest::{Client, redirect, retry};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const CONNECT: Duration = Duration::from_secs(10);
/// Shorter than a usual server keeps an idle connection, so that a request seldom meets its end.
const IDLE: Duration = Duration::from_secs(30);

/// Why the room cannot go outside at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: cannot read [{section}] ca_file: {cause}", .path.display())]
    ReadCa { section: &'static str, path: PathBuf, cause: std::io::Error },
    #[error("{}: [{section}] ca_file must hold CA certificates in PEM: {cause}", .path.display())]
    BadCa { section: &'static str, path: PathBuf, cause: String },
    #[error("this system has no CA certificates: install ca-certificates, or name one with [{section}] ca_file")]
    NoCa { section: &'static str },
    #[error("TLS or HTTP cannot be set up: {0}")]
    Stack(String),
}

/// Whom a section of the configuration trusts.
#[derive(Clone, Copy)]
pub struct Trust<'a> {
    pub section: &'static str,
    /// A PEM file; without one the system's CAs are trusted.
    pub ca_file: Option<&'a Path>,
    /// It speaks TLS, so there must be some CA.
    pub secure: bool,
}

impl<'a> Trust<'a> {
    pub fn new(section: &'static str, ca_file: Option<&'a Path>, url: &Url) -> Self {
        Self { section, ca_file, secure: url.scheme() == "https" }
    }
}

/// A client that does what it was told once: no redirect, proxy, cookie, compression or second try; HTTP/1.1, TLS 1.2 and 1.3.
pub fn client(trust: Trust<'_>) -> Result<Client, Error> {
    let roots = match trust.ca_file {
        Some(path) => only(trust.section, path)?,
        None => of_the_system(trust)?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| Error::Stack(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Client::builder()
        .tls_backend_preconfigured(tls)
        .hickory_dns(true)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .build()
        .map_err(|e| Error::Stack(words(e)))
}

/// An error and its causes as words. Without the URL, which the log has from elsewhere; headers and bodies are never in them.
pub fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    ipc::bounded(&words)
}

fn only(section: &'static str, path: &Path) -> Result<RootCertStore, Error> {
    let bad = |cause: String| Error::BadCa { section, path: path.to_owned(), cause };
    let pem = std::fs::read(path).map_err(|cause| Error::ReadCa { section, path: path.to_owned(), cause })?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| bad(e.to_string()))?;
        roots.add(certificate).map_err(|e| bad(e.to_string()))?;
    }
    if roots.is_empty() { Err(bad("there is none in it".into())) } else { Ok(roots) }
}

/// The system's CAs; one that cannot be read is passed over, as other programs do.
fn of_the_system(trust: Trust<'_>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() && trust.secure { Err(Error::NoCa { section: trust.section }) } else { Ok(roots) }
}
