//! What a decision comes with: `Authorization: Bearer …`, and people's statements in the body. Neither is looked at here for
//! more than its form.

use crate::reason::Reason;
use crate::reply::Fault;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use ipc::{AccessFault, Caller, MAX_BEARER, Secret, SignedStatement};
use serde::Deserialize;

/// Who calls: what the vault is asked with.
pub(crate) struct Who(pub(crate) Caller);

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        Ok(Self(Caller { bearer: bearer(&parts.headers)?, ..Caller::default() }))
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

pub(crate) fn statements(body: &[u8]) -> Result<Vec<SignedStatement>, Fault> {
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
