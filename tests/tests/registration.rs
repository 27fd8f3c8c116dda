//! Registration, and all that can go wrong with it, through the whole house.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Reply, Settings, call, until};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// What a partner app is told: the status, and the body's Detail where it is an error.
fn told(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["Detail"].as_str().unwrap_or_default().to_owned())
}

fn client(house: &House) -> Value {
    house.ask("GET", "/api/v1/client", "").json()
}

fn agents(house: &House) -> Vec<Value> {
    house.control("GET", "/agents", None).as_array().unwrap().clone()
}

/// Nothing of a registration is left.
fn assert_unregistered(house: &House) {
    assert_eq!(client(house)["agentID"], "");
    for name in ["bls.age", "mpin.age"] {
        assert!(!house.state().join(name).exists(), "{name} was left behind");
    }
}

/// It is registered, and what the backend asks of it is done.
fn assert_works(house: &House) {
    let id = client(house)["agentID"].clone();
    let agents = agents(house);
    assert!(agents.iter().any(|agent| agent["accountCode"] == id && agent["finished"] == true), "{agents:?}");
    house.wait("feeds=1");
    let action = house.order(json!({})).remove(0);
    assert_eq!(house.approve(&action).status, 200, "{}", house.log());
    house.assert_no_panic();
}

/// The vault's process id.
fn vault(house: &House) -> u32 {
    let find = || house.rooms().into_iter().find(|(name, _)| name == "vault");
    until("the vault lives", || find().is_some(), || house.log());
    find().unwrap().1
}

#[test]
fn a_client_sees_the_agent_from_registration_on_and_the_feed_url_works() {
    let mut house = House::start(Settings::default());
    let before = client(&house);
    assert_eq!(before["agentID"], "");
    let reply = house.register("  an agent\t");
    assert_eq!(reply.status, 200, "{}", reply.json());
    let answer = reply.json();
    assert_eq!(answer, client(&house));
    assert_eq!(answer["feedURL"], before["feedURL"]);
    assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
    let known = agents(&house);
    assert_eq!((&known[0]["accountCode"], &known[0]["name"]), (&answer["agentID"], &json!("an agent")));

    // The configured port is 0 here: the host is where it listens, the path is the protocol's.
    let url = house.url("/api/v1/client/feed").replacen("http", "ws", 1);
    assert!(answer["feedURL"].as_str().unwrap().ends_with("/api/v1/client/feed"), "{answer}");
    assert_eq!(answer["feedURL"], url.as_str());
    let stream = TcpStream::connect(url.trim_start_matches("ws://").split('/').next().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut feed, _) = tungstenite::client(url, stream).unwrap();
    house.wait("feeds=1");
    house.control("POST", "/feed", Some(json!({"raw": "hello"})));
    assert_eq!(feed.read().unwrap().to_text().unwrap(), "hello");
    assert_works(&house);
}

#[test]
fn a_second_registration_is_refused_in_the_words_that_clients_know() {
    let mut house = House::registered(Settings::default());
    let id = client(&house);
    for name in ["test-agent", "another"] {
        let reply = house.register(name);
        assert_eq!(reply.status, 400);
        let words = "AgentID already exist. You can not set new one.";
        let told = json!({"Code": 400, "Msg": "Bad request", "Detail": words, "Reason": "already-registered"});
        assert_eq!(reply.json(), told);
        assert_eq!(client(&house), id);
    }
    assert_eq!(house.stats()["initOk"], 1, "nothing was sent for it");
    assert_works(&house);
}

#[test]
fn private_keys_in_pkcs8_and_field_names_in_any_case_are_taken() {
    for (format, names) in [
        ("pkcs8", ["name", "APIKey", "Base64PrivateKey"]),
        ("pkcs1", ["name", "apikey", "base64privatekey"]),
        ("pkcs1", ["NAME", "ApiKey", "base64PrivateKey"]),
    ] {
        let house = House::start(Settings::default());
        let partner = house.control("GET", &format!("/new-partner?format={format}"), None);
        let body = json!({names[0]: "agent", names[1]: partner["apiKey"], names[2]: partner["base64PrivateKey"]});
        let reply = house.ask("POST", "/api/v1/register", &body.to_string());
        assert_eq!(reply.status, 200, "{names:?} {}", reply.json());
        assert_works(&house);
    }
}

