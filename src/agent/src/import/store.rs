//! The Go agent's file store: one JSON object of base64 values (protocol.md §8).

use crate::error::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipc::{GoAgent, Secret};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// The largest store, octets.
const LARGEST: u64 = 1 << 20;
/// The entry that names the agent's.
const NAME: &str = "AgentID";

/// The agent within; what comes besides is passed over.
#[derive(Deserialize)]
struct Entry {
    name: String,
    id: String,
    account_code: String,
    /// Standard base64, as all secrets here.
    bls_seed: Secret,
    zkpid: String,
    zkptoken: Secret,
    #[serde(default)]
    pending: bool,
}

pub fn read(path: &Path) -> Result<GoAgent, Error> {
    let mut file = File::open(path).map_err(Error::at(path))?;
    let length = file.metadata().map_err(Error::at(path))?.len().min(LARGEST);
    // Room for all of it first: a growing vector would leave copies of the keys behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
    file.by_ref().take(LARGEST).read_to_end(&mut octets).map_err(Error::at(path))?;
    agent(&octets).map_err(|why| Error::Refused(format!("{}: {why}", path.display())))
}

/// What is wrong is said without a value.
fn agent(octets: &[u8]) -> Result<GoAgent, String> {
    let store: BTreeMap<String, Secret> = serde_json::from_slice(octets)
        .map_err(|e| format!("it is no store of the Go agent (JSON, one object of texts): {}", place(&e)))?;
    let get = |name: &str| {
        store.get(name).ok_or_else(|| format!("there is no entry {name:?} in it: no agent was registered with it"))
    };
    let code = decoded(get(NAME)?.expose(), NAME)?;
    let code = std::str::from_utf8(&code).map_err(|_| format!("{NAME} is no text"))?;
    let entry = decoded(get(code)?.expose(), "the agent's entry")?;
    let entry: Entry = serde_json::from_slice(&entry).map_err(|e| format!("the agent's entry: {}", place(&e)))?;
    if entry.pending {
        return Err(
            "its registration was never finished (pending): finish it there, or register a new agent here".into()
        );
    }
    if entry.id != code || entry.account_code != code {
        return Err(format!("{NAME} and the agent's id and account_code are not the same"));
    }
    let hex = |text: &Secret, what: &str| Ok::<_, String>(Secret::new(hex::encode(&*decoded(text.expose(), what)?)));
    Ok(GoAgent {
        agent_id: code.to_owned(),
        identity: decoded(&entry.zkpid, "zkpid")?.to_vec(),
        seed: hex(&entry.bls_seed, "bls_seed")?,
        token: hex(&entry.zkptoken, "zkptoken")?,
        name: entry.name,
    })
}

fn decoded(text: &str, what: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    STANDARD.decode(text).map(Zeroizing::new).map_err(|_| format!("{what} is not base64"))
}

/// Where, and of what kind; serde's own words may repeat a value.
fn place(e: &serde_json::Error) -> String {
    format!("{:?} error at line {}, column {}", e.classify(), e.line(), e.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn store(entry: &Value) -> Vec<u8> {
        let text = |value: &str| STANDARD.encode(value);
        json!({ "AgentID": text("CODE1"), "CODE1": text(&entry.to_string()), "other": "" }).to_string().into_bytes()
    }

    fn entry() -> Value {
        json!({
            "name": "desk", "id": "CODE1", "account_code": "CODE1", "bls_seed": STANDARD.encode([7; 48]),
            "zkpid": STANDARD.encode(r#"{"id":"CODE1"}"#), "zkptoken": STANDARD.encode([4; 97]), "pending": false, "more": 1,
        })
    }

    #[test]
    fn a_store_is_read_whole() {
        let read = agent(&store(&entry())).unwrap();
        assert_eq!((read.name.as_str(), read.agent_id.as_str()), ("desk", "CODE1"));
        assert_eq!(read.identity, br#"{"id":"CODE1"}"#);
        assert_eq!((read.seed.expose(), read.token.expose().len()), ("07".repeat(48).as_str(), 194));
    }

    #[test]
    fn what_is_amiss_is_named_and_no_value_is_repeated() {
        let with = |name: &str, value: Value| {
            let mut entry = entry();
            entry[name] = value;
            store(&entry)
        };
        let secret = "c2VjcmV0LXNlY3JldA==";
        for (bad, words) in [
            (b"[]".to_vec(), "no store of the Go agent"),
            (format!("{{\"AgentID\": \"{secret}").into_bytes(), "no store of the Go agent"),
            (b"{}".to_vec(), "no entry \"AgentID\""),
            (json!({ "AgentID": "!" }).to_string().into_bytes(), "AgentID is not base64"),
            (json!({ "AgentID": STANDARD.encode("CODE2") }).to_string().into_bytes(), "no entry \"CODE2\""),
            (with("pending", json!(true)), "never finished"),
            (with("id", json!("CODE2")), "are not the same"),
            (with("account_code", json!("CODE2")), "are not the same"),
            (with("bls_seed", json!(format!("{secret}!"))), "bls_seed is not base64"),
            (with("zkptoken", json!(1)), "the agent's entry: Data error"),
        ] {
            let said = agent(&bad).unwrap_err();
            assert!(said.contains(words) && !said.contains(secret), "{said}");
        }
    }
}
