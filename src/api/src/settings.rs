//! What the api needs of the configuration, and nothing that is secret but the key that its TLS holds.

use crate::Tls;
use config::{Auth, Config};
use serde_json::{Value, json};
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub struct Settings {
    /// The agent's own feed URL, which registration answers with.
    pub feed_url: String,
    /// Its host and port are at home here, whatever the listener is.
    pub public_url: Option<Url>,
    /// What `/healthcheck/config` shows to everybody who asks.
    pub shown: Value,
    pub times: Times,
    pub limits: Limits,
    /// What the vault lets callers in by.
    pub auth: Auth,
    /// Pages of elsewhere that may call, as browsers write them.
    pub pages: Vec<String>,
    /// `None`: plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Whether the vault is told where time goes.
    pub traces: bool,
}

/// How many the api has to do with at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// HTTP connections, and those of one address.
    pub connections: usize,
    pub connections_each: usize,
    /// Feed clients, and those of one address.
    pub feeds: usize,
    pub feeds_each: usize,
    /// Calls that the vault has to answer, and those of one token, certificate or address.
    pub asks: usize,
    pub asks_each: usize,
    /// Refusals that are held back.
    pub delayed: usize,
}

impl Limits {
    /// The open files that the api does with: connections, feed clients, and what it needs besides.
    pub const FILES: u64 = 9280;
    /// The lane, the log, the listener, files that are read, connections that are turned away.
    const ASIDE: usize = 64;

    /// For so many open files.
    pub fn within(files: u64) -> Self {
        let room = usize::try_from(files.min(Self::FILES)).unwrap_or_default().saturating_sub(Self::ASIDE).max(2);
        let connections = 1024.min(room / 2);
        let feeds = room - connections;
        // Nobody has all of it.
        let most = |all: usize| all - all / 4;
        Self {
            connections,
            connections_each: most(connections),
            feeds,
            feeds_each: most(feeds),
            asks: 512,
            asks_each: 128,
            delayed: connections / 8,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::within(Self::FILES)
    }
}

/// How long the api waits for whom.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For a request's head, and between two requests of a connection.
    pub head: Duration,
    /// The same for who comes while more than half of all connections are taken.
    pub crowded: Duration,
    /// For a request's body.
    pub body: Duration,
    /// Between two pings of a feed client, the second of which expects to have heard from it.
    pub ping: Duration,
    /// For anybody to take something of what is sent.
    pub write: Duration,
    /// For a call to have its turn at the vault.
    pub turn: Duration,
    /// For who shows a certificate that is taken no more to hear an answer that is under way.
    pub leave: Duration,
    /// For a feed client to take what there is.
    pub send: Duration,
    /// For a feed client to answer a close.
    pub goodbye: Duration,
    /// After a registration of somebody who may not register, until the api ends itself.
    pub retire: Duration,
    /// For requests under way when the api ends.
    pub drain: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            handshake: seconds(10),
            head: seconds(30),
            crowded: seconds(5),
            body: seconds(10),
            ping: seconds(30),
            write: seconds(20),
            turn: seconds(10),
            leave: Duration::from_millis(500),
            send: seconds(10),
            goodbye: seconds(2),
            retire: seconds(600),
            drain: seconds(10),
        }
    }
}

impl Settings {
    /// `bound` is the address that the listener really has.
    pub fn new(config: &Config, bound: SocketAddr, limits: Limits, tls: Option<Arc<Tls>>) -> Self {
        let feed_url = config.api.feed_url(bound);
        let shown = json!({
            "backend": { "url": config.backend.url.as_str(), "resource": config.backend.resource },
            "api": {
                "listen": bound.to_string(),
                "auth": config.api.auth.as_str(),
                "tls": config.api.tls.is_some(),
                "cors_origins": config.api.cors_origins,
                "public_url": feed_url.trim_end_matches(crate::routes::FEED),
            },
            "log": { "format": word(&config.log.format), "level": word(&config.log.level) },
        });
        Self {
            feed_url,
            public_url: config.api.public_url.clone(),
            shown,
            times: Times::default(),
            limits,
            auth: config.api.auth,
            pages: config.api.cors_origins.clone(),
            tls,
            traces: config.telemetry.traces_url.is_some(),
        }
    }
}

/// A plain enum's value as the configuration file spells it.
fn word(value: &impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_fit_into_the_files_that_there_are_and_nobody_has_all_places() {
        for files in [0, 70, 256, 1024, Limits::FILES, u64::MAX] {
            let limits = Limits::within(files);
            assert!(
                limits.connections + limits.feeds + Limits::ASIDE
                    <= usize::try_from(files.clamp(70, Limits::FILES)).unwrap()
            );
            assert!(limits.connections > 0 && limits.feeds > 0 && limits.connections_each > 0 && limits.feeds_each > 0);
            assert!(files < 256 || limits.connections_each < limits.connections && limits.feeds_each < limits.feeds);
        }
        let most = Limits::default();
        assert_eq!((most.connections, most.feeds), (1024, 8192));
        assert!(most.asks_each < most.asks && most.delayed < most.connections);
    }

    #[test]
    fn the_configuration_shown_holds_neither_pin_nor_path() {
        let text = r#"
            [backend]
            url = "https://backend.example/api/v1/p"
            pin = 7351
            ca_file = "/etc/secret-place/ca.pem"
            [api]
            public_url = "wss://agent.example/base/"
            [hsm]
            module = "/usr/lib/secret-place.so"
            token = "secret-token"
            pin_file = "/etc/secret-place/pin"
        "#;
        let config = Config::parse(text, std::path::Path::new("/")).unwrap();
        let settings = Settings::new(&config, ([127, 0, 0, 1], 8007).into(), Limits::default(), None);
        assert_eq!(settings.feed_url, "wss://agent.example/base/api/v1/client/feed");
        let shown = settings.shown.to_string();
        assert!(!shown.contains("7351") && !shown.contains("secret"), "{shown}");
        assert_eq!(
            settings.shown,
            json!({
                "backend": { "url": "https://backend.example/api/v1/p", "resource": "client" },
                "api": {
                    "listen": "127.0.0.1:8007", "auth": "token", "tls": false, "cors_origins": [],
                    "public_url": "wss://agent.example/base",
                },
                "log": { "format": "text", "level": "info" },
            })
        );
    }
}