/// A house whose backend answers init wrongly, time and again, and then well.
fn refuses_init(faults: &[Value]) {
    let mut house = House::start(Settings::default());
    let vault_before = vault(&house);
    for (count, fault) in faults.iter().enumerate() {
        house.fault("init", fault.clone(), 1);
        let (status, detail) = told(&house.register("test-agent"));
        assert_eq!(status, 502, "{fault} {detail}");
        assert!(detail.starts_with("the backend's answer is malformed: "), "{fault} {detail}");
        let stats = house.stats();
        assert_eq!(stats["initOk"], count + 1);
        assert_eq!((&stats["finishOk"], &stats["refusals"]), (&json!(0), &json!([])), "no finish was sent: {fault}");
        assert_unregistered(&house);
    }
    assert_eq!(house.register("test-agent").status, 200);
    assert_eq!(vault(&house), vault_before, "it was the same vault all the time");
    assert_eq!(agents(&house).iter().filter(|agent| agent["finished"] == true).count(), 1);
    assert_works(&house);
}

#[test]
fn an_iddoc_that_is_not_this_agents_own_is_refused_before_finish_and_no_key_is_left() {
    refuses_init(&["other-key", "other-ec-key", "other-identity", "other-name"].map(|fault| json!({"iddoc": fault})));
    refuses_init(&["wrong-type", "two-payloads", "unknown-field", "not-hex"].map(|fault| json!({"iddoc": fault})));
}

#[test]
fn an_answer_to_init_that_disagrees_with_itself_is_refused_before_finish_and_no_key_is_left() {
    refuses_init(&["mismatched-ids", "bad-client-secret", "missing-field"].map(|fault| json!({"reply": fault})));
}

#[test]
fn another_identitys_client_secret_shows_at_finish_and_no_key_is_left() {
    let mut house = House::start(Settings::default());
    house.fault("init", json!({"reply": "other-client-secret"}), 1);
    let (status, detail) = told(&house.register("test-agent"));
    assert!(status == 502 && detail.contains("401"), "{status} {detail}");
    assert_eq!(house.stats()["finishOk"], 0);
    assert_unregistered(&house);
    assert_eq!(house.register("test-agent").status, 200);
    assert_works(&house);
}

#[test]
fn a_backend_that_fails_at_init_is_named_and_the_next_attempt_works() {
    let faults = [
        (json!({"status": 401, "body": "who are you"}), "the backend answered 401: who are you"),
        (json!({"status": 500, "body": "oh\nno"}), "the backend answered 500: oh no"),
        (json!({"status": 404}), "the backend answered 404"),
        (json!({"status": 302}), "the backend answered 302"),
        (json!({"status": 429, "retryAfter": 60}), "the backend answered 429"),
        (json!({"status": 500, "body": "x".repeat(500_000)}), "the backend answered 500"),
        (json!({"status": 200}), "malformed"),
        (json!({"status": 200, "body": "{}"}), "malformed"),
        (json!({"status": 200, "body": "[]"}), "malformed"),
        (json!({"status": 200, "body": "x".repeat(2 << 20)}), "the reply is too long"),
        (json!({"garbage": true}), "malformed"),
        (json!({"drop": true}), "the backend is not reached"),
        (json!({"dropAfter": true}), "the backend is not reached"),
        (json!({"delayMs": 300, "status": 503}), "the backend answered 503"),
    ];
    // In houses of a few each: an agent whose doors retire in quick succession takes its time.
    for few in faults.chunks(5) {
        fails_at_init(few);
    }
}

fn fails_at_init(faults: &[(Value, &str)]) {
    let mut house = House::start(Settings::default());
    for (fault, words) in faults {
        house.fault("init", fault.clone(), 1);
        let reply = house.register("test-agent");
        let (status, detail) = told(&reply);
        assert_eq!(status, 502, "{fault:.100} {detail}");
        assert!(detail.contains(words) && reply.body.len() < 2000, "{fault:.100} {detail}");
        assert_unregistered(&house);
    }
    assert_eq!(house.stats()["finishOk"], 0);
    assert_eq!(house.register("test-agent").status, 200);
    assert_works(&house);
}

#[test]
fn a_finish_that_is_refused_leaves_nothing_behind() {
    let mut house = House::start(Settings::default());
    for status in [400, 401, 403, 404, 409] {
        // A 401 has one fresh pass, in case the first was a second late.
        house.fault("finish", json!({"status": status, "body": "no"}), if status == 401 { 2 } else { 1 });
        let (answered, detail) = told(&house.register("test-agent"));
        assert_eq!((answered, detail), (502, format!("the backend answered {status}: no")));
        assert_unregistered(&house);
    }
    assert_eq!(agents(&house).len(), 5);
    assert_eq!(house.register("test-agent").status, 200);
    assert_works(&house);
}

