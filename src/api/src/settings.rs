//! What the api needs of the configuration, and nothing that is secret.

use config::Config;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::net::SocketAddr;
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
}

/// How long the api waits for whom.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// For a request's head, and between two requests of a connection.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
    /// Between two pings of a feed client, the second of which expects to have heard from it.
    pub ping: Duration,
    /// For a feed client to take one message.
    pub send: Duration,
    /// For a feed client to answer a close.
    pub goodbye: Duration,
    /// For requests under way when the api ends.
    pub drain: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            head: seconds(30),
            body: seconds(10),
            ping: seconds(30),
            send: seconds(10),
            goodbye: seconds(2),
            drain: seconds(10),
        }
    }
}

impl Settings {
    /// `bound` is the address that the listener really has.
    pub fn new(config: &Config, bound: SocketAddr) -> Self {
        let feed_url = config.api.feed_url(bound);
        let shown = json!({
            "backend": { "url": config.backend.url.as_str(), "resource": config.backend.resource },
            "api": {
                "listen": bound.to_string(),
                "auth": config.api.auth.as_str(),
                "public_url": feed_url.trim_end_matches(crate::routes::FEED),
            },
            "log": { "format": word(&config.log.format), "level": word(&config.log.level) },
        });
        Self { feed_url, public_url: config.api.public_url.clone(), shown, times: Times::default() }
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
        let settings = Settings::new(&config, ([127, 0, 0, 1], 8007).into());
        assert_eq!(settings.feed_url, "wss://agent.example/base/api/v1/client/feed");
        let shown = settings.shown.to_string();
        assert!(!shown.contains("7351") && !shown.contains("secret"), "{shown}");
        assert_eq!(
            settings.shown,
            json!({
                "backend": { "url": "https://backend.example/api/v1/p", "resource": "client" },
                "api": { "listen": "127.0.0.1:8007", "auth": "token", "public_url": "wss://agent.example/base" },
                "log": { "format": "text", "level": "info" },
            })
        );
    }
}
