//! The door by TLS, from outside: who is let in, what is read again under load, and how much it bears.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod feeds;
mod load;
mod tokens;

use signing_agent_tests::pki::{Certified, put};
use signing_agent_tests::{Client, House, Pki, Reply, Settings, Stream, signal, until};

pub const CLIENT: &str = "/api/v1/client";

/// A house whose door takes certificates of these clients, by subject; asked by the first of them.
pub fn house(pki: &Pki, auth: &str, clients: &[(&str, &Certified)]) -> House {
    let mut house = House::empty(Settings::default());
    let files = pki.house(house.dir.path());
    let list = put(house.dir.path(), "crl.pem", &pki.revokes(&[], 86_400 * 60));
    house.settings.api = format!("auth = \"{auth}\"\nclient_crl_file = {:?}\n{files}", list.display().to_string());
    for (name, _) in clients {
        house.settings.api += &format!(
            "\n[[api.client]]\nname = \"{name}\"\nsubject = \"CN={name},O=Partner\"\nscopes = \"register,decide,read,feed,metrics\"\n"
        );
    }
    house.settings.client = Client::https(pki, clients.first().map(|(_, certified)| *certified));
    house.write_config();
    let init = house.output(&["init"]);
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    house
}

/// SIGHUP to `signing-agent run`.
pub fn reload(house: &House) {
    signal(house.pid(), signing_agent_tests::Signal::HUP);
}

/// One request on a connection that stays. Errors: it ended.
pub fn ask_on(stream: &mut dyn Stream, method: &str, path: &str) -> std::io::Result<u16> {
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: agent\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
    let mut heard = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&heard).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
            if body.len() >= length.parse().unwrap() {
                return Ok(head.split(' ').nth(1).unwrap().parse().unwrap());
            }
        }
        let mut piece = [0; 2048];
        match stream.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            length => heard.extend_from_slice(&piece[..length]),
        }
    }
}

#[test]
fn an_agent_is_registered_and_decides_over_tls_with_a_certificate() {
    let pki = Pki::default();
    let desk = pki.client("desk");
    let mut house = house(&pki, "mtls", &[("desk", &desk)]);
    house.run();
    let reply = house.register("test-agent");
    assert_eq!(reply.status, 200, "{}\n{}", String::from_utf8_lossy(&reply.body), house.log());
    assert!(reply.json()["feedURL"].as_str().unwrap().starts_with("wss://127.0.0.1:"), "{}", reply.json());
    house.wait("feeds=1");
    let id = house.order(serde_json::json!({})).remove(0);
    until("it is approved", || house.approve(&id).status == 200, || house.log());
    let expires = "signing_agent_certificate_expiry_timestamp_seconds";
    until("the certificate's end is told", || house.metric(expires).is_some_and(|at| at > 1.7e9), || house.log());
    // Nobody else, and nothing plain.
    let strangers = [Client::https(&pki, None), Client::https(&pki, Some(&Pki::new("Another").client("desk")))];
    for stranger in strangers {
        let asked: Result<Reply, _> = stranger.call("GET", &house.address(), CLIENT, b"");
        assert!(asked.is_err(), "{asked:?}");
    }
    let plain = Client::default().call("GET", &house.address(), CLIENT, b"").unwrap();
    assert_eq!((plain.status, plain.json()["Detail"].as_str()), (400, Some("this port speaks TLS: use https")));
    house.assert_no_panic();
}

#[test]
fn a_certificate_opens_what_its_scopes_say_and_another_one_nothing() {
    let pki = Pki::default();
    let (desk, reader, nobody) = (pki.client("desk"), pki.client("reader"), pki.client("nobody"));
    let mut house = house(&pki, "mtls", &[("desk", &desk)]);
    house.settings.api += "\n[[api.client]]\nname = \"reader\"\nsan = \"reader.partner.example\"\nscopes = \"read\"\n";
    house.write_config();
    house.run();
    let ask = |certified: &Certified, method: &str, path: &str| {
        let reply = house.ask_as(&Client::https(&pki, Some(certified)), method, path, "");
        (reply.status, reply.json()["Reason"].as_str().unwrap_or_default().to_owned())
    };
    let has = |told: (u16, String), wanted: u16, reason: &str| {
        assert_eq!((told.0, told.1.as_str()), (wanted, reason));
    };
    has(ask(&reader, "GET", CLIENT), 200, "");
    has(ask(&reader, "PUT", "/api/v1/client/action/w1"), 403, "certificate-scope");
    has(ask(&reader, "GET", "/api/v1/client/feed"), 403, "certificate-scope");
    has(ask(&desk, "GET", "/api/v1/client/feed"), 409, "not-registered");
    for path in [CLIENT, "/api/v1/healthcheck/version", "/api/v1/healthcheck/config", "/api/v1/client/feed"] {
        has(ask(&nobody, "GET", path), 401, "certificate-unknown");
    }
    house.assert_no_panic();
}
