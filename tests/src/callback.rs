//! Somebody who is asked for a second opinion: an HTTP server on loopback that does with each question what the test says.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// The header of a good answer.
pub const ANSWER: &str = r#"{"typ":"signing-agent-callback-answer+jwt","alg":"ES256","kid":"test"}"#;
const SPKI_HEAD: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

/// A question as it came.
#[derive(Clone)]
pub struct Asked {
    /// From 0.
    pub number: usize,
    pub head: String,
    pub jwt: String,
    pub claims: Value,
    key: SigningKey,
}

/// What is done with a question.
pub enum Answered {
    Jwt(String),
    Status(u16),
    /// A redirect to this URL.
    Elsewhere(String),
    /// Nothing, until the other side has enough of it.
    Silence,
    /// The connection ends.
    Cut,
}

impl Asked {
    /// The claims of a good answer.
    pub fn answer(&self, decision: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        json!({"nonce": self.claims["jti"], "action": self.claims["action"]["id"], "messages": self.claims["messages"],
               "decision": decision, "iat": now})
    }

    pub fn signed(&self, claims: &Value) -> Answered {
        Answered::Jwt(jwt(&self.key, ANSWER, &claims.to_string()))
    }

    /// A good answer.
    pub fn says(&self, decision: &str) -> Answered {
        self.signed(&self.answer(decision))
    }

    /// Its own text, signed by the answerer's key under this header.
    pub fn under(&self, header: &str, claims: &Value) -> Answered {
        Answered::Jwt(jwt(&self.key, header, &claims.to_string()))
    }

    pub fn action(&self) -> &str {
        self.claims["action"]["id"].as_str().expect("an action's id")
    }
}

/// A compact JWS by ES256, whatever the header says.
pub fn jwt(key: &SigningKey, header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|text| URL_SAFE_NO_PAD.encode(text));
    let signature: Signature = key.sign(format!("{header}.{claims}").as_bytes());
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// It listens as long as the test runs.
pub struct Callback {
    pub port: u16,
    pub key: SigningKey,
    dir: TempDir,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Callback {
    pub fn start(answer: impl Fn(&Asked) -> Answered + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let key = SigningKey::from_slice(&[7; 32]).expect("a key");
        let (asked, answer) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(answer));
        let (notes, signing) = (asked.clone(), key.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (notes, key, answer) = (notes.clone(), signing.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &notes, &key, answer.as_ref()));
            }
        });
        Self { port, key, dir: TempDir::with_prefix("signing-agent-callback-").expect("a directory"), asked }
    }

    /// A PEM file of its public key.
    pub fn key_file(&self) -> PathBuf {
        let path = self.dir.path().join("callback-key.pem");
        let point = self.key.verifying_key().to_encoded_point(false);
        let spki = [hex::decode(SPKI_HEAD).expect("hex"), point.as_bytes().to_vec()].concat();
        let text = STANDARD.encode(spki);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n");
        std::fs::write(&path, pem).expect("the key is written");
        path
    }

    /// The configuration's `[callback]`, with these lines besides.
    pub fn section(&self, lines: &str) -> String {
        let (port, file) = (self.port, self.key_file());
        format!(
            "\n[callback]\nurl = \"http://127.0.0.1:{port}/ask\"\npublic_key_file = {file:?}\nretry_seconds = 1\n{lines}\n"
        )
    }

    /// The questions so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test panics with it").clone()
    }

    /// Those about this action.
    pub fn asked_about(&self, id: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.action() == id).collect()
    }
}

fn serve(stream: TcpStream, notes: &Mutex<Vec<Asked>>, key: &SigningKey, answer: &dyn Fn(&Asked) -> Answered) {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = hear(&mut stream) {
        let jwt = String::from_utf8_lossy(&body).into_owned();
        let payload = jwt.split('.').nth(1).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).unwrap_or_default();
        let claims = serde_json::from_slice(&payload).unwrap_or_default();
        let asked = {
            let mut notes = notes.lock().expect("no test panics with it");
            let asked = Asked { number: notes.len(), head, jwt, claims, key: key.clone() };
            notes.push(asked.clone());
            asked
        };
        let reply = match answer(&asked) {
            Answered::Jwt(jwt) => format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/jwt\r\nContent-Length: {}\r\n\r\n{jwt}",
                jwt.len()
            ),
            Answered::Status(status) => format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n\r\n"),
            Answered::Elsewhere(url) => format!("HTTP/1.1 307 Moved\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"),
            Answered::Silence => {
                let _ = stream.read(&mut [0]);
                return;
            }
            Answered::Cut => return,
        };
        if stream.get_mut().write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn hear(stream: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}
