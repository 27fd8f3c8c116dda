//! Certificates made at test time: an authority, a server's and clients' certificates, and lists of what was revoked.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;
/// What a client and the agent's server can speak.
pub const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// An authority that certifies servers and clients.
pub struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
    serials: AtomicU64,
}

/// A certificate and its key.
pub struct Certified {
    pub serial: u64,
    pub certificate: CertificateDer<'static>,
    /// PEM: the certificate alone.
    pub pem: String,
    /// PEM, PKCS#8.
    pub key_pem: String,
    key: Vec<u8>,
}

impl Default for Pki {
    fn default() -> Self {
        Self::new("Test authority")
    }
}

impl Pki {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { authority, serials: AtomicU64::new(1) }
    }

    /// PEM: what trusts this authority takes.
    pub fn pem(&self) -> String {
        self.authority.pem()
    }

    /// A server's certificate for `127.0.0.1` and `localhost`, good for so many days.
    pub fn server(&self, days: i64) -> Certified {
        self.certify(
            vec!["127.0.0.1".into(), "localhost".into()],
            "server",
            days * DAY as i64,
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    /// A client's, with the subject `CN=name,O=Partner` and the DNS name `name.partner.example`, good for a year.
    pub fn client(&self, name: &str) -> Certified {
        self.client_for(name, 365)
    }

    /// The same, good for so many days; none or less: expired.
    pub fn client_for(&self, name: &str, days: i64) -> Certified {
        self.client_seconds(name, days * DAY as i64)
    }

    pub fn client_seconds(&self, name: &str, seconds: i64) -> Certified {
        let san = vec![format!("{name}.partner.example")];
        self.certify(san, name, seconds, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn certify(&self, names: Vec<String>, common: &str, seconds: i64, usage: ExtendedKeyUsagePurpose) -> Certified {
        let serial = self.serials.fetch_add(1, Ordering::SeqCst);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Partner");
        params.distinguished_name.push(DnType::CommonName, common);
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let (now, at) = (now(), |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds));
        params.not_before = at(now - 400 * DAY);
        params.not_after = at(now.saturating_add_signed(seconds));
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        Certified {
            serial,
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key: key.serialize_der(),
        }
    }

    /// PEM: a list that revokes these, good for so many seconds; 0 or less: out of date.
    pub fn revokes(&self, revoked: &[&Certified], seconds: i64) -> String {
        let at = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        let entry = |certified: &&Certified| RevokedCertParams {
            serial_number: SerialNumber::from(certified.serial),
            revocation_time: at(now() - DAY),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: at(now() - 30 * DAY),
            next_update: at(now().saturating_add_signed(seconds)),
            crl_number: SerialNumber::from(self.serials.fetch_add(1, Ordering::SeqCst)),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.authority).unwrap().pem().unwrap()
    }

    /// How a client is set up that trusts this authority, speaks these versions, and shows a certificate where one is given.
    pub fn client_config(
        &self,
        shown: Option<&Certified>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match shown {
            Some(shown) => {
                let key = PrivatePkcs8KeyDer::from(shown.key.clone()).into();
                builder.with_client_auth_cert(vec![shown.certificate.clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        })
    }

    /// Writes what a house with TLS reads into a directory: `server.pem`, `server.key` and `ca.pem`; the lines for `[api]`
    /// that name them, without `auth`.
    pub fn house(&self, dir: &Path) -> String {
        let server = self.server(90);
        put(dir, "server.pem", &server.pem);
        put(dir, "server.key", &server.key_pem);
        put(dir, "ca.pem", &self.pem());
        let line = |key: &str, file: &str| format!("{key} = {:?}\n", dir.join(file).display().to_string());
        line("tls_cert_file", "server.pem") + &line("tls_key_file", "server.key") + &line("client_ca_file", "ca.pem")
    }
}

/// Puts a file in its place by a rename, as those do who renew certificates; nobody else may read it.
pub fn put(dir: &Path, name: &str, text: &str) -> PathBuf {
    let (aside, path) = (dir.join(format!("{name}.next")), dir.join(name));
    std::fs::write(&aside, text).unwrap();
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(aside, &path).unwrap();
    path
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
