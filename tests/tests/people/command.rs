//! `signing-agent statement`, `approve` and `reject`, as a person types them.

use crate::desk::{Desk, NAMESPACE, POLICY, write};
use serde_json::{Value, json};
use signing_agent_tests::House;

fn said(output: &std::process::Output) -> (i32, String, String) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_approver_sees_what_it_is_about_signs_it_with_openssh_and_releases_it() {
    let desk = Desk::of(POLICY);
    let id = desk.held("withdraw");
    let (code, text, about) = said(&desk.says(&["statement", &id, "--expires", "2h"]));
    assert_eq!(code, 0, "{about}");
    let statement: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&statement["action"], &statement["verb"]), (&json!(id), &json!("approve")));
    assert!(text.ends_with("\"}\n") && text.matches('\n').count() == 1, "one line: {text:?}");
    for words in ["held by rule \"out\"", "2 of [alice, bob, carol]", "6400", "ssh-keygen -Y sign -n signing-agent"] {
        assert!(about.contains(words), "{words}: {about}");
    }
    let file = |name: &str, text: &str| write(&desk.keys.path().join(name), text);
    let signed = |name: &str, text: &str| {
        let signature = desk.person(name).sign(NAMESPACE, text.as_bytes());
        [file(&format!("{name}.statement"), text), file(&format!("{name}.sig"), &signature)]
    };
    let [a, a_sig] = signed("alice", &text);
    let [b, b_sig] = signed("carol", &desk.draft(&id, &[]));
    let (code, out, err) = said(&desk.says(&["approve", &id]));
    assert!(code == 1 && out.is_empty() && err.contains("2 of [alice, bob, carol], 0 so far"), "{err}");
    let (code, out, _) = said(&desk.says(&["approve", &id, "--statement", &a, "--signature", &a_sig]));
    assert!(code == 4 && out.starts_with("Counted: 1 of 2; held."), "{out}");
    let (code, _, err) = said(&desk.says(&["approve", &id, "--statement", &a, "--signature", &b_sig]));
    assert!(code == 1 && err.contains("[statement-signature-wrong]"), "{err}");
    let both = ["approve", &id, "--statement", &a, "--signature", &a_sig, "--statement", &b, "--signature", &b_sig];
    let (code, out, err) = said(&desk.says(&both));
    assert_eq!((code, out), (0, format!("Approved: {id}\n")), "{err}");
    assert_eq!(desk.status(&id), "approved");
    let (code, _, err) = said(&desk.says(&["reject", &id]));
    assert!(code == 1 && err.contains("approved"), "{err}");
    let (code, _, err) = said(&desk.says(&["statement", &id]));
    assert!(code == 1 && err.contains("it is approved already"), "{err}");
}

#[test]
fn the_operator_approves_as_a_client_does_with_what_they_bring() {
    let desk = Desk::of(POLICY);
    let (transfer, open) = (desk.held("transfer"), desk.open());
    assert_eq!(said(&desk.says(&["approve", &transfer])).0, 1, "the operator has no token of their own");
    let token = write(&desk.keys.path().join("token"), &format!("{}\n", desk.token("desk", &[])));
    assert_eq!(said(&desk.says(&["approve", &transfer, "--token-file", &token])).0, 0);
    assert_eq!(said(&desk.says(&["approve", &open])).0, 0);
    assert_eq!(desk.by(&transfer), "token desk");
    assert!(desk.by(&open).as_str().unwrap().starts_with("operator, uid "), "{}", desk.by(&open));
}

#[test]
fn what_is_typed_wrong_is_told_and_asks_nothing() {
    let desk = Desk::of(POLICY);
    let id = desk.held("withdraw");
    let one = write(&desk.keys.path().join("one"), "x");
    let long = write(&desk.keys.path().join("long"), &"x".repeat(3000));
    for (arguments, code, words) in [
        (&["statement", "../w1"][..], 2, "not an action id"),
        (&["statement", "nobody-knows-it"], 1, "knows no such action"),
        (&["statement", &id, "--expires", "8d"], 1, "seven days"),
        (&["statement", &id, "--expires", "1w"], 2, "90s, 30m, 12h, 90d"),
        (&["approve", &id, "--statement", &one], 2, "--signature"),
        (&["approve", &id, "--statement", &one, "--signature", &one, "--signature", &one], 2, "come in pairs"),
        (&["approve", &id, "--statement", &long, "--signature", &one], 1, "longer than 2048"),
        (&["approve", &id, "--token-file", "/nowhere"], 1, "/nowhere"),
        (&["reject", "nobody-knows-it"], 1, "no such action"),
    ] {
        let (ended, out, err) = said(&desk.says(arguments));
        assert!(ended == code && err.contains(words) && out.is_empty(), "{arguments:?}: {ended} {err}");
    }
    let nobody = House::empty(signing_agent_tests::Settings::default());
    assert_eq!(said(&nobody.output(&["approve", "w1"])).0, 3);
}
