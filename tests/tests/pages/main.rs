//! The commands of the documents, typed as they stand there, and that there is no page whose commands nobody types.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod session;

use serde_json::json;
use session::{Session, blocks};
use signing_agent_tests::{APPROVE_ALL, House, Person, Settings};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Pages whose commands are typed elsewhere, and where.
const ELSEWHERE: [(&str, &str); 7] = [
    ("docs/install.md", "tests/tests/service/booted.rs"),
    ("docs/tls.md", "tests/tests/service/tls.sh"),
    ("docs/bad-day.md", "tests/tests/service/bad-day.sh"),
    ("docs/container.md", "tests/tests/image/image.sh"),
    ("docs/partner-apps.md", "tests/tests/partner/page.rs"),
    ("docs/audit-log.md", "src/agent/tests/asks.rs"),
    // `make demo`, `make lint`, `make test`, `make test-long`: whoever sees this has typed them.
    ("CONTRIBUTING.md", ".ci/run"),
];

/// Each a test: from the page's blocks to their end.
macro_rules! pages {
    ($($name:ident $page:literal)*) => {
        const HERE: &[&str] = &[$($page),*];
        mod typed {
            $(#[test]
            fn $name() {
                let blocks = super::blocks($page);
                let blocks: Vec<&str> = blocks.iter().map(String::as_str).collect();
                super::$name(&blocks);
            })*
        }
    };
}

pages! {
    access "docs/access.md"
    api "docs/api.md"
    authority "docs/authority.md"
    backup "docs/backup.md"
    callback "docs/callback.md"
    commands "docs/commands.md"
    doctor "docs/doctor.md"
    import "docs/import.md"
    logs "docs/logs.md"
    metrics "docs/metrics.md"
    operate "docs/operate.md"
    people "docs/people.md"
    policy_tools "docs/policy-tools.md"
    rotation "docs/rotation.md"
    upgrade "docs/upgrade.md"
    readme "README.md"
}

#[test]
fn no_page_has_commands_that_nobody_types() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let names = |dir: &str| {
        let entries =
            fs::read_dir(root.join(dir)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let pages = entries.filter(|name| name.ends_with(".md"));
        pages.map(|name| if dir.is_empty() { name } else { format!("{dir}/{name}") }).collect::<Vec<_>>()
    };
    let all = names("docs").into_iter().chain(names(""));
    let with: BTreeSet<String> = all.filter(|page| !blocks(page).is_empty()).collect();
    let mut typed: BTreeSet<String> = HERE.iter().map(|page| (*page).to_owned()).collect();
    for (page, file) in ELSEWHERE {
        let text = fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let name = page.rsplit('/').next().unwrap();
        assert!(text.contains(name) || text.contains("make test-long"), "{file} says nothing of {name}");
        typed.insert(page.to_owned());
    }
    assert_eq!(with, typed);
}

fn access(blocks: &[&str]) {
    let [tokens, registration] = blocks else { panic!("{blocks:?}") };
    let session = Session::beside(House::start(Settings::default()));
    let said = session.types(tokens);
    assert!(said.contains("desk  decide,read,feed, 600 calls a minute") && said.contains("Revoked: desk"), "{said}");
    let said = session.types(registration);
    assert!(said.contains("No registration is taken from now on") && said.contains("takes one for an hour"), "{said}");
}

fn api(blocks: &[&str]) {
    let [document] = blocks else { panic!("{blocks:?}") };
    let session = Session::beside(House::start(Settings::default()));
    session.put("header", "Accept: application/json\n");
    assert!(session.types(document).contains("\"openapi\":\"3.1"), "{}", session.types(document));
}

fn authority(blocks: &[&str]) {
    let [unfreeze, release, verify] = blocks else { panic!("{blocks:?}") };
    let keys = tempfile::tempdir().unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| Person::make(keys.path(), name, "ed25519"));
    let signers = json!([alice.line(), bob.line()]);
    let people = format!(
        "[people]\npolicy_signers = {signers}\npolicy_signatures = 1\nchange_signers = {signers}\nchange_signatures = 2\n"
    );
    let policy = "serial = 1\n[[rule]]\nname = \"all\"\nverdict = \"hold\"\n";
    let mut house = House::empty(Settings { more: people, ..Settings::with_policy(policy) });
    let signature = alice.sign("signing-agent-policy", policy.as_bytes());
    fs::write(house.dir.path().join("policy.toml.sig"), signature).unwrap();
    assert!(house.output(&["init"]).status.success());
    house.run();
    assert_eq!(house.register("agent").status, 200);
    house.wait("feeds=1");
    let session = Session::beside(house);
    session.types_as(&alice);
    assert!(session.house.output(&["freeze"]).status.success());
    let bob_signs =
        |file: &str| session.put("bob.sig", &bob.sign("signing-agent-change", session.read(file).as_bytes()));
    let lines: Vec<&str> = unfreeze.lines().collect();
    session.types(&lines[..2].join("\n"));
    bob_signs("unfreeze.json");
    session.types(&lines[2..].join("\n"));
    assert_eq!(session.status()["audit"]["frozen"], false);
    session.put("allowed_signers", &format!("{}\n", alice.line()));
    assert!(session.types(verify).contains("Good"), "ssh-keygen");

    let id = session.held();
    let lines: Vec<&str> = release.lines().collect();
    session.types_about(&id, lines[0]);
    session.put("alice.sig", &alice.sign("signing-agent-change", session.read("release.json").as_bytes()));
    bob_signs("release.json");
    session.types_about(&id, &lines[1..].join("\n"));
    assert_eq!(session.house.action(&id)["status"], "approved");
}

