//! What any client may release, the operator of a house whose changes are signed does not release alone.

use crate::board::{Board, said};
use crate::door::Door;
use ipc::{ActionId, Answer, Ask, Change, Credentials, Refusal, SignedStatement, Verb};
use serde_json::{Value, json};

fn decide(id: &str, verb: Verb, credentials: Credentials) -> Ask {
    Ask::Decide { action: ActionId::try_from(id.to_owned()).unwrap(), verb, credentials }
}

#[test]
fn the_operator_gets_nothing_more_than_a_client_with_a_token_and_change_signers_release_what_is_theirs() {
    let board = Board::new();
    let order = json!({ "kind": "transfer", "currency": 5 });
    let (open, by_token, by_people) = (board.held(order.clone()), board.held(order.clone()), board.held(order));
    let withdrawal = board.held(json!({ "kind": "withdraw" }));
    let daves = board.statement("dave", &open);
    let text = |name: &str| daves[name].as_str().unwrap().to_owned();
    let dave = SignedStatement { statement: text("statement"), signature: text("signature") };
    // Whatever the command sends: this is the lane itself.
    let mut lane = Door::connect(&board.house, "admin.sock");
    let bare = lane.ask(&decide(&open, Verb::Approve, Credentials::default()));
    assert!(matches!(bare, Answer::Refused(Refusal::NeedsSigners(_))), "{bare:?}");
    let amend = lane.ask(&Ask::Init(ipc::InitOptions { amend: true, try_pin_again: false }));
    assert!(
        matches!(amend, Answer::Initialised(ref report) if report.made.is_empty()),
        "there is nothing to amend: {amend:?}"
    );
    let release = Change::Release { action: ActionId::try_from(open.clone()).unwrap() };
    let unsigned = lane.ask(&Ask::Change { change: release, statements: vec![dave.clone()] });
    assert!(matches!(unsigned, Answer::Refused(Refusal::Credential { .. })), "{unsigned:?}");
    // An approver's word is not what releases this.
    let answer = lane.ask(&decide(&open, Verb::Approve, Credentials { bearer: None, statements: vec![dave] }));
    assert!(!matches!(answer, Answer::Decided { .. }), "{answer:?}");
    assert_eq!(board.action(&open), "pending");
    // With a token as a client has it, and by whom a rule names, as before.
    let token = board.does(&["token", "add", "desk", "--scope", "decide"]);
    let token = token.lines().next().unwrap().to_owned();
    let file = board.keys.path().join("token");
    std::fs::write(&file, &token).unwrap();
    let (code, words) = said(&board.says(&["approve", &by_token, "--token-file", &file.display().to_string()]));
    assert_eq!(code, 0, "{words}");
    assert_eq!(board.put(&withdrawal, None, &[board.statement("dave", &withdrawal)]).status, 200);
    // What change signers see is what they sign for.
    let command = &["approve", &by_people, "--change"][..];
    let draft = board.draft(&["approve", &by_people]);
    let statement: Value = serde_json::from_str(&draft).unwrap();
    let ask = statement["ask"].as_str().unwrap();
    assert!(ask.starts_with(&format!("approve {by_people}, messages ")), "{ask}");
    let (code, words) = board.signed(&["approve", &open, "--change"], &draft, &["alice", "carol"]);
    assert!(code == 1 && words.contains("[statement-other-change]"), "{code} {words}");
    let (code, words) = board.signed(command, &draft, &["alice", "carol"]);
    assert_eq!(code, 0, "{words}");
    let decisions = board.records("decision");
    let by = |id: &str| {
        decisions.iter().rev().find(|record| record["action"] == id).unwrap()["by"].as_str().unwrap().to_owned()
    };
    assert_eq!(by(&by_token), "token desk");
    assert!(
        by(&by_people).starts_with("operator, uid ") && by(&by_people).ends_with(", signed by alice carol"),
        "{}",
        by(&by_people)
    );
    assert_eq!(board.action(&open), "pending");
    assert!(board.says(&["reject", &open]).status.success(), "to reject takes nobody else");
    // A draft of what nobody knows, or is over, is refused with words.
    let (code, words) = said(&board.says(&["approve", "nobody-knows-it", "--draft", "/nowhere/draft"]));
    assert!(code == 1 && words.contains("knows no such action"), "{words}");
}
