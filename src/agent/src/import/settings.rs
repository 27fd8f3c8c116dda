//! The Go agent's settings (protocol.md §8) as this agent's configuration.

use crate::words;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A configuration, and why some settings are not in it.
#[derive(Default)]
pub struct Translated {
    backend: Vec<String>,
    api: Vec<String>,
    log: Vec<String>,
    /// The setting, and what stands in its place here.
    left: Vec<(String, &'static str)>,
}

/// Settings by their place; names are matched without regard to case, as the Go agent does.
pub fn translate(settings: &[(String, String)]) -> Translated {
    let mut to = Translated::default();
    let value = |name: &str| {
        settings.iter().find(|(place, _)| place.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    };
    let tls = value("http.TLS.enabled").is_some_and(|on| on.eq_ignore_ascii_case("true"));
    let mut pages = Vec::new();
    for (place, value) in settings {
        let line = |key: &str| format!("{key} = {}    # {}", toml(value), words::plain(place));
        match place.to_ascii_lowercase().as_str() {
            "base.qredoapi" => to.backend.push(line("url")),
            "websocket.qredowebsocket" => {
                to.backend.push(line("feed_url"));
                // The service's word in all its paths.
                let resource = ["coreclient", "client"].into_iter().find(|word| value.contains(&format!("/{word}/")));
                to.backend.extend(resource.map(|word| format!("resource = {}    # of {place}", toml(word))));
            }
            "http.addr" => to.listen(place, value, tls),
            "http.corsalloworigins" if value != "*" => pages.push(value.clone()),
            "http.tls.certfile" if tls => to.api.push(line("tls_cert_file")),
            "http.tls.keyfile" if tls => to.api.push(line("tls_key_file")),
            "logging.format" if ["json", "text"].contains(&value.as_str()) => to.log.push(line("format")),
            "logging.level" if ["error", "warn", "info", "debug", "trace"].contains(&value.as_str()) => {
                to.log.push(line("level"));
            }
            other => to.left.push((place.clone(), instead(other))),
        }
    }
    if !pages.is_empty() {
        to.api.push(format!("cors_origins = {}    # http.CORSAllowOrigins", json!(pages)));
    }
    to.left.dedup();
    to
}

/// What stands in the place of a setting that has no counterpart.
fn instead(place: &str) -> &'static str {
    match place.split('.').collect::<Vec<_>>()[..] {
        ["base", "pin"] => {
            "left out, for it is a secret: write its number into a file of mode 0600, and name that in [backend] pin_file"
        }
        ["autoapproval", "enabled"] => {
            "nothing is approved without a policy: write one (docs/policy.md), and name it in [policy] file"
        }
        ["autoapproval", ..] => "an approval is tried again until its action expires",
        ["websocket", ..] => "the courier's times are its own",
        ["http", "corsalloworigins"] => "\"*\" is not taken: name each page in [api] cors_origins",
        ["http", "logallrequests"] => "each request is a line of the log, at level info",
        ["http", "tls", ..] => "TLS was off; [api] tls_cert_file and tls_key_file turn it on (docs/tls.md)",
        ["loadbalancing", ..] => "one agent works at a time: two never share a state directory",
        ["store", "type"] => {
            "keys are sealed in [state] dir; `signing-agent import agent FILE` reads a store of type file"
        }
        ["store", ..] => "see store.type",
        ["logging", ..] => {
            "not one of this agent's: [log] format is text or json, level is error, warn, info, debug or trace"
        }
        _ => "the Go agent has no such setting that is known here",
    }
}

impl Translated {
    /// Off loopback this agent wants TLS.
    fn listen(&mut self, place: &str, value: &str, tls: bool) {
        let whole =
            if value.starts_with(':') { format!("0.0.0.0{value}") } else { value.replace("localhost", "127.0.0.1") };
        let Ok(address) = whole.parse::<SocketAddr>() else {
            return self.left.push((place.to_owned(), "not an address of this machine and a port: write [api] listen"));
        };
        if tls || address.ip().is_loopback() {
            return self.api.push(format!("listen = {}    # {place}", toml(&whole)));
        }
        let own = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
        self.api.push(format!(
            "listen = {}    # {place} was off loopback, which takes TLS here (docs/tls.md)",
            toml(&own.to_string())
        ));
    }