fn backup(blocks: &[&str]) {
    let [create, verify, restore, unpack, drill] = blocks else { panic!("{blocks:?}") };
    let session = Session::registered(Some(APPROVE_ALL), "");
    session.keeps_the_audit_key();
    session.types(create);
    session.types(verify);
    let settings = session.house.settings.clone();
    let agent = session.status()["agent"]["agentID"].clone();
    let session = session.moves_to(House::empty(settings));
    session.types(restore);
    let mut session = session;
    session.house.run_unready();
    assert_eq!(
        (session.status()["agent"]["agentID"].clone(), session.status()["audit"]["frozen"].clone()),
        (agent, json!(true))
    );
    let said = session.types(unpack);
    assert!(said.contains("ledger.sqlite") && said.contains("manifest"), "{said}");
    // The drill is a test, which runs beside this one.
    assert!(drill.trim().ends_with("--test backup") && drill.lines().count() == 1, "{drill}");
}

fn callback(blocks: &[&str]) {
    let [keys] = blocks else { panic!("{blocks:?}") };
    let session = Session::beside(House::start(Settings::default()));
    session.types(keys);
    for file in ["callback-key.pem", "agent-key.pem"] {
        assert!(session.read(file).starts_with("-----BEGIN PUBLIC KEY-----\n"), "{file}");
    }
}

fn commands(blocks: &[&str]) {
    let [make, register] = blocks else { panic!("{blocks:?}") };
    let session = Session::beside(House::start(Settings::default()));
    session.types(make);
    let key = session.read("partner-key.pem");
    session.house.control("POST", "/partners", Some(json!({"apiKey": "the-api-key", "publicKeyPem": key})));
    // At a terminal, which `script` is, by somebody who types once asked.
    let register = register.split('#').next().unwrap().trim();
    let said = session.types(&format!(
        "mkfifo keys; script --quiet --return --echo never --command '{register}' /dev/null <keys >shown & exec 3>keys
         until grep --quiet 'API key' shown; do sleep 0.05; done; echo the-api-key >&3; wait $!; cat shown"
    ));
    assert!(!said.contains("the-api-key"), "{said}");
    session.house.wait("feeds=1");
}

fn doctor(blocks: &[&str]) {
    let [both] = blocks else { panic!("{blocks:?}") };
    let session = Session::registered(Some(APPROVE_ALL), "");
    for line in both.lines() {
        let (code, said) = session.ends(line);
        // 1: something is wrong. A test's agent has no certificate, no witness and the like.
        assert!(matches!(code, Some(0 | 1)) && said.contains("ledger"), "{line}: {code:?} {said}");
    }
}

