//! Statements that OpenSSH signed.

use crate::desk::{Desk, NAMESPACE, POLICY, refused};
use serde_json::{Value, json};
use signing_agent_tests::Person;
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The statement, changed.
fn with(text: &str, key: &str, value: Value) -> String {
    let mut statement: Value = serde_json::from_str(text).unwrap();
    statement[key] = value;
    format!("{statement}\n")
}

#[test]
fn two_of_three_approvers_release_it_and_one_does_not() {
    let desk = Desk::of(POLICY);
    let id = desk.held("withdraw");
    let bare = desk.put(&id, &[]);
    assert_eq!(refused(&bare), (403, "approvers-needed".into()));
    assert!(bare.json()["Detail"].as_str().unwrap().contains("2 of [alice, bob, carol]"), "{}", bare.json());
    let first = desk.statement("alice", &id, &[]);
    let reply = desk.put(&id, std::slice::from_ref(&first));
    let told = json!({
        "actionID": id, "status": "held", "approvals": 1, "needed": 2, "missing": "2 of [alice, bob, carol], 1 so far",
    });
    assert_eq!((reply.status, reply.json()), (202, told));
    // A token is not what this is released by.
    let token = desk.token("desk", &[]);
    assert_eq!(refused(&desk.decide("PUT", &id, Some(&token), &[])), (403, "approvers-needed".into()));
    assert_eq!((desk.status(&id), desk.house.stats()["puts"].clone()), (json!("pending"), json!(0)));
    let reply = desk.put(&id, &[desk.statement("bob", &id, &[])]);
    assert_eq!((reply.status, reply.json()), (200, json!({ "actionID": id, "status": "approved" })));
    assert_eq!((desk.status(&id), desk.by(&id)), (json!("approved"), json!("approvers alice bob")));
    // The log has what anybody needs to verify them again.
    let statements = desk.records("statement");
    assert_eq!(statements.len(), 2);
    assert_eq!((&statements[0]["statement"], &statements[0]["signature"]), (&first["statement"], &first["signature"]));

    let both = desk.held("withdraw");
    let said = ["carol", "alice"].map(|name| desk.statement(name, &both, &["--expires", "7d"]));
    assert_eq!(desk.put(&both, &said).status, 200);
}

#[test]
fn what_an_approver_did_not_say_about_this_action_does_not_count() {
    let desk = Desk::of(POLICY);
    let (id, other) = (desk.held("withdraw"), desk.held("withdraw"));
    let text = desk.draft(&id, &[]);
    let alice = desk.person("alice");
    let by_alice = |text: &str| desk.signed("alice", text);
    let stranger = Person::make(desk.keys.path(), "mallory", "ed25519");
    let good = by_alice(&text);
    let signature = good["signature"].as_str().unwrap();
    let by = |signature: String| json!({ "statement": text, "signature": signature });
    let table = [
        ("namespace", by(alice.sign("file", text.as_bytes()))),
        ("signer-unknown", by(stranger.sign(NAMESPACE, text.as_bytes()))),
        ("unsigned", by(String::new())),
        ("unsigned", by(signature[..signature.len() / 2].to_owned())),
        ("signature-wrong", json!({ "statement": text.trim_end(), "signature": signature })),
        ("signature-wrong", json!({ "statement": text.replace("approve", "approvE"), "signature": signature })),
        ("other-action", desk.statement("alice", &other, &[])),
        ("other-verb", desk.statement("alice", &id, &["--reject"])),
        ("other-agent", by_alice(&with(&text, "agentID", json!("another")))),
        ("other-messages", by_alice(&with(&text, "messages", json!("00".repeat(32))))),
        ("expired", by_alice(&with(&text, "expiry", json!(now() - 1)))),
        ("expiry-too-late", by_alice(&with(&text, "expiry", json!(now() + 8 * 86_400)))),
        ("malformed", by_alice(&with(&text, "nonce", json!("00")))),
        ("malformed", by_alice(&with(&text, "amount", json!(1)))),
        ("malformed", by_alice("approve it\n")),
    ];
    for (cause, statement) in &table {
        assert_eq!(refused(&desk.put(&id, std::slice::from_ref(statement))), (403, format!("statement-{cause}")));
        // With others that are good it spoils them: nothing of what came counts.
        let bob = desk.statement("bob", &id, &[]);
        assert_eq!(refused(&desk.put(&id, &[bob, statement.clone()])), (403, format!("statement-{cause}")));
    }
    assert_eq!(desk.records("statement"), Vec::<Value>::new());
    let codes: Vec<Value> = desk.records("credential").iter().map(|record| record["refused"].clone()).collect();
    let mut once: Vec<String> = table.iter().map(|(cause, _)| format!("statement-{cause}")).collect();
    once.dedup();
    assert_eq!(codes, once, "each cause is on record once, however often it comes");
    assert_eq!(desk.put(&id, &[good]).status, 202, "it was good all the time");
    assert_eq!((desk.status(&id), desk.house.stats()["puts"].clone()), (json!("pending"), json!(0)));
}

