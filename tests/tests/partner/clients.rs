//! The Go agent's own clients: its shell examples (curl), its example in Go, its example in Node, each as it writes a request on
//! the wire. One header is new to them where the agent wants a token; nothing is where it wants a certificate.

use crate::agent::{Agent, Door, Wire, exchange, read_head};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use signing_agent_tests::Reply;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

/// A client: how it writes requests, and what it calls the fields of a registration.
struct Client {
    name: &'static str,
    /// The head of a request that has a body, of one that has none, of the feed's; `{…}` is filled in.
    with_body: &'static str,
    without: &'static str,
    feed: &'static str,
    body: fn(&str, &str) -> String,
}

/// `examples/register.sh`, `approve.sh` and `decline.sh`; for the feed, a WebSocket of curl's era.
const SHELL: Client = Client {
    name: "shell",
    with_body: "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n{header}\
                Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
    without: "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n{header}\r\n",
    feed: "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n{header}Connection: Upgrade\r\n\
           Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n",
    body: |key, private| {
        format!(
            "  {{\n    \"name\": \"test agent\", \n    \"apikey\": \"{key}\", \n    \"base64privatekey\": \"{private}\"\n  }}\n"
        )
    },
};

/// The documentation's curl, whose `-d` says that JSON is a form, and has a header of the Partner API's.
const DOCUMENTS: Client = Client {
    name: "documents",
    with_body: "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nX-API-KEY: eyJr\r\n\
                {header}Content-Length: {length}\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n",
    without: SHELL.without,
    feed: SHELL.feed,
    body: |key, private| format!(r#"{{"name": "Test Agent", "APIKey": " {key}\t", "Base64PrivateKey": "{private}"}}"#),
};

/// `examples/go`: net/http with gorilla's WebSocket. Its standard base64 passes over the line breaks of `base64 private.pem`.
const GO: Client = Client {
    name: "Go",
    with_body: "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {length}\r\n\
                {header}Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
    without: "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Go-http-client/1.1\r\n{header}\
              Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
    feed: "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Go-http-client/1.1\r\n{header}Connection: Upgrade\r\n\
           Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\r\n",
    body: |key, private| {
        let lines: Vec<&str> = private.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
        json!({"apikey": key, "base64privatekey": lines.join("\n"), "name": "test-agent"}).to_string()
    },
};

/// `examples/nodejs`: fetch, whose names are all small, and `ws`, which offers compression and sends Host last.
const NODE: Client = Client {
    name: "Node",
    with_body: "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: keep-alive\r\n{small}\
                content-type: application/json\r\naccept: */*\r\naccept-language: *\r\nsec-fetch-mode: cors\r\n\
                user-agent: undici\r\naccept-encoding: gzip, deflate\r\ncontent-length: {length}\r\n\r\n",
    without: "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: keep-alive\r\n{small}content-type: application/json\r\n\
              accept: */*\r\naccept-language: *\r\nsec-fetch-mode: cors\r\nuser-agent: undici\r\n\
              accept-encoding: gzip, deflate\r\n\r\n",
    feed: "GET {path} HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nConnection: Upgrade\r\n\
           Upgrade: websocket\r\n{header}Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
           Host: {host}\r\n\r\n",
    body: |key, private| json!({"name": "test-agent", "apikey": key, "base64privatekey": private}).to_string(),
};

const CLIENTS: [&Client; 4] = [&SHELL, &DOCUMENTS, &GO, &NODE];

impl Client {
    /// A request as this client writes it, with this header of ours.
    fn written(&self, template: &str, (method, path): (&str, &str), host: &str, header: &str, body: &str) -> String {
        let small = header.replacen("Authorization", "authorization", 1);
        let filled = template.replace("{method}", method).replace("{path}", path).replace("{host}", host);
        let filled = filled.replace("{header}", header).replace("{small}", &small);
        filled.replace("{key}", &STANDARD.encode([7; 16])).replace("{length}", &body.len().to_string()) + body
    }

    fn request(&self, agent: &Agent, method: &str, path: &str, body: &str) -> String {
        self.with(agent, &agent.header(), method, path, body)
    }

    fn with(&self, agent: &Agent, header: &str, method: &str, path: &str, body: &str) -> String {
        // Go and fetch say of a PUT without a body that it has 0 octets; curl says nothing.
        let lengths = [GO.name, NODE.name].contains(&self.name) && method == "PUT";
        let template = if body.is_empty() && !lengths { self.without } else { self.with_body };
        self.written(template, (method, path), &agent.address(), header, body)
    }

    fn says(&self, agent: &Agent, method: &str, path: &str, body: &str) -> Reply {
        exchange(&mut *agent.wire(), &self.request(agent, method, path, body)).unwrap()
    }

    fn registration(&self, agent: &mut Agent) -> String {
        let partner = agent.house.partner();
        (self.body)(partner["apiKey"].as_str().unwrap(), partner["base64PrivateKey"].as_str().unwrap())
    }

    /// The feed, by this client's own handshake; the answer's head where it is not opened.
    fn feed(&self, agent: &Agent, header: &str) -> Result<WebSocket<Box<dyn Wire>>, String> {
        let mut wire = agent.wire();
        let asked = ("GET", "/api/v1/client/feed");
        wire.write_all(self.written(self.feed, asked, &agent.address(), header, "").as_bytes()).unwrap();
        wire.flush().unwrap();
        let head = read_head(&mut *wire).unwrap().to_lowercase();
        if !head.starts_with("http/1.1 101 ") {
            return Err(head);
        }
        // Compression is offered, and is not taken.
        assert!(!head.contains("sec-websocket-extensions"), "{head}");
        Ok(WebSocket::from_raw_socket(wire, Role::Client, None))
    }
}

fn heard(feed: &mut WebSocket<Box<dyn Wire>>) -> Value {
    loop {
        match feed.read().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// All that a client of the Go agent's does in its life.
fn lives(client: &Client, door: Door) {
    let mut agent = Agent::start(door);
    assert_eq!(client.says(&agent, "GET", "/api/v1/client", "").json()["agentID"], "");
    let registration = client.registration(&mut agent);
    let registered = client.says(&agent, "POST", "/api/v1/register", &registration);
    assert_eq!(registered.status, 200, "{}: {}\n{}", client.name, registered.json(), agent.house.log());
    let told = registered.json();
    let names: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(names, ["agentID", "feedURL"]);
    let scheme = if door == Door::Token { "ws" } else { "wss" };
    assert_eq!(told["feedURL"], format!("{scheme}://{}/api/v1/client/feed", agent.address()));

    // The example in Node does this whenever it starts.
    let again = client.says(&agent, "POST", "/api/v1/register", &registration);
    let words = "AgentID already exist. You can not set new one.";
    assert_eq!((again.status, &again.json()["Detail"]), (400, &json!(words)), "{}", client.name);
    assert_eq!(client.says(&agent, "GET", "/api/v1/client", "").json(), told);

    agent.house.wait("feeds=1");
    let mut feed = client.feed(&agent, &agent.header()).unwrap();
    agent.listeners(1);
    let ids = [agent.order(json!({})), agent.order(json!({"kind": "withdraw"}))];
    let events = [heard(&mut feed), heard(&mut feed)];
    assert_eq!([&events[0]["id"], &events[1]["id"]], [&json!(ids[0]), &json!(ids[1])]);
    assert_eq!([&events[0]["type"], &events[1]["type"]], ["ApproveTransfer", "ApproveWithdraw"]);

    // Both over one connection, as clients that keep theirs do.
    let mut wire = agent.wire();
    for (method, id, status) in [("PUT", &ids[0], "approved"), ("DELETE", &ids[1], "rejected")] {
        let request = client.request(&agent, method, &format!("/api/v1/client/action/{id}"), "");
        let reply = exchange(&mut *wire, &request).unwrap();
        let wanted = json!({"actionID": id, "status": status});
        assert_eq!((reply.status, reply.json()), (200, wanted), "{} {method}", client.name);
        agent.ended(id, status);
    }
    for page in ["version", "config", "status"] {
        assert_eq!(client.says(&agent, "GET", &format!("/api/v1/healthcheck/{page}"), "").status, 200, "{page}");
    }
    agent.house.assert_no_panic();
}

#[test]
fn the_go_agents_clients_work_with_one_added_header() {
    CLIENTS.iter().for_each(|client| lives(client, Door::Token));
}

#[test]
fn the_go_agents_clients_work_with_one_added_header_over_tls() {
    CLIENTS.iter().for_each(|client| lives(client, Door::TokenOverTls));
}

#[test]
fn the_go_agents_clients_work_with_a_certificate_and_no_header() {
    CLIENTS.iter().for_each(|client| lives(client, Door::Certificate));
}

#[test]
fn without_the_header_the_go_agents_clients_are_refused_and_nothing_happens() {
    let mut agent = Agent::start(Door::Token);
    let registration = CLIENTS.map(|client| (client, client.registration(&mut agent)));
    let token = agent.token.clone().unwrap();
    let others = agent.add_token("numbers", "metrics");
    let headers = [
        (String::new(), 401),
        (format!("Authorization: Bearer {token}x\r\n"), 401),
        (format!("Authorization: Bearer {}\r\n", token.to_uppercase()), 401),
        (format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("my-app:{token}"))), 401),
        (format!("Authorization: {token}\r\n"), 401),
        (format!("X-API-KEY: {token}\r\n"), 401),
        (format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"), 401),
        (format!("Authorization: Bearer {others}\r\n"), 403),
    ];
    let refused = |client: &Client, header: &str, method: &str, path: &str, body: &str, status: u16| {
        let request = client.with(&agent, header, method, path, body);
        let reply = exchange(&mut *agent.wire(), &request).unwrap();
        assert_eq!((reply.status, &reply.json()["Code"]), (status, &json!(status)), "{header} {}", reply.json());
        assert_eq!(reply.head.to_lowercase().contains("www-authenticate: bearer"), status == 401, "{}", reply.head);
        assert!(!String::from_utf8_lossy(&reply.body).contains(&token), "a refusal repeats the token");
    };
    // One client's after another: who is refused often is answered slowly.
    for ((client, registration), (header, status)) in registration.iter().cycle().zip(&headers) {
        refused(client, header, "POST", "/api/v1/register", registration, *status);
    }
    assert_eq!(agent.house.stats()["initOk"], 0);

    // Registered, there is something to decide.
    assert_eq!(SHELL.says(&agent, "POST", "/api/v1/register", &registration[0].1).status, 200);
    agent.house.wait("feeds=1");
    let id = agent.order(json!({}));
    let action = format!("/api/v1/client/action/{id}");
    let asked = [("PUT", action.as_str()), ("DELETE", &action), ("GET", "/api/v1/client")];
    for ((client, (header, status)), (method, path)) in CLIENTS.iter().cycle().zip(&headers).zip(asked.iter().cycle()) {
        refused(client, header, method, path, "", *status);
    }
    for (client, (header, status)) in [(&NODE, &headers[0]), (&GO, &headers[1]), (&SHELL, &headers[7])] {
        let head = client.feed(&agent, header).err().expect("no feed for a stranger");
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
    }
    let stats = agent.house.stats();
    assert_eq!((&stats["puts"], &stats["deletes"]), (&json!(0), &json!(0)));
    agent.ended(&id, "pending");
    let log = agent.house.log();
    assert!(!log.contains(&token) && !log.contains(&others), "a token is in the log");
    agent.house.assert_no_panic();
}

#[test]
fn without_a_certificate_nobody_says_a_word_to_an_agent_that_wants_one() {
    let agent = Agent::start(Door::Certificate);
    let path = "/api/v1/client";
    for header in ["", "Authorization: Bearer signing-agent-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"] {
        let request = SHELL.with(&agent, header, "GET", path, "");
        let answer = agent.wire_with(false).and_then(|mut wire| exchange(&mut *wire, &request));
        assert!(answer.is_err(), "{answer:?}");
    }
    assert_eq!(SHELL.says(&agent, "GET", path, "").status, 200, "with one it goes on");
    agent.house.assert_no_panic();
}
