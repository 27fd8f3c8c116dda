//! The files of `[api]`'s TLS, as the door would read them.

use super::Subject;
use super::found::{fault, good, warning};
use crate::words;
use config::guard::Room;
use ipc::Finding;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};
use zeroize::Zeroizing;

/// What ends within so many seconds is warned of.
const SOON: i64 = 14 * 86_400;
const DAY: i64 = 86_400;
/// The largest file, octets.
const LARGEST: u64 = 16 << 20;

pub fn look(subject: &Subject) -> Vec<Finding> {
    let Some(tls) = &subject.config.api.tls else { return Vec::new() };
    let api = subject.user(Room::Api);
    let mut findings: Vec<Finding> = tls.all().filter_map(|path| unread(path, api)).collect();
    let chain = certificates("tls-certificate", &tls.cert_file, &mut findings);
    if let Some(chain) = &chain {
        in_order(chain, &tls.cert_file, &mut findings);
    }
    key(&tls.key_file, chain, &mut findings);
    if let Some(path) = &tls.client_ca_file {
        certificates("tls-client-ca", path, &mut findings);
    }
    if let Some(path) = &tls.client_crl_file {
        findings.push(revocations(path));
    }
    findings
}

/// One that the api's user could not read, whoever looks.
fn unread(path: &Path, api: u32) -> Option<Finding> {
    let meta = std::fs::metadata(path).ok()?;
    // Its groups are not known here.
    let may = if meta.uid() == api { meta.mode() & 0o400 } else { meta.mode() & 0o044 };
    if api == 0 || may != 0 {
        return None;
    }
    let (shown, mode) = (path.display(), meta.mode() & 0o7777);
    let words = format!("{shown}: the api, uid {api}, cannot read it (mode {mode:04o}, owner uid {})", meta.uid());
    Some(fault(
        "tls-files",
        words,
        format!("chown {api} {shown} && chmod 0400 {shown}; a certificate may be root's, of mode 0644"),
    ))
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn day(unix: i64) -> String {
    words::time(u64::try_from(unix).unwrap_or_default())
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let cannot = |e: std::io::Error| format!("{}: {e}", path.display());
    let file = File::open(path).map_err(cannot)?;
    // Room for all of it first: a growing vector would leave copies of a key behind.
    let length = file.metadata().map_err(cannot)?.len().min(LARGEST);
    let mut octets = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
    file.take(LARGEST).read_to_end(&mut octets).map_err(cannot)?;
    Ok(octets)
}

/// The file's certificates, where it can be read; what is said of when they are good.
fn certificates(check: &'static str, path: &Path, findings: &mut Vec<Finding>) -> Option<Vec<CertificateDer<'static>>> {
    let renew = "put a new one there (the chain, the leaf first), then `systemctl reload signing-agent-api`, or SIGHUP to `signing-agent run`";
    let all = read(path).and_then(|pem| {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let all = all.map_err(|e| format!("{}: {e}", path.display()))?;
        if all.is_empty() { Err(format!("{}: there is no certificate in it", path.display())) } else { Ok(all) }
    });
    let all = match all {
        Ok(all) => all,
        Err(words) => {
            findings.push(fault(check, words, renew));
            return None;
        }
    };
    let mut first = i64::MAX;
    for der in &all {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            findings.push(fault(check, format!("{}: one in it is no certificate", path.display()), renew));
            return None;
        };
        let validity = certificate.validity();
        if validity.not_before.timestamp() > now() {
            let words = format!("{}: it is good from {} on only", path.display(), day(validity.not_before.timestamp()));
            findings.push(fault(check, words, "look at this machine's clock, or put another one there"));
        }
        first = first.min(validity.not_after.timestamp());
    }
    let left = first.saturating_sub(now());
    let shown = path.display();
    findings.push(match left {
        ..=0 => fault(check, format!("{shown}: expired on {}", day(first)), renew),
        1..SOON => warning(check, format!("{shown}: it expires in {} days, on {}", left / DAY, day(first)), renew),
        _ => good(check, format!("good until {}", day(first))),
    });
    Some(all)
}

/// Each is issued by the next.
fn in_order(chain: &[CertificateDer<'_>], path: &Path, findings: &mut Vec<Finding>) {
    let read: Vec<X509Certificate<'_>> =
        chain.iter().filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, read)| read)).collect();
    if read.windows(2).any(|pair| pair[0].issuer() != pair[1].subject()) {
        findings.push(warning(
            "tls-chain",
            format!("{}: one of it is not issued by the next", path.display()),
            "write the leaf first, then who issued it, then who issued that",
        ));
    }
}

fn key(path: &Path, chain: Option<Vec<CertificateDer<'static>>>, findings: &mut Vec<Finding>) {
    const CHECK: &str = "tls-key";
    let shown = path.display();
    let Ok(meta) = std::fs::metadata(path) else {
        return findings.push(fault(
            CHECK,
            format!("{shown}: it is not there"),
            "put the certificate's private key there (PEM)",
        ));
    };
    if meta.mode() & 0o077 != 0 {
        let words = format!("{shown}: others may read it (mode {:04o})", meta.mode() & 0o7777);
        findings.push(fault(
            CHECK,
            words,
            format!("chmod 600 {shown}; a key that others could read is to be replaced"),
        ));
    }
    let key = match read(path).and_then(|pem| PrivateKeyDer::from_pem_slice(&pem).map_err(|e| format!("{shown}: {e}")))
    {
        Ok(key) => key,
        Err(words) => return findings.push(fault(CHECK, words, "put the certificate's private key there (PEM)")),
    };
    let Some(chain) = chain else { return };
    findings.push(match CertifiedKey::from_der(chain, key, &default_provider()) {
        Ok(_) => good(CHECK, "it is the certificate's"),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => fault(
            CHECK,
            format!("{shown} is not the key of the certificate"),
            "put the two that belong together there; `openssl x509 -pubkey` and `openssl pkey -pubout` show which",
        ),
        Err(e) => fault(CHECK, format!("{shown}: {e}"), "make an ECDSA, Ed25519 or RSA key, and a certificate for it"),
    });
}

fn revocations(path: &Path) -> Finding {
    const CHECK: &str = "tls-crl";
    let shown = path.display();
    let renew = "have the CA write a new one there, then `systemctl reload signing-agent-api`, or SIGHUP to `signing-agent run`";
    let lists = read(path).and_then(|pem| {
        let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&pem).collect();
        lists.map_err(|e| format!("{shown}: {e}"))
    });
    let lists = match lists {
        Ok(lists) => lists,
        Err(words) => return fault(CHECK, words, renew),
    };
    let mut first = i64::MAX;
    for der in &lists {
        let Ok((_, list)) = CertificateRevocationList::from_der(der) else {
            return fault(CHECK, format!("{shown}: one in it is no revocation list"), renew);
        };
        let Some(next) = list.next_update() else {
            let words =
                format!("{shown}: one in it does not say when the next one comes (nextUpdate): the api refuses it");
            return fault(CHECK, words, renew);
        };
        first = first.min(next.timestamp());
    }
    match first.saturating_sub(now()) {
        _ if lists.is_empty() => fault(CHECK, format!("{shown}: there is no revocation list in it"), renew),
        ..=0 => {
            let words = format!("{shown}: it is outdated since {}: nobody is let in by a certificate", day(first));
            fault(CHECK, words, renew)
        }
        1..SOON => warning(
            CHECK,
            format!("{shown}: the next one is due on {}; then nobody is let in by a certificate", day(first)),
            renew,
        ),
        _ => good(CHECK, format!("the next one is due on {}", day(first))),
    }
}
