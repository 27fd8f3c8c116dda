//! What a value must be like. Every refusal is a sentence without the value: a URL may carry a password, a recipient
//! may be a secret key by mistake.

use std::path::{Path, PathBuf};

use url::{Host, Url};

/// A URL of the backend: `secure` as the scheme, or `plain` if the host is loopback.
pub(crate) fn remote_url(text: &str, secure: &str, plain: &str) -> Result<Url, String> {
    let url = bare_url(text)?;
    match url.scheme() {
        s if s == secure => Ok(url),
        s if s == plain && is_loopback(&url) => Ok(url),
        s if s == plain => Err(format!(
            "plain {plain} would show keys and proofs to the network; use {secure} ({plain} is for loopback alone)"
        )),
        _ => Err(format!("the URL must begin with {secure}://")),
    }
}

/// What clients are told to come to: ws or wss; http and https are taken as their twins.
pub(crate) fn public_url(text: &str) -> Result<Url, String> {
    let text = text.strip_prefix("http").map_or_else(|| text.to_owned(), |rest| format!("ws{rest}"));
    let url = bare_url(&text)?;
    if matches!(url.scheme(), "ws" | "wss") { Ok(url) } else { Err("the URL must begin with ws:// or wss://".into()) }
}

fn bare_url(text: &str) -> Result<Url, String> {
    // The URL standard trims blanks and drops tabs and newlines silently; who wrote them did not mean it.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("the URL contains a blank or a control character".into());
    }
    let url = Url::parse(text).map_err(|e| format!("not a URL: {e}"))?;
    if !url.has_host() {
        return Err("the URL names no host".into());
    }
    // Looked for in the text too: "https://@host" parses to an empty user.
    let authority =
        text.split_once("//").map_or("", |(_, rest)| rest.split(['/', '?', '#', '\\']).next().unwrap_or(""));
    if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
        return Err("the URL must not contain a user or a password".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL must not contain '?' or '#'".into());
    }
    Ok(url)
}

/// Whether the URL's host is this one: `localhost`, 127.0.0.0/8 or ::1.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

pub(crate) fn resource(text: &str) -> Result<String, String> {
    let good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if good { Ok(text.to_owned()) } else { Err("must be one path segment of letters, digits, '_' and '-'".into()) }
}

pub(crate) fn path(text: &str, base: &Path) -> Result<PathBuf, String> {
    if text.trim().is_empty() {
        return Err("a path must not be empty; leave the key out instead".into());
    }
    if text.contains('\0') {
        return Err("a path must not contain a NUL".into());
    }
    Ok(base.join(text))
}

/// Whether a recipient means anything is the `age` crate's to say; this catches what must not even get there.
pub(crate) fn recipient(text: &str) -> Result<String, String> {
    if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err(
            "this is a secret key: take it out of this file at once, and write its recipient (age1…) here".into()
        );
    }
    if !text.starts_with("age1") || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err("not an age recipient (age1…)".into());
    }
    Ok(text.to_owned())
}
