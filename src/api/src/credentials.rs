//! Who calls, as far as the door knows it: an address, `Authorization: Bearer …`, a certificate; and what a decision comes with,
//! people's statements in the body. None of it is looked at here for more than its form.

use crate::reason::Reason;
use crate::reply::Fault;
use crate::routes::House;
use crate::tls::Shown;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use ipc::{AccessFault, Caller, MAX_BEARER, RequestId, Secret, SignedStatement};
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;

/// Who is at the other end of a connection.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) shown: Option<Arc<Shown>>,
}

impl Peer {
    /// Resolves when its certificate is taken no more; never where it shows none.
    pub(crate) async fn gone(&self) {
        match &self.shown {
            Some(shown) => shown.gone().await,
            None => std::future::pending().await,
        }
    }
}

/// Who calls: what the vault is asked with.
pub(crate) struct Who(pub(crate) Caller);

impl FromRequestParts<Arc<House>> for Who {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Fault> {
        let peer = parts.extensions.get::<Peer>();
        let (address, shown) = (peer.map(|peer| peer.address), peer.and_then(|peer| peer.shown.as_ref()));
        let refuse = |fault| {
            house.reports.turned_away(address, fault);
            Fault::from(fault)
        };
        if shown.is_some_and(|shown| shown.is_gone()) {
            return Err(refuse(AccessFault::CertificateRefused));
        }
        let bearer = bearer(&parts.headers).map_err(refuse)?;
        let request = parts.extensions.get::<RequestId>().cloned();
        Ok(Self(Caller { address, bearer, certificate: shown.map(|shown| shown.name.clone()), request }))
    }
}

/// What a decision's body may hold. A body that holds no statements was never looked at by the Go agent, and is not here.
#[derive(Deserialize)]
struct Body {
    #[serde(deserialize_with = "ipc::few")]
    statements: Vec<SignedStatement>,
}

/// RFC 6750 §2.1.
fn bearer(headers: &HeaderMap) -> Result<Option<Secret>, AccessFault> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let (None, Ok(value)) = (all.next(), value.to_str()) else { return Err(AccessFault::TokenMalformed) };
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(AccessFault::TokenMalformed),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if token.is_empty() || token.len() > MAX_BEARER || !token.bytes().all(plain) {
        return Err(AccessFault::TokenMalformed);
    }
    Ok(Some(Secret::new(token.to_owned())))
}

pub fn statements(body: &[u8]) -> Result<Vec<SignedStatement>, Fault> {
    const NAME: &[u8] = b"\"statements\"";
    if !body.windows(NAME.len()).any(|part| part == NAME) {
        return Ok(Vec::new());
    }
    let read = serde_json::from_slice::<Body>(body);
    read.map(|Body { statements }| statements).map_err(|e| {
        let words = format!("the body: {e}; it is {{\"statements\":[{{\"statement\":\"…\",\"signature\":\"…\"}}]}}");
        Fault::bad(ipc::bounded(&words)).because(Reason::BAD_BODY)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with(values: &[&str]) -> Result<Option<Secret>, AccessFault> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        bearer(&headers)
    }

    #[test]
    fn a_bearer_token_is_one_token_and_nothing_else_is_taken_for_one() {
        let token = |values: &[&str]| with(values).unwrap().map(|token| token.expose().to_owned());
        assert_eq!(token(&[]), None);
        assert_eq!(token(&["Bearer abc.DEF-1_2~+/="]).as_deref(), Some("abc.DEF-1_2~+/="));
        assert_eq!(token(&["bEARER  abc "]).as_deref(), Some("abc"));
        let long = format!("Bearer {}", "a".repeat(MAX_BEARER + 1));
        for bad in [&["Basic abc"][..], &["Bearer"], &["Bearer "], &["Bearer a b"], &["a"], &[&long], &["Bearer a"; 2]]
        {
            assert!(with(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_body_is_statements_or_nothing_to_do_with_it() {
        let one = r#"{"statements":[{"statement":"a\n","signature":"b"}]}"#;
        let read = statements(one.as_bytes()).unwrap();
        assert_eq!((read[0].statement.as_str(), read[0].signature.as_str()), ("a\n", "b"));
        for nothing in ["", "{}", "null", "a body that nobody needs", "{\"statement\":1}", "[", r#"{"more":1}"#] {
            assert_eq!(statements(nothing.as_bytes()).unwrap(), [], "{nothing}");
        }
        let many = format!(r#"{{"statements":[{}]}}"#, [r#"{"statement":"a","signature":"b"}"#; 9].join(","));
        let long = format!(r#"{{"statements":[{{"statement":"{}","signature":"b"}}]}}"#, "a".repeat(2049));
        for bad in [
            r#"{"statements":1}"#,
            r#"{"statements":[1]}"#,
            r#"{"statements":[{"statement":"a"}]}"#,
            r#"{"statements":[{"statement":"a","signature":"b","more":1}]}"#,
            r#"{"statements":[]"#,
            r#"{"statements":[],"statements":[]}"#,
            r#"["statements"]"#,
            &many,
            &long,
        ] {
            assert!(statements(bad.as_bytes()).is_err(), "{bad:.80}");
        }
    }
}
