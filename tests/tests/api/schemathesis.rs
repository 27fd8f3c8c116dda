//! The whole OpenAPI document against the running house, by schemathesis: no 5xx, and nothing that the document does not say. It needs
//! python3 and PyPI once; `make test-long` runs it.

use serde_json::{Value, json};
use signing_agent_tests::{House, Settings, call, until};
use std::path::Path;
use std::process::Command;

/// Some of it is approved, some held, some denied.
const POLICY: &str = "[[rule]]\nname = \"inside\"\nverdict = \"approve\"\naction_types = [\"ApproveTransfer\"]\nunlimited = true\n\
                      [[rule]]\nname = \"out\"\nverdict = \"hold\"\naction_types = [\"ApproveWithdraw\"]\nrelease = \"client\"\n";

/// Runs it; what it says goes to this test's output. Whether all was as it should be.
fn run(house: &House, document: &Value, what: &str, token: Option<&str>, more: &[&str]) -> bool {
    let place = house.dir.path().join("openapi.json");
    std::fs::write(&place, document.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis/run.sh");
    let mut command = Command::new(script);
    // Where nobody is known nothing else is to be said than who is let in.
    command.arg(&place).arg(house.url("")).arg("1").args(more).current_dir(house.dir.path());
    if let Some(token) = token {
        command.arg("-H").arg(format!("Authorization: Bearer {token}"));
    }
    let output = command.output().expect("schemathesis starts");
    let text = String::from_utf8_lossy(&output.stdout);
    eprintln!("==== {what}\n{text}");
    let words = String::from_utf8_lossy(&output.stderr);
    eprintln!("{what}: {}\n{words}", output.status);
    let log = house.log();
    assert!(!log.contains("panicked") && !log.contains("does not fit what was asked"), "{log}");
    output.status.success()
}

fn actions(house: &House) -> (String, String) {
    let approved = house.order(json!({"kind": "transfer"})).remove(0);
    let held = house.order(json!({"kind": "withdraw"})).remove(0);
    house.wait("approved=1");
    house.logged(&["held: ", &held]);
    (approved, held)
}

#[test]
#[ignore = "takes minutes, and PyPI once: make test-long"]
fn the_api_is_as_its_document_says_for_everybody_and_answers_nothing_with_a_fault_of_its_own() {
    let house = House::registered(Settings::with_policy(POLICY));
    let document = house.ask("GET", "/openapi.json", "").json();
    let (approved, held) = actions(&house);
    let mut good = run(&house, &open(&document), "nobody is asked who they are", None, &[]);
    for id in [&approved, &held] {
        let known = known(&open(&document), id);
        let only =
            ["--include-path", &format!("/api/v1/client/action/{id}"), "--include-path", "/api/v1/policy/explain"];
        good &= run(&house, &known, "of an action that is known", None, &only);
    }
    assert!(good);
    house.assert_no_panic();
}

#[test]
#[ignore = "takes minutes, and PyPI once: make test-long"]
fn the_api_is_as_its_document_says_with_a_token_and_without() {
    let mut house = House::registered(Settings::with_policy(POLICY));
    let (_, held) = actions(&house);
    let output = house.output(&["token", "add", "all", "--scope", "register,decide,read,metrics,feed"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let token = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    house.stop();
    house.settings.api = "auth = \"token\"".into();
    house.write_config();
    house.run_unready();
    let bearer = format!("Bearer {token}");
    let ready = || {
        let reply = call("GET", &house.url("/api/v1/healthcheck/ready"), &[("Authorization", &bearer)], b"");
        reply.is_ok_and(|reply| reply.status == 200)
    };
    until("it is ready", ready, || house.log());
    let document = call("GET", &house.url("/openapi.json"), &[("Authorization", &bearer)], b"").unwrap().json();
    let mut good = run(&house, &document, "with a token", Some(&token), &[]);
    // Whoever is not let in gets nothing but that: the other answers of the document are taken out.
    good &= run(
        &house,
        &refused_alone(&document),
        "without a token",
        None,
        &["--phases", "fuzzing", "--max-examples", "3", "--exclude-checks", "ignored_auth,positive_data_acceptance"],
    );
    assert!(good);
    let status: Value = serde_json::from_slice(&house.output(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["actions"]["held"], 1, "{held}: nothing came of it: {status}");
    house.assert_no_panic();
}

/// The document with this id in the place of any.
fn known(document: &Value, id: &str) -> Value {
    let text = document.to_string().replace("/api/v1/client/action/{id}", &format!("/api/v1/client/action/{id}"));
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let path = &mut document["paths"][format!("/api/v1/client/action/{id}")];
    for operation in path.as_object_mut().unwrap().values_mut() {
        operation.as_object_mut().unwrap().remove("parameters");
    }
    document["components"]["schemas"]["IdText"] = json!({ "type": "string", "enum": [id] });
    document
}

/// The document of a house in which nobody is asked who they are.
fn open(document: &Value) -> Value {
    let mut document = document.clone();
    for path in document["paths"].as_object_mut().unwrap().values_mut() {
        path.as_object_mut()
            .unwrap()
            .values_mut()
            .for_each(|operation| drop(operation.as_object_mut().unwrap().remove("security")));
    }
    document
}

/// What those get whom nobody knows: a refusal, or that the request is not well formed.
fn refused_alone(document: &Value) -> Value {
    let mut document = document.clone();
    for path in document["paths"].as_object_mut().unwrap().values_mut() {
        for operation in path.as_object_mut().unwrap().values_mut() {
            operation["responses"]
                .as_object_mut()
                .unwrap()
                .retain(|status, _| matches!(status.as_str(), "400" | "401" | "413" | "426"));
        }
    }
    document
}