    /// A file for `signing-agent --config`.
    pub fn toml(&self) -> String {
        let mut text = String::from(
            "# From the Go agent's configuration. What is not here has its default; docs/configuration.md has every key.\n",
        );
        let mut section = |name: &str, lines: &[String], missing: &str| {
            text += &format!("\n[{name}]\n");
            lines.iter().for_each(|line| text += &format!("{line}\n"));
            text += missing;
        };
        let url = if self.backend.iter().any(|line| line.starts_with("url = ")) {
            ""
        } else {
            "# url = \"https://…\"    # base.qredoAPI was not there, and is needed\n"
        };
        section("backend", &self.backend, url);
        let auth = "# auth = \"token\"    # the Go agent asked nobody; make one: signing-agent token add NAME --scope decide,read,feed\n";
        section("api", &self.api, auth);
        if !self.log.is_empty() {
            section("log", &self.log, "");
        }
        if !self.left.is_empty() {
            text += "\n# Without a counterpart:\n";
            // No value: some are secrets.
            self.left.iter().for_each(|(place, instead)| text += &format!("#   {}: {instead}\n", words::plain(place)));
        }
        text
    }

    pub fn json(&self) -> Value {
        let left: Vec<Value> =
            self.left.iter().map(|(place, instead)| json!({ "setting": place, "instead": instead })).collect();
        json!({ "configuration": self.toml(), "withoutCounterpart": left })
    }
}

/// A TOML string: JSON's escapes are TOML's.
fn toml(text: &str) -> String {
    json!(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::yaml;
    use config::Config;
    use std::path::Path;

    /// Every key of protocol.md §8.
    const ALL: &str = r#"
base:
  qredoAPI: https://play-api.qredo.network/api/v1/p
  pin: 7351
autoApproval: { enabled: true, retryIntervalMaxSec: 300, retryIntervalSec: 5 }
websocket:
  qredoWebsocket: wss://play-api.qredo.network/api/v1/p/coreclient/feed
  reconnectTimeoutSec: 300
  reconnectIntervalSec: 5
  pingPeriodSec: 5
  pongWaitSec: 10
  writeWaitSec: 10
  readBufferSize: 512
  writeBufferSize: 1024
http:
  addr: 0.0.0.0:8007
  CORSAllowOrigins: ["*", "https://desk.example"]
  logAllRequests: true
  TLS: { enabled: false, certFile: tls/domain.crt, keyFile: tls/domain.key }
logging: { format: json, level: debug }
loadBalancing:
  enable: false
  onLockErrorTimeoutMs: 300
  actionIDExpirationSec: 6
  redis: { host: redis, port: 6379, password: hunter2, db: 0 }
store:
  type: file
  file: /volume/ccstore.db
  oci: { compartment: ocid1.secret, vault: v, secretEncryptionKey: k, configSecret: c }
  aws: { region: r, secretName: s }
"#;

    fn parsed(yaml: &str) -> (Config, String) {
        let text = translate(&yaml::leaves(yaml).unwrap()).toml();
        (Config::parse(&text, Path::new("/etc/signing-agent")).unwrap_or_else(|e| panic!("{e}\n{text}")), text)
    }

    #[test]
    fn each_setting_is_translated_or_named_and_no_secret_is_repeated() {
        let (config, text) = parsed(ALL);
        assert_eq!(config.backend.url.as_str(), "https://play-api.qredo.network/api/v1/p");
        assert!(config.backend.feed().ends_with("/coreclient/feed") && config.backend.resource == "coreclient");
        assert_eq!(config.api.listen.to_string(), "127.0.0.1:8007");
        assert_eq!(config.api.cors_origins, ["https://desk.example"]);
        assert!(text.contains("level = \"debug\"") && text.contains("format = \"json\"") && config.api.tls.is_none());
        for (place, _) in yaml::leaves(ALL).unwrap() {
            assert!(text.contains(&place), "{place} is neither translated nor named:\n{text}");
        }
        assert!(!text.contains("no such setting"), "{text}");
        for secret in ["7351", "hunter2", "ocid1"] {
            assert!(!text.contains(secret), "{secret}:\n{text}");
        }
    }

    #[test]
    fn with_tls_the_address_and_the_files_are_taken_over() {
        let tls = ALL.replace("enabled: false", "enabled: true").replace("0.0.0.0:8007", ":9000");
        let (config, text) = parsed(&tls);
        assert_eq!(config.api.listen.to_string(), "0.0.0.0:9000");
        assert!(config.api.tls.is_some() && text.contains("tls/domain.key"), "{text}");
    }

    #[test]
    fn what_is_unknown_or_odd_is_named_and_steers_no_terminal() {
        let text =
            translate(&yaml::leaves("base: {\"new\\u001b[2J\": 1}\nhttp: {addr: \"nowhere\"}\n").unwrap()).toml();
        assert!(text.contains("no such setting") && text.contains("http.addr: not an address"), "{text}");
        assert!(text.contains("base.qredoAPI was not there") && !text.contains('\u{1b}'), "{text}");
    }
}
