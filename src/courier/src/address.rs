//! Where the courier goes. The vault and the configuration check the same; a door checks what it is about to do itself.

use config::Backend;
use url::Url;

/// An address that is not gone to. The words hold no secret: tails and hosts are none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    #[error("the errand's tail is no plain path")]
    Tail,
    #[error("the errand's URL would not be requested byte for byte as it was signed: {0}")]
    Changed(String),
    #[error("plain http is for loopback alone; use https")]
    Plain,
    #[error("the feed's URL: {0}")]
    Feed(String),
    #[error("the configuration names no witness of this number")]
    Witness,
    #[error("the configuration names no callback")]
    Callback,
}

/// The URL of an errand: `{url}/{resource}/{tail}`, which is part of what `x-sign` signs, so not an octet may change.
///
/// A tail is made of RFC 3986's unreserved characters, `:` (an action id may have one) and `/`, without empty, `.` or `..` segments.
pub fn errand(backend: &Backend, tail: &str) -> Result<Url, BadAddress> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b':' | b'/');
    let walks = |segment: &str| segment.is_empty() || segment == "." || segment.contains("..");
    if !tail.bytes().all(plain) || tail.split('/').any(walks) {
        return Err(BadAddress::Tail);
    }
    let signed = backend.endpoint(tail);
    match Url::parse(&signed) {
        Ok(url) if url.as_str() != signed => Err(BadAddress::Changed(signed)),
        Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && config::is_loopback(&url)) => Ok(url),
        Ok(_) => Err(BadAddress::Plain),
        Err(_) => Err(BadAddress::Changed(signed)),
    }
}

/// Where a witness takes checkpoints (C2SP tlog-witness, add-checkpoint): below its submission prefix.
pub fn witness(witnesses: &[Url], number: u16) -> Result<Url, BadAddress> {
    let prefix = witnesses.get(usize::from(number)).ok_or(BadAddress::Witness)?;
    let url = format!("{}/add-checkpoint", prefix.as_str().trim_end_matches('/'));
    Url::parse(&url).map_err(|_| BadAddress::Witness)
}

/// The feed's URL (`wss`, or `ws` to loopback) as the URL of the HTTP request that is upgraded (RFC 6455 §3, §4.1).
pub fn feed(text: &str) -> Result<Url, BadAddress> {
    let url = config::backend_feed_url(text).map_err(BadAddress::Feed)?;
    let twin = url.as_str().replacen("ws", "http", 1);
    Url::parse(&twin).map_err(|e| BadAddress::Feed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(url: &str) -> Backend {
        Backend {
            url: Url::parse(url).unwrap(),
            resource: "client".into(),
            feed_url: None,
            pin: config::Pin::Inline(0),
            ca_file: None,
        }
    }

    #[test]
    fn a_witness_is_one_that_the_configuration_names() {
        let witnesses = ["https://w.example", "https://w.example/two/"].map(|text| Url::parse(text).unwrap());
        let url = |number| witness(&witnesses, number).map(String::from);
        assert_eq!(url(0).as_deref(), Ok("https://w.example/add-checkpoint"));
        assert_eq!(url(1).as_deref(), Ok("https://w.example/two/add-checkpoint"));
        assert_eq!(url(2), Err(BadAddress::Witness));
    }

    #[test]
    fn an_errand_goes_to_the_string_that_was_signed() {
        let backend = backend("https://play-api.example/api/v1/p");
        for tail in ["init", "action/w1", "action/a:b~c_d-e.f"] {
            assert_eq!(errand(&backend, tail).unwrap().as_str(), backend.endpoint(tail));
        }
    }

    #[test]
    fn a_tail_that_leaves_its_place_is_refused() {
        let backend = backend("https://play-api.example/api/v1/p");
        for tail in [
            "",
            "/init",
            "a//b",
            "action/",
            ".",
            "action/..",
            "../init",
            "a..b",
            "a?b",
            "a#b",
            "a%2fb",
            "a\\b",
            "a b",
            "ä",
        ] {
            assert_eq!(errand(&backend, tail), Err(BadAddress::Tail), "{tail:?}");
        }
    }

    #[test]
    fn an_address_that_the_url_standard_would_rewrite_is_refused() {
        let mut changed = backend("https://play-api.example/");
        changed.resource = "cli ent".into();
        assert!(matches!(errand(&changed, "init"), Err(BadAddress::Changed(_))));
        changed.resource = "..".into();
        assert!(matches!(errand(&changed, "init"), Err(BadAddress::Changed(_))));
    }

    #[test]
    fn plain_http_goes_to_loopback_alone() {
        for good in ["http://127.0.0.1:8080/p", "http://127.9.9.9/p", "http://[::1]:80/p", "http://localhost:1/p"] {
            assert!(errand(&backend(good), "init").is_ok(), "{good}");
        }
        for bad in ["http://10.0.0.1/p", "http://localhost.example/p", "http://[::2]/p", "ftp://localhost/p"] {
            assert_eq!(errand(&backend(bad), "init"), Err(BadAddress::Plain), "{bad}");
        }
        assert_eq!(feed("ws://127.0.0.1:9/p/feed").unwrap().as_str(), "http://127.0.0.1:9/p/feed");
        assert_eq!(feed("wss://ws.example/p/feed").unwrap().as_str(), "https://ws.example/p/feed");
        for bad in ["ws://10.0.0.1/feed", "http://127.0.0.1/feed", "wss://u:p@ws.example/feed", "wss://", ""] {
            assert!(feed(bad).is_err(), "{bad}");
        }
    }
}
