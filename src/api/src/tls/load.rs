//! From PEM files to a TLS configuration: all of it, or words about what is wrong.

use super::MAX_FILE;
use crate::Error;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// How the door asks for client certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    ForNone,
    Optionally,
    Always,
}

/// What was read.
pub(super) struct Loaded {
    pub(super) server: Arc<ServerConfig>,
    /// When the first of the server's chain expires; Unix seconds, as all times here.
    pub(super) expires: i64,
    /// `None` where no certificate is asked for.
    pub(super) clients: Option<Clients>,
}

/// Whose certificates are taken.
pub(super) struct Clients {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// When the first of the CAs expires.
    pub(super) ca_expires: i64,
    /// The list of what was revoked that is out of date first: from when it is, and until when.
    pub(super) list: Option<(i64, i64)>,
}

impl Loaded {
    pub(super) fn read(files: &config::Tls, asks: Asks) -> Result<Self, Error> {
        // Each time: who could write them may be another by now.
        for file in files.all() {
            config::guard::check(file)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = certificates(&files.cert_file)?;
        let expires = first_end(&chain, &files.cert_file)?;
        let certified = CertifiedKey::new(chain, key(&files.key_file)?);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => {
                let why = format!("it is not the key of the certificate {}", files.cert_file.display());
                return Err(bad(&files.key_file, why));
            }
        }
        let clients = match (&files.client_ca_file, asks) {
            (None, _) | (_, Asks::ForNone) => None,
            (Some(ca), _) => Some(Clients::read(ca, files.client_crl_file.as_deref(), asks, &provider)?),
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let builder = match &clients {
            Some(clients) => builder.with_client_cert_verifier(clients.verifier.clone()),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed session is not looked at again: who was revoked since would be let in.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self { server: Arc::new(server), expires, clients })
    }
}

impl Clients {
    fn read(ca: &Path, list: Option<&Path>, asks: Asks, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let authorities = certificates(ca)?;
        let ca_expires = first_end(&authorities, ca)?;
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|e| bad(ca, e))?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let mut dates = None;
        if let Some(path) = list {
            let lists = revocation_lists(path)?;
            dates = first_out_of_date(&lists, path)?;
            // A list that is out of date says nothing of who was revoked since.
            builder = builder.with_crls(lists).enforce_revocation_expiration();
        }
        if asks == Asks::Optionally {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|e| bad(list.unwrap_or(ca), e))?;
        Ok(Self { verifier, ca_expires, list: dates })
    }
}

fn bad(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::Bad { path: path.to_owned(), why: why.to_string() }
}

/// A regular file's octets, wiped on drop.
fn octets(path: &Path, private: bool) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |cause| Error::Read { path: path.to_owned(), cause };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    if private && about.permissions().mode() & 0o077 != 0 {
        return Err(Error::OpenToOthers(path.to_owned()));
    }
    if about.size() > MAX_FILE {
        return Err(Error::TooLong(path.to_owned()));
    }
    // Room for all of it, and to notice one that grows: a growing vector would leave copies behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(about.size() as usize + 1));
    file.take(about.size()).read_to_end(&mut octets).map_err(failed)?;
    Ok(octets)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let octets = octets(path, false)?;
    let read: Vec<_> = CertificateDer::pem_slice_iter(&octets).collect::<Result<_, _>>().map_err(|e| bad(path, e))?;
    if read.is_empty() { Err(Error::Empty { path: path.to_owned(), what: "certificate" }) } else { Ok(read) }
}

fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    let octets = octets(path, false)?;
    let read = CertificateRevocationListDer::pem_slice_iter(&octets).collect::<Result<Vec<_>, _>>();
    let read = read.map_err(|e| bad(path, e))?;
    if read.is_empty() { Err(Error::Empty { path: path.to_owned(), what: "revocation list" }) } else { Ok(read) }
}

/// Its octets are wiped here; what signs with it has a copy of its own.
fn key(path: &Path) -> Result<Arc<dyn SigningKey>, Error> {
    let octets = octets(path, true)?;
    let mut key = match PrivateKeyDer::from_pem_slice(&octets) {
        Ok(key) => key,
        Err(rustls::pki_types::pem::Error::NoItemsFound) => {
            return Err(Error::Empty { path: path.to_owned(), what: "private key" });
        }
        Err(_) => return Err(bad(path, "not a private key in PEM")),
    };
    let signs = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key);
    key.zeroize();
    signs.map_err(|_| bad(path, "not a private key of a kind that is taken: ECDSA, Ed25519 or RSA"))
}

fn first_end(chain: &[CertificateDer<'_>], path: &Path) -> Result<i64, Error> {
    let end = |certificate: &CertificateDer<'_>| {
        let read = x509_parser::parse_x509_certificate(certificate).map_err(|e| bad(path, e))?;
        Ok(read.1.validity().not_after.timestamp())
    };
    let ends: Vec<i64> = chain.iter().map(end).collect::<Result<_, Error>>()?;
    Ok(ends.into_iter().min().unwrap_or(i64::MAX))
}

fn first_out_of_date(lists: &[CertificateRevocationListDer<'_>], path: &Path) -> Result<Option<(i64, i64)>, Error> {
    let dates = |list: &CertificateRevocationListDer<'_>| {
        let (_, read) = x509_parser::parse_x509_crl(list).map_err(|e| bad(path, e))?;
        let next = read.next_update().ok_or_else(|| bad(path, "a list without nextUpdate"))?;
        Ok((read.last_update().timestamp(), next.timestamp()))
    };
    let dates: Vec<(i64, i64)> = lists.iter().map(dates).collect::<Result<_, Error>>()?;
    Ok(dates.into_iter().min_by_key(|(_, next)| *next))
}
