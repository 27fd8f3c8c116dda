//! An agent's side of the protocol, as small as it can be, with each part open to be got wrong.
#![allow(dead_code, clippy::unwrap_used)]

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use custody_simulator::{Options, Reply, Simulator, call};
use milagro::SecretKey;
use milagro::mpin::{ClientSecret, Token, one_pass};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

pub fn start() -> Simulator {
    Simulator::start(Options::default()).unwrap()
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// The control API.
pub struct Control(pub String);

impl Control {
    pub fn of(simulator: &Simulator) -> Self {
        Self(simulator.control())
    }

    pub fn get(&self, path: &str) -> Value {
        let reply = call("GET", &format!("{}{path}", self.0), &[], b"").unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()
    }

    pub fn post(&self, path: &str, body: Value) -> Value {
        let reply = call("POST", &format!("{}{path}", self.0), &[], body.to_string().as_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()
    }

    /// Orders one action; its id.
    pub fn action(&self, order: Value) -> String {
        self.post("/actions", order)["actions"][0]["id"].as_str().unwrap().to_owned()
    }

    pub fn fault(&self, endpoint: &str, fault: Value) {
        self.post("/faults", json!({"endpoint": endpoint, "fault": fault, "times": 1}));
    }

    /// The last refusal must be this one.
    pub fn refused(&self, endpoint: &str, words: &str) {
        let stats = self.get("/stats");
        let last = stats["refusals"].as_array().unwrap().last().cloned().unwrap_or_default();
        assert_eq!(last["endpoint"], endpoint, "{last}");
        assert!(last["why"].as_str().unwrap_or_default().contains(words), "{last} does not say: {words}");
    }
}

/// A partner's API key and RSA key.
pub struct Partner {
    pub api_key: String,
    pub rsa: RsaKeyPair,
}

impl Partner {
    pub fn new(control: &Control, format: &str) -> Self {
        let made = control.get(&format!("/new-partner?format={format}"));
        let pem = STANDARD.decode(made["base64PrivateKey"].as_str().unwrap()).unwrap();
        let rsa = match PrivateKeyDer::from_pem_slice(&pem).unwrap() {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => panic!("neither PKCS#1 nor PKCS#8"),
        };
        Self { api_key: made["apiKey"].as_str().unwrap().to_owned(), rsa: rsa.unwrap() }
    }

    pub fn sign(&self, timestamp: &str, url: &str, body: &[u8]) -> String {
        let message = [timestamp.as_bytes(), url.as_bytes(), body].concat();
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signature).unwrap();
        URL_SAFE_NO_PAD.encode(signature)
    }

    /// init with this body, signed as it should be.
    pub fn init(&self, simulator: &Simulator, body: &[u8]) -> Reply {
        let url = format!("{}/client/init", simulator.url());
        let timestamp = now().to_string();
        let sign = self.sign(&timestamp, &url, body);
        let headers = [("x-api-key", self.api_key.as_str()), ("x-timestamp", &timestamp), ("x-sign", &sign)];
        call("POST", &url, &headers, body).unwrap()
    }
}

pub fn ec_public_key() -> Vec<u8> {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap().public_key().as_ref().to_vec()
}

pub fn init_body(bls: &SecretKey) -> Value {
    json!({
        "name": "an agent",
        "blsPublicKey": hex::encode(bls.public_key().to_bytes()),
        "ecPublicKey": hex::encode(ec_public_key()),
    })
}

/// An agent that init was answered to.
pub struct Agent {
    pub base: String,
    pub bls: SecretKey,
    pub account: String,
    pub identity: Vec<u8>,
    pub token: Token,
    pub iddoc: Vec<u8>,
}

impl Agent {
    pub fn init(simulator: &Simulator) -> Self {
        let partner = Partner::new(&Control::of(simulator), "pkcs1");
        let bls = SecretKey::from_entropy(&random()).unwrap();
        let reply = partner.init(simulator, init_body(&bls).to_string().as_bytes());
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        let reply = reply.json();
        let octets = |name: &str| hex::decode(reply[name].as_str().unwrap()).unwrap();
        let identity = octets("clientID");
        let token = ClientSecret::from_bytes(&octets("clientSecret")).unwrap().take_pin(&identity, 0);
        let account = reply["accountCode"].as_str().unwrap().to_owned();
        let base = format!("{}/client", simulator.url());
        Self { base, bls, account, identity, token, iddoc: octets("idDoc") }
    }

    pub fn registered(simulator: &Simulator) -> Self {
        let agent = Self::init(simulator);
        assert_eq!(agent.finish(&agent.bls.sign(&agent.iddoc).to_bytes()).status, 200);
        agent
    }

    pub fn finish(&self, signature: &[u8]) -> Reply {
        let body = json!({"idDocSignatureHex": hex::encode(signature)}).to_string();
        call("POST", &format!("{}/finish", self.base), &[("x-api-zkp", &self.pass())], body.as_bytes()).unwrap()
    }

    pub fn pass(&self) -> String {
        self.pass_at(now())
    }

    pub fn pass_at(&self, time: u64) -> String {
        one_pass(&self.identity, &self.token, 0, time, &random()).unwrap().header()
    }

    pub fn action(&self, method: &str, id: &str, pass: &str, body: &str) -> std::io::Result<Reply> {
        call(method, &format!("{}/action/{id}", self.base), &[("x-api-zkp", pass)], body.as_bytes())
    }

    pub fn get(&self, id: &str) -> Reply {
        self.action("GET", id, &self.pass(), "").unwrap()
    }

    pub fn delete(&self, id: &str) -> Reply {
        self.action("DELETE", id, &self.pass(), "").unwrap()
    }

    pub fn put(&self, id: &str, signatures: &[String]) -> Reply {
        self.action("PUT", id, &self.pass(), &json!({"signatures": signatures}).to_string()).unwrap()
    }

    /// Signatures for what GET gives.
    pub fn signatures(&self, id: &str) -> Vec<String> {
        let messages = self.get(id).json()["messages"].as_array().unwrap().clone();
        let sign = |hex: &Value| hex::encode(self.bls.sign(&hex::decode(hex.as_str().unwrap()).unwrap()).to_bytes());
        messages.iter().map(sign).collect()
    }
}
