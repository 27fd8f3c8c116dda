//! What is wrong with the files of `[api]`'s TLS, and with what names its clients.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Guard(#[from] config::guard::Fault),
    #[error("{path}: {cause}; the api's user must be able to read it")]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("{0}: not a regular file")]
    NotAFile(PathBuf),
    #[error("{0}: others may read this private key; chmod 0400 it, for the api's user alone")]
    OpenToOthers(PathBuf),
    #[error("{0}: longer than 4 MiB, which no such file is")]
    TooLong(PathBuf),
    #[error("{path}: no {what} in it (PEM)")]
    Empty { path: PathBuf, what: &'static str },
    #[error("{path}: {why}")]
    Bad { path: PathBuf, why: String },
    #[error("{path}: the certificate expired; renew it")]
    CertificateExpired { path: PathBuf },
    #[error("{path}: the revocation list is out of date (nextUpdate); have the CA make a new one")]
    ListExpired { path: PathBuf },
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("[[api.client]] {name}: subject: {why}")]
    Subject { name: String, why: &'static str },
}