#[test]
fn a_nonce_is_good_once_and_a_person_counts_once() {
    let desk = Desk::of(POLICY);
    let (id, other) = (desk.held("withdraw"), desk.held("withdraw"));
    let text = desk.draft(&id, &[]);
    let first = desk.signed("alice", &text);
    assert_eq!(desk.put(&id, std::slice::from_ref(&first)).status, 202);
    // What was said before is known, and is neither a second person nor a second time.
    for again in [&[first.clone()][..], &[first.clone(), first.clone()]] {
        let reply = desk.put(&id, again);
        assert_eq!((reply.status, &reply.json()["approvals"]), (202, &json!(1)), "{}", reply.json());
    }
    assert_eq!(desk.records("statement").len(), 1);
    let again = desk.statement("alice", &id, &[]);
    assert_eq!(refused(&desk.put(&id, &[again])), (403, "statement-counted-already".into()));
    let nonce = serde_json::from_str::<Value>(&text).unwrap()["nonce"].clone();
    let replayed = desk.signed("alice", &with(&desk.draft(&other, &[]), "nonce", nonce.clone()));
    assert_eq!(refused(&desk.put(&other, &[replayed])), (403, "statement-nonce-used".into()));
    // In other letters it is the same.
    let capitals = json!(nonce.as_str().unwrap().to_uppercase());
    let replayed = desk.signed("alice", &with(&desk.draft(&other, &[]), "nonce", capitals));
    assert_eq!(refused(&desk.put(&other, &[replayed])), (403, "statement-nonce-used".into()));
    let twice = ["bob", "bob"].map(|name| desk.statement(name, &id, &[]));
    assert_eq!(refused(&desk.put(&id, &twice)), (403, "statement-counted-already".into()));
    assert_eq!(desk.status(&id), "pending");
    // Who lost an answer sends all of it again.
    assert_eq!(desk.put(&id, &[first, desk.statement("bob", &id, &[])]).status, 200);
}

#[test]
fn nobody_releases_what_is_denied() {
    let deny = "[[rule]]\nname = \"none\"\nverdict = \"deny\"\naction_types = [\"ApproveWithdraw\"]\n";
    let desk = Desk::of(&format!("{POLICY}{deny}"));
    let token = desk.token("desk", &[]);
    let id = desk.house.order(json!({ "kind": "withdraw", "announce": false })).remove(0);
    let text = desk.draft(&desk.held("transfer"), &[]);
    let messages = hex::decode(desk.house.action(&id)["messages"][0].as_str().unwrap()).unwrap();
    let digest = {
        use sha2::{Digest, Sha256};
        json!(hex::encode(Sha256::digest(Sha256::digest(messages))))
    };
    let text = with(&with(&text, "messages", digest), "action", json!(id));
    let all: Vec<Value> = ["alice", "bob", "carol"].map(|name| desk.signed(name, &text)).into();
    let reply = desk.decide("PUT", &id, Some(&token), &all);
    assert_eq!(reply.status, 403, "{}", reply.json());
    assert!(reply.json()["Detail"].as_str().unwrap().contains("denied by rule \"none\""), "{}", reply.json());
    desk.house.wait("rejected=1");
    assert_eq!((desk.status(&id), desk.house.stats()["puts"].clone()), (json!("rejected"), json!(0)));
}

#[test]
fn a_reject_takes_one_approver_or_a_token_and_never_two() {
    let desk = Desk::of(POLICY);
    let (first, second, third) = (desk.held("withdraw"), desk.held("withdraw"), desk.held("withdraw"));
    assert_eq!(refused(&desk.decide("DELETE", &first, None, &[])), (401, "token-needed".into()));
    let approval = desk.statement("dave", &first, &[]);
    assert_eq!(refused(&desk.decide("DELETE", &first, None, &[approval])), (403, "statement-other-verb".into()));
    let no = desk.statement("dave", &first, &["--reject"]);
    assert_eq!(desk.decide("DELETE", &first, None, &[no]).status, 200, "any approver whom the deed names");
    let token = desk.token("desk", &[]);
    assert_eq!(desk.decide("DELETE", &second, Some(&token), &[]).status, 200);
    assert!(desk.says(&["reject", &third]).status.success(), "the operator always may");
    for (id, by) in [(&first, "approvers dave"), (&second, "token desk")] {
        assert_eq!((desk.status(id), desk.by(id)), (json!("rejected"), json!(by)));
    }
    assert!(desk.by(&third).as_str().unwrap().starts_with("operator, uid "));
}
