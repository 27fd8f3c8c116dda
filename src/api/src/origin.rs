//! Which web pages may ask: a browser sends `Origin` (RFC 6454 §7) with what a page asks for, other programs seldom do.

use axum::http::{HeaderMap, HeaderValue, header};
use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

/// The places that are at home here. `Host` is no help: after DNS rebinding it agrees with a foreign page's `Origin`.
pub(crate) struct Homes {
    listener: SocketAddr,
    public: Option<(Host<String>, u16)>,
    /// Pages of elsewhere that may call, as browsers write them.
    pages: Vec<String>,
}

impl Homes {
    pub(crate) fn new(listener: SocketAddr, public_url: Option<&Url>, pages: Vec<String>) -> Self {
        Self { listener, public: public_url.and_then(place), pages }
    }

    /// The page of elsewhere that asks, where it is the only one and may.
    pub(crate) fn page(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (origin, None) = (origins.next()?, origins.next()) else { return None };
        self.is_page(origin).then(|| origin.clone())
    }

    pub(crate) fn has_pages(&self) -> bool {
        !self.pages.is_empty()
    }

    fn is_page(&self, origin: &HeaderValue) -> bool {
        self.pages.iter().any(|page| page.as_bytes() == origin.as_bytes())
    }

    /// Whether any `Origin` names a place that is neither the listener, nor the public URL's, nor loopback with the
    /// listener's port, nor a page that may call.
    pub(crate) fn foreign(&self, headers: &HeaderMap) -> bool {
        let at_home = |value: &HeaderValue| {
            let url = value.to_str().ok().and_then(|text| Url::parse(text).ok());
            url.filter(|url| matches!(url.scheme(), "http" | "https" | "ws" | "wss"))
                .and_then(|url| place(&url))
                .is_some_and(|place| self.is_home(&place))
                || self.is_page(value)
        };
        !headers.get_all(header::ORIGIN).iter().all(at_home)
    }

    fn is_home(&self, place: &(Host<String>, u16)) -> bool {
        if self.public.as_ref() == Some(place) {
            return true;
        }
        let (host, port) = place;
        let here = match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(ip) => ip.is_loopback() || IpAddr::V4(*ip) == self.listener.ip(),
            Host::Ipv6(ip) => ip.is_loopback() || IpAddr::V6(*ip) == self.listener.ip(),
        };
        here && *port == self.listener.port()
    }
}

fn place(url: &Url) -> Option<(Host<String>, u16)> {
    Some((url.host()?.to_owned(), url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_page_is_told_from_one_at_home() {
        let public = Url::parse("wss://agent.example").unwrap();
        let homes = Homes::new(([192, 0, 2, 7], 8007).into(), Some(&public), vec!["https://desk.example".into()]);
        let foreign = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            homes.foreign(&headers)
        };
        for home in [
            "http://192.0.2.7:8007",
            "https://agent.example",
            "http://LOCALHOST:8007",
            "http://127.0.0.1:8007",
            "http://[::1]:8007",
            "https://desk.example",
        ] {
            assert!(!foreign(home), "{home}");
        }
        for other in [
            "null",
            "",
            "http://evil.example",
            "http://evil.example:8007",
            "http://agent.example",
            "https://agent.example.evil.example",
            "http://localhost",
            "http://localhost:8008",
            "http://localhost.evil.example:8007",
            "http://192.0.2.7",
            "file://localhost:8007",
            "http://agent.example@evil.example",
            "http://desk.example",
            "https://desk.example:8443",
            "https://desk.example.evil.example",
        ] {
            assert!(foreign(other), "{other}");
        }
        assert!(!homes.foreign(&HeaderMap::new()));
        let mut two = HeaderMap::new();
        two.append(header::ORIGIN, "http://localhost:8007".parse().unwrap());
        two.append(header::ORIGIN, "http://evil.example".parse().unwrap());
        assert!(homes.foreign(&two), "one of two is foreign");
    }
}