#[test]
fn a_finish_with_no_known_outcome_is_taken_up_again_with_the_same_agent() {
    for kill in [false, true] {
        let mut house = House::start(Settings::default());
        for (fault, words) in [
            (json!({"status": 500, "body": "later"}), "the backend answered 500: later"),
            (json!({"status": 503}), "the backend answered 503"),
            (json!({"drop": true}), "the backend is not reached"),
            (json!({"garbage": true}), "malformed"),
            (json!({"dropAfter": true}), "the backend is not reached"),
        ] {
            house.fault("finish", fault.clone(), 1);
            let (status, detail) = told(&house.register("test-agent"));
            assert!(status == 502 && detail.contains(words), "{fault} {status} {detail}");
            assert_eq!(client(&house)["agentID"], "", "not before the backend has said yes");
            if kill {
                house.kill();
                house.run();
            }
        }
        assert_eq!(house.stats()["finishOk"], 1, "the last was done, its answer lost");
        assert_eq!(house.register("test-agent").status, 200);
        let all = agents(&house);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(client(&house)["agentID"], all[0]["accountCode"]);
        assert_eq!(house.stats()["initOk"], 1);
        assert_works(&house);
    }
}

/// The sealed keys, if they are there.
fn sealed(house: &House) -> Option<[Vec<u8>; 2]> {
    let read = |name| std::fs::read(house.state().join(name)).ok();
    Some([read("bls.age")?, read("mpin.age")?])
}

fn alarms(house: &House) -> String {
    let status: Value = serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap();
    status["alarms"].to_string()
}

#[test]
fn one_pass_that_is_not_believed_at_finish_has_a_fresh_one() {
    let mut house = House::start(Settings::default());
    house.fault("finish", json!({"status": 401}), 1);
    assert_eq!(house.register("test-agent").status, 200, "{}", house.log());
    assert_eq!(house.stats()["refusals"], json!([]), "it was another pass");
    assert_works(&house);
}

#[test]
fn a_finish_that_may_have_arrived_and_is_then_refused_keeps_the_keys_and_says_what_to_do() {
    for status in [400, 401, 403, 404, 409, 410] {
        let mut house = House::start(Settings::default());
        // The backend takes it, and its answer is lost; a backend that takes no finish twice then says no.
        house.fault("finish", json!({"dropAfter": true}), 1);
        assert_eq!(house.register("test-agent").status, 502);
        let keys = sealed(&house).expect("the keys of an agent that may be registered");
        for restart in [false, true] {
            if restart {
                house.stop();
                house.run();
            }
            house.fault("finish", json!({"status": status, "body": "no"}), 2);
            let (answered, detail) = told(&house.register("test-agent"));
            assert_eq!((answered, detail), (502, format!("the backend answered {status}: no")));
            house.control("DELETE", "/faults", None);
            assert!(sealed(&house).as_ref() == Some(&keys), "the keys stay as they are");
            let code = agents(&house)[0]["accountCode"].as_str().unwrap().to_owned();
            let alarms = alarms(&house);
            assert!(alarms.contains(&code) && alarms.contains("keys are kept"), "{alarms}");
        }
        // No client can have them thrown away by another name.
        let (answered, detail) = told(&house.register("another"));
        assert!(answered == 503 && detail.contains("test-agent"), "{answered} {detail}");
        assert!(sealed(&house).as_ref() == Some(&keys));
        if status == 409 {
            // The operator's way out, where the backend does not know the agent.
            for name in ["bls.age", "mpin.age"] {
                std::fs::rename(house.state().join(name), house.dir.path().join(name)).unwrap();
            }
            assert_eq!(house.register("another").status, 200, "{}", house.log());
            assert_eq!(agents(&house).len(), 2);
        } else {
            assert_eq!(house.register("test-agent").status, 200, "{}", house.log());
            assert_eq!(agents(&house).len(), 1);
        }
        assert_works(&house);
    }
}