fn import(blocks: &[&str]) {
    let [settings, look, take] = blocks else { panic!("{blocks:?}") };
    let vectors = include_str!("../../vectors/go-agent-store.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let case = &vectors["cases"][0];
    let pin = case["pin"].as_u64().unwrap();
    let mut house = House::empty(Settings { pin, ..Settings::with_policy(APPROVE_ALL) });
    assert!(house.output(&["init"]).status.success());
    house.run();
    let expect = &case["expect"];
    let entry = case["store"][expect["agent_id"].as_str().unwrap()].as_str().unwrap();
    let decode = |text: &str| base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
    let entry: serde_json::Value = serde_json::from_slice(&decode(entry)).unwrap();
    let known = json!({
        "accountCode": expect["agent_id"], "name": entry["name"], "identity": hex::encode(decode(entry["zkpid"].as_str().unwrap())),
        "blsPublicKey": expect["bls_public_key"], "serverSecret": expect["server_secret"],
    });
    house.control("POST", "/agents", Some(known));
    let session = Session::beside(house);
    session.put("config.yaml", "base:\n  pin: 0\n  qredoAPIDomain: play-api.qredo.network\nlogging:\n  level: info\n");
    session.put("ccstore.db", &case["store"].to_string());
    session.types(settings);
    assert!(session.read("signing-agent.toml").contains("[backend]"));
    session.types(look);
    assert_eq!(session.status()["agent"], json!(null));
    session.types(take);
    assert_eq!(session.status()["agent"]["agentID"], expect["agent_id"]);
}

fn logs(blocks: &[&str]) {
    let [trace] = blocks else { panic!("{blocks:?}") };
    let session = Session::beside(House::empty(Settings::default()));
    let id = trace.split_whitespace().nth(2).unwrap();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(id);
    let (code, said) = session.ends_alone(trace);
    assert_eq!((code, said.trim()), (Some(0), &hex::encode(digest)[..32]));
}

fn metrics(blocks: &[&str]) {
    let [token] = blocks else { panic!("{blocks:?}") };
    let session = Session::beside(House::start(Settings { api: "auth = \"token\"".into(), ..Settings::default() }));
    let token = session.types(token);
    let token = token.lines().find(|line| line.len() > 30 && !line.contains(' ')).unwrap_or_else(|| panic!("{token}"));
    let client = session.house.settings.client.with_token(token);
    let status = |path: &str| session.house.ask_as(&client, "GET", path, "").status;
    assert_eq!((status("/metrics"), status("/api/v1/client")), (200, 403));
}

fn operate(blocks: &[&str]) {
    let [day, held, week] = blocks else { panic!("{blocks:?}") };
    let session = Session::registered(None, "");
    session.types(day);
    let id = session.held();
    assert!(session.types_about(&id, held).contains(&id));
    // `doctor` finds what a test's agent has not.
    let lines: Vec<&str> = week.lines().filter(|line| *line != "signing-agent doctor").collect();
    assert_eq!(lines.len() + 1, week.lines().count());
    session.types(&lines.join("\n"));
    assert!(session.dir.join("agent.age").is_file());
}

fn people(blocks: &[&str]) {
    let [release] = blocks else { panic!("{blocks:?}") };
    let keys = tempfile::tempdir().unwrap();
    let alice = Person::make(keys.path(), "alice", "ed25519");
    let policy = "[[rule]]\nname = \"out\"\nverdict = \"hold\"\nrelease = { approvers = 1, of = [\"alice\"] }\n";
    let session = Session::registered(Some(policy), &format!("[people]\napprovers = {}\n", json!([alice.line()])));
    session.types_as(&alice);
    let id = session.held();
    session.types_about(&id, release);
    assert_eq!(session.house.action(&id)["status"], "approved");
}

fn policy_tools(blocks: &[&str]) {
    let [sign] = blocks else { panic!("{blocks:?}") };
    let keys = tempfile::tempdir().unwrap();
    let carol = Person::make(keys.path(), "carol", "ed25519");
    let session = Session::beside(House::empty(Settings::default()));
    session.types_as(&carol);
    session.put("policy.toml", APPROVE_ALL);
    assert_eq!(session.ends_alone(sign).0, Some(0));
    assert!(session.read("policy.toml.sig").starts_with("-----BEGIN SSH SIGNATURE-----"));
}

fn rotation(blocks: &[&str]) {
    let [sealing, confirm, audit, pin] = blocks else { panic!("{blocks:?}") };
    let session = Session::registered(Some(APPROVE_ALL), "");
    let ready = || {
        let ready = || session.house.output(&["status"]).status.success();
        signing_agent_tests::until("the vault is back", ready, || session.house.log());
    };
    for command in [sealing, confirm, audit] {
        session.types(command);
        ready();
    }
    session.put("new-pin", "918273645\n");
    session.types(pin);
}

fn upgrade(blocks: &[&str]) {
    let [backup, doctor, after] = blocks else { panic!("{blocks:?}") };
    let session = Session::registered(Some(APPROVE_ALL), "");
    session.types(backup);
    for line in doctor.lines().chain(after.lines()) {
        let (code, said) = session.ends(line);
        assert!(matches!(code, Some(0 | 1)) && !said.contains("panicked"), "{line}: {code:?} {said}");
    }
}

fn readme(blocks: &[&str]) {
    let [make, register, audit] = blocks else { panic!("{blocks:?}") };
    // Whoever sees this has typed them.
    assert!(make.lines().all(|line| line.starts_with("make demo ") || line.starts_with("make test ")), "{make}");
    let mut house = House::start(Settings { api: "auth = \"token\"".into(), ..Settings::with_policy(APPROVE_ALL) });
    let partner = house.partner();
    let session = Session::beside(house);
    let form = json!({"name": "agent", "APIKey": partner["apiKey"], "Base64PrivateKey": partner["base64PrivateKey"]});
    session.put("registration.json", &form.to_string());
    session.types(register);
    session.house.wait("feeds=1");
    session.keeps_the_audit_key();
    session.types(audit);
}
