//! Which web pages may ask: a browser sends `Origin` (RFC 6454 §7) with what a page asks for, other programs seldom do.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Request, header};
use config::Auth;
use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

/// The places that are at home here. For whether a page is foreign `Host` is no help: after DNS rebinding it agrees with a foreign
/// page's `Origin`.
pub(crate) struct Homes {
    listener: SocketAddr,
    public: Option<(Host<String>, u16)>,
    /// Pages of elsewhere that may call, as browsers write them.
    pages: Vec<String>,
    /// Nobody is asked who they are.
    open: bool,
}

impl Homes {
    pub(crate) fn new(listener: SocketAddr, public_url: Option<&Url>, pages: Vec<String>, auth: Auth) -> Self {
        Self { listener, public: public_url.and_then(place), pages, open: auth == Auth::None }
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

    /// Whether it may come from a page whose name was made to lead here (DNS rebinding), where nothing else would keep it out: a
    /// browser sends no `Origin` with what a page asks of its own host, and `Host` is that page's then. Names are refused but for
    /// `localhost`, and the public URL's.
    pub(crate) fn rebound<B>(&self, request: &Request<B>) -> bool {
        let named = |authority: &Authority| {
            let host = authority.host().trim_start_matches('[').trim_end_matches(']');
            let public =
                || self.public.as_ref().is_some_and(|(public, _)| public.to_string().eq_ignore_ascii_case(host));
            host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost") || public()
        };
        let headers = request.headers().get_all(header::HOST).iter();
        let mut all = headers
            .map(|value| Authority::try_from(value.as_bytes()).ok())
            .chain(request.uri().authority().cloned().map(Some));
        self.open && !all.all(|authority| authority.as_ref().is_some_and(named))
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
        let homes =
            Homes::new(([192, 0, 2, 7], 8007).into(), Some(&public), vec!["https://desk.example".into()], Auth::Token);
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

    #[test]
    fn without_access_control_a_request_that_names_a_foreign_host_is_refused() {
        let public = Url::parse("wss://agent.example").unwrap();
        let of = |auth, hosts: &[&str], uri: &str| {
            let homes = Homes::new(([127, 0, 0, 1], 8007).into(), Some(&public), Vec::new(), auth);
            let request =
                hosts.iter().fold(Request::builder().uri(uri), |request, host| request.header(header::HOST, *host));
            homes.rebound(&request.body(()).unwrap())
        };
        let home = ["127.0.0.1:8007", "[::1]:8007", "192.0.2.7", "localhost:8007", "LOCALHOST", "agent.example:443"];
        for host in home {
            assert!(!of(Auth::None, &[host], "/"), "{host}");
        }
        assert!(!of(Auth::None, &[], "/"), "HTTP/1.0 needs none, and no browser speaks it");
        let foreign = ["evil.example:8007", "localhost.evil.example", "127.0.0.1.evil.example", "agent", "", "\u{e9}"];
        for host in foreign {
            assert!(of(Auth::None, &[host], "/"), "{host}");
            assert!(of(Auth::None, &["localhost", host], "/"), "two, and one is {host}");
            assert!(!of(Auth::Token, &[host], "/"), "who must bring a token is asked for that: {host}");
        }
        assert!(of(Auth::None, &["localhost"], "http://evil.example/"));
    }
}