#[test]
fn an_agent_killed_while_it_registers_can_register_after_it() {
    for endpoint in ["init", "finish"] {
        let mut house = House::start(Settings::default());
        house.fault(endpoint, json!({"delayMs": 2000}), 1);
        let partner = house.partner();
        let body =
            json!({"name": "test-agent", "APIKey": partner["apiKey"], "Base64PrivateKey": partner["base64PrivateKey"]});
        let url = house.url("/api/v1/register");
        let lost = thread::spawn(move || call("POST", &url, &[], body.to_string().as_bytes()));
        house.wait("faultsFired=1");
        house.kill();
        // The api may outlive the vault for long enough to say that it is gone.
        let lost = lost.join().unwrap();
        assert!(lost.as_ref().map_or(true, |reply| reply.status >= 500), "it cannot have been registered: {lost:?}");
        house.run();
        assert_eq!(house.register("test-agent").status, 200);
        // The one that was killed at init may have been heard: then that agent stays unfinished.
        let finished = agents(&house).iter().filter(|agent| agent["finished"] == true).count();
        assert_eq!(finished, 1);
        if endpoint == "finish" {
            assert_eq!(agents(&house).len(), 1);
        }
        assert_works(&house);
    }
}

#[test]
fn a_partner_that_the_backend_does_not_know_is_told_so() {
    let mut house = House::start(Settings::default());
    let (known, other) = (house.partner(), house.control("GET", "/new-partner", None));
    for (key, private) in
        [("nobody's", &known["base64PrivateKey"]), (known["apiKey"].as_str().unwrap(), &other["base64PrivateKey"])]
    {
        let body = json!({"name": "test-agent", "APIKey": key, "Base64PrivateKey": private});
        let (status, detail) = told(&house.ask("POST", "/api/v1/register", &body.to_string()));
        assert!(status == 502 && detail.contains("401"), "{status} {detail}");
        assert_unregistered(&house);
    }
    assert_eq!(house.stats()["initOk"], 0);
    assert_eq!(house.register("test-agent").status, 200);
    assert_works(&house);
}

#[test]
fn of_two_registrations_at_once_one_is_made() {
    let mut house = House::start(Settings::default());
    house.fault("init", json!({"delayMs": 1000}), 1);
    let partner = house.partner();
    let body = json!({"name": "first", "APIKey": partner["apiKey"], "Base64PrivateKey": partner["base64PrivateKey"]});
    let url = house.url("/api/v1/register");
    let first = thread::spawn(move || call("POST", &url, &[], body.to_string().as_bytes()));
    house.wait("faultsFired=1");
    assert_eq!(told(&house.register("second")), (409, "a registration is under way".into()));
    let first = first.join().unwrap().unwrap();
    assert_eq!(first.status, 200, "{}", first.json());
    assert_eq!(house.register("third").status, 400);
    let all = agents(&house);
    assert_eq!((all.len(), &all[0]["name"]), (1, &json!("first")));
    assert_works(&house);
}

#[test]
fn before_init_everything_says_what_to_do_and_init_makes_the_running_agent_ready() {
    let mut house = House::empty(Settings::with_policy(APPROVE_ALL));
    house.run_unready();
    let vault_before = vault(&house);
    let reply = house.register("test-agent");
    for reply in [reply, house.ask("GET", "/api/v1/client", ""), house.approve("w1"), house.reject("w1")] {
        let (status, detail) = told(&reply);
        assert!(status == 503 && detail.contains("signing-agent init"), "{status} {detail}");
    }
    let health = house.ask("GET", "/api/v1/healthcheck/status", "").json();
    assert_eq!((&health["Ready"], &health["Registered"]), (&json!(false), &json!(false)), "{health}");

    let init = house.output(&["init"]);
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    assert_eq!(house.register("test-agent").status, 200, "{}", house.log());
    assert_eq!(vault(&house), vault_before);
    assert_works(&house);
}

#[test]
fn a_backend_that_does_not_answer_a_registration_is_a_504_and_the_next_attempt_works() {
    let slow = |endpoint: &str| {
        let mut house = House::start(Settings::default());
        house.fault(endpoint, json!({"delayMs": 120_000}), 1);
        assert_eq!(
            told(&house.register("test-agent")),
            (504, "the backend did not answer in time".into()),
            "{endpoint}"
        );
        assert_eq!(client(&house)["agentID"], "");
        assert_eq!(house.register("test-agent").status, 200, "{endpoint}");
        let finished = agents(&house).iter().filter(|agent| agent["finished"] == true).count();
        assert_eq!((finished, &house.stats()["finishOk"]), (1, &json!(1)), "{endpoint}");
        assert_works(&house);
    };
    thread::scope(|scope| {
        scope.spawn(|| slow("init"));
        scope.spawn(|| slow("finish"));
    });
}
