//! A certificate that somebody shows who is here: whose it is, and for how long it is taken.

use super::names::{self, Pattern};
use super::{now, unix_now};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub(crate) struct Shown {
    /// The leaf first, and what came with it.
    chain: Vec<CertificateDer<'static>>,
    /// The `name` of the `[[api.client]]`; empty where it is nobody's.
    pub(crate) name: String,
    /// When the leaf expires, Unix seconds.
    expires: i64,
    gone: watch::Sender<bool>,
}

impl Shown {
    /// `None` without a certificate.
    pub(super) fn new(chain: &[CertificateDer<'_>], patterns: &[Pattern]) -> Option<Arc<Self>> {
        let leaf = chain.first()?;
        let (name, expires) = match x509_parser::parse_x509_certificate(leaf) {
            Ok((_, leaf)) => (names::whose(patterns, &leaf), leaf.validity().not_after.timestamp()),
            // What verified it reads it otherwise: nobody's.
            Err(_) => (String::new(), i64::MAX),
        };
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Some(Arc::new(Self { chain, name, expires, gone: watch::Sender::new(false) }))
    }

    /// Whether it is taken no more.
    pub(crate) fn is_gone(&self) -> bool {
        *self.gone.borrow() || self.expires <= now()
    }

    /// Resolves when it is taken no more: it expired, or files that were read again refuse it.
    pub(crate) async fn gone(&self) {
        let mut told = self.gone.subscribe();
        let left = Duration::from_secs(self.expires.saturating_sub(now()).try_into().unwrap_or_default());
        tokio::select! {
            _ = told.wait_for(|gone| *gone) => {}
            () = tokio::time::sleep(left) => {}
        }
    }

    pub(super) fn look_again(&self, verifier: &dyn ClientCertVerifier) {
        let Some((leaf, others)) = self.chain.split_first() else { return };
        if let Err(e) = verifier.verify_client_cert(leaf, others, unix_now()) {
            tracing::info!(name = self.name, "a client's certificate is not taken any more: {e}");
            self.gone.send_replace(true);
        }
    }
}
