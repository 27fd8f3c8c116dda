//! `[api]`: who may call the HTTP API, and over what.

use std::net::SocketAddr;

use ipc::Scopes;
use serde::Deserialize;
use toml::Spanned;
use url::Url;

use crate::raw::{Page, Text};
use crate::sections::{Api, ApiClient, Auth, Tls};
use crate::strict::Error;
use crate::{check, people};

/// `[[api.client]]` and `cors_origins` at the most.
const MOST: usize = 64;
/// The longest subject or SAN, octets.
const LONGEST: usize = 512;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawApi {
    listen: Text,
    auth: Text,
    public_url: Text,
    tls_cert_file: Text,
    tls_key_file: Text,
    client_ca_file: Text,
    client_crl_file: Text,
    #[serde(default)]
    cors_origins: Vec<Spanned<String>>,
    #[serde(default)]
    client: Vec<Spanned<RawClient>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClient {
    name: Text,
    subject: Text,
    san: Text,
    scopes: Text,
}

impl Page<'_> {
    pub(crate) fn api(&self, raw: RawApi) -> Result<Api, Error> {
        let listen = self.value(&raw.listen, "[api] listen", |s| {
            s.parse().map_err(|_| "must be an IP address and a port, such as \"127.0.0.1:8007\"".into())
        })?;
        let listen = listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8007)));
        let auth = self.value(&raw.auth, "[api] auth", |s| {
            Auth::named(s).ok_or_else(|| {
                "must be \"token\", \"mtls\", \"either\" or \"both\" of them, or \"none\" on loopback".into()
            })
        })?;
        let auth = auth.unwrap_or(Auth::Token);
        let tls = self.tls(&raw)?;
        let here = |text: &Text| text.as_ref().map_or(0, |text| text.span().start);
        let refuse = |text: &Text, why: &str| Err(Error::at(self.text, here(text), why));
        if !listen.ip().is_loopback() {
            if auth == Auth::None {
                return refuse(
                    &raw.listen,
                    "[api] listen must be a loopback address where auth is \"none\": whoever reaches the port may approve",
                );
            }
            if tls.is_none() {
                return refuse(
                    &raw.listen,
                    "[api] listen must be a loopback address without tls_cert_file and tls_key_file: tokens would cross the \
                     network in clear",
                );
            }
        }
        let clients = self.clients(&raw.client)?;
        let ca = tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
        if auth.takes_certificates() && !ca {
            return refuse(
                &raw.auth,
                "[api] auth by certificates takes tls_cert_file, tls_key_file and client_ca_file",
            );
        }
        if auth.takes_certificates() && clients.is_empty() {
            return refuse(
                &raw.auth,
                "[api] auth by certificates takes an [[api.client]] for each certificate that is let in",
            );
        }
        let public_url = self.value(&raw.public_url, "[api] public_url", check::public_url)?;
        Ok(Api { listen, auth, public_url, tls, clients, cors_origins: self.origins(&raw.cors_origins)? })
    }

    fn tls(&self, raw: &RawApi) -> Result<Option<Tls>, Error> {
        let path = |text, key| self.path(text, key);
        let (cert, key) = (&raw.tls_cert_file, &raw.tls_key_file);
        let (ca, crl) = (&raw.client_ca_file, &raw.client_crl_file);
        let refuse = |text: &Spanned<String>, why: &str| Err(self.fault(text, why));
        let client_ca_file = path(ca, "[api] client_ca_file")?;
        let client_crl_file = path(crl, "[api] client_crl_file")?;
        match (path(cert, "[api] tls_cert_file")?, path(key, "[api] tls_key_file")?, ca, crl) {
            (Some(cert_file), Some(key_file), None, Some(crl)) => {
                drop((cert_file, key_file));
                refuse(crl, "[api] client_crl_file revokes certificates of client_ca_file, which is missing")
            }
            (Some(cert_file), Some(key_file), ..) => {
                Ok(Some(Tls { cert_file, key_file, client_ca_file, client_crl_file }))
            }
            (None, None, None, None) => Ok(None),
            _ => {
                let first = [cert, key, ca, crl].into_iter().flatten().next();
                match first {
                    Some(text) => refuse(text, "[api] tls_cert_file and tls_key_file belong together: TLS takes both"),
                    None => Ok(None),
                }
            }
        }
    }

    fn clients(&self, raw: &[Spanned<RawClient>]) -> Result<Vec<ApiClient>, Error> {
        let mut clients: Vec<ApiClient> = Vec::with_capacity(raw.len().min(MOST));
        for entry in raw {
            let refuse = |why: &str| self.fault(entry, &format!("[[api.client]]: {why}"));
            let inner = entry.get_ref();
            let name = self.value(&inner.name, "[[api.client]] name", |s| {
                people::plain_name(s).map(|()| s.to_owned()).map_err(str::to_owned)
            })?;
            let bounded = |s: &str| match s.len() {
                1..=LONGEST => Ok(s.to_owned()),
                _ => Err(format!("must have 1 to {LONGEST} octets")),
            };
            let client = ApiClient {
                name: name.ok_or_else(|| refuse("name is missing"))?,
                subject: self.value(&inner.subject, "[[api.client]] subject", bounded)?,
                san: self.value(&inner.san, "[[api.client]] san", bounded)?,
                scopes: self
                    .value(&inner.scopes, "[[api.client]] scopes", |s| {
                        s.parse::<Scopes>().map_err(|e| format!("must be {e}"))
                    })?
                    .ok_or_else(|| refuse("scopes is missing, such as \"decide,read\""))?,
            };
            if client.subject.is_none() && client.san.is_none() {
                return Err(refuse("whose certificate is it? Give subject, or san"));
            }
            let same = |other: &ApiClient| {
                other.name == client.name || (&other.subject, &other.san) == (&client.subject, &client.san)
            };
            if clients.iter().any(same) || clients.len() == MOST {
                return Err(refuse(&format!("each name and each certificate once, and at most {MOST}")));
            }
            clients.push(client);
        }
        Ok(clients)
    }

    /// Web pages that may call: scheme, host and port, as browsers send them in `Origin`.
    fn origins(&self, raw: &[Spanned<String>]) -> Result<Vec<String>, Error> {
        let mut origins = Vec::with_capacity(raw.len().min(MOST));
        for entry in raw {
            let origin = Url::parse(entry.get_ref()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let origin = origin.map(|url| url.origin().ascii_serialization());
            if origin.as_deref() != Some(entry.get_ref()) || origins.len() == MOST {
                return Err(self.fault(
                    entry,
                    "[api] cors_origins: an origin as browsers write it, such as \"https://desk.example\"; no \"*\", no path",
                ));
            }
            origins.extend(origin);
        }
        Ok(origins)
    }
}
