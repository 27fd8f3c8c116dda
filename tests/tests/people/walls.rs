//! A captured api has what its clients bring, and nothing more.

use crate::desk::{Desk, POLICY};
use crate::door::{Captured, Door, house_stands, pid};
use ipc::{
    ActionId, Answer, Ask, Call, Caller, Change, CredentialFault, Credentials, Refusal, Secret, SignedStatement, Verb,
};
use serde_json::{Value, json};

fn decide(id: &str, verb: Verb, credentials: Credentials) -> Ask {
    let Credentials { bearer, statements } = credentials;
    let action = ActionId::try_from(id.to_owned()).unwrap();
    Ask::Call { caller: Caller { bearer, ..Caller::default() }, call: Call::Decide { action, verb, statements } }
}

fn brought(statement: &Value) -> SignedStatement {
    let text = |name: &str| statement[name].as_str().unwrap().to_owned();
    SignedStatement { statement: text("statement"), signature: text("signature") }
}

#[test]
fn a_captured_api_releases_what_a_rule_lets_any_client_or_the_token_that_it_saw_release() {
    let desk = Desk::of(POLICY);
    let vault = pid(&desk.house, "vault");
    let (out, inside, open) = (desk.held("withdraw"), desk.held("transfer"), desk.open());
    let seen = brought(&desk.statement("alice", &out, &[]));
    let token = desk.token("desk", &[]);
    let captured = Captured::room(&desk.house, "api");
    let mut api = Door::connect(&desk.house, "api.sock");
    let with = |token: &str, statements: Vec<SignedStatement>| Credentials {
        bearer: (!token.is_empty()).then(|| Secret::new(token.to_owned())),
        statements,
    };
    // One person's statement that passed it, again and again, with whatever else it can make up.
    let mut forged = seen.clone();
    forged.statement = forged.statement.replace("\"nonce\":\"", "\"nonce\":\"00");
    for statements in [vec![], vec![seen.clone()], vec![seen.clone(); 8]] {
        let answer = api.ask(&decide(&out, Verb::Approve, with(&token, statements)));
        let held =
            matches!(answer, Answer::Counted { have: 1, needed: 2, .. } | Answer::Refused(Refusal::NeedsApprovers(_)));
        assert!(held, "{answer:?}");
    }
    let fault = |answer: Answer| match answer {
        Answer::Refused(Refusal::Credential { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    let wrong = [
        (&out, with("", vec![seen.clone(), forged]), CredentialFault::SignatureWrong),
        (&inside, with("made-up", vec![]), CredentialFault::TokenUnknown),
        (&inside, with("", vec![seen.clone()]), CredentialFault::OtherAction),
    ];
    for _ in 0..100 {
        for (id, credentials, cause) in &wrong {
            for verb in [Verb::Approve, Verb::Reject] {
                let told = fault(api.ask(&decide(id, verb, credentials.clone())));
                let other_verb = verb == Verb::Reject && *cause == CredentialFault::SignatureWrong;
                assert!(told == *cause || (other_verb && told == CredentialFault::OtherVerb), "{told:?}");
            }
        }
    }
    assert_eq!(api.ask(&decide(&inside, Verb::Approve, Credentials::default())), Answer::Refused(Refusal::NeedsToken));
    assert_eq!(api.ask(&decide(&out, Verb::Reject, Credentials::default())), Answer::Refused(Refusal::NeedsToken));
    let refusals = desk.records("credential");
    assert!(refusals.len() <= 4, "six hundred refusals are on record as what they are: {refusals:?}");
    assert_eq!(desk.house.stats()["puts"], json!(0));
    // What it can: what is any client's, and what a token that passed it lets go.
    let done = Answer::Decided { verb: Verb::Approve };
    assert_eq!(api.ask(&decide(&open, Verb::Approve, Credentials::default())), done);
    assert_eq!(api.ask(&decide(&inside, Verb::Approve, with(&token, vec![]))), done);
    drop((api, captured));
    house_stands(&desk.house, vault);
    let stands = [&out, &inside, &open].map(|id| desk.status(id));
    assert_eq!(stands, ["pending", "approved", "approved"]);
}

#[test]
fn a_door_that_asks_what_is_the_operators_or_brings_too_much_loses_its_connection() {
    let desk = Desk::of(POLICY);
    let vault = pid(&desk.house, "vault");
    let action = || ActionId::try_from("w1".to_owned()).unwrap();
    let captured = Captured::room(&desk.house, "api");
    let much = SignedStatement { statement: String::new(), signature: String::new() };
    let scopes = ipc::Scope::Decide.into();
    let change = Change::TokenAdd { name: "mine".into(), scopes, seconds: None, per_minute: None };
    for ask in [
        Ask::Tokens,
        Ask::Change { change, statements: Vec::new() },
        Ask::TokenRevoke { name: "desk".into() },
        Ask::Statement { action: action(), verb: Verb::Approve, seconds: 60 },
        decide("w1", Verb::Approve, Credentials { bearer: None, statements: vec![much; 9] }),
        decide("w1", Verb::Approve, Credentials { bearer: Some(Secret::new("x".repeat(129))), statements: vec![] }),
    ] {
        let mut api = Door::connect(&desk.house, "api.sock");
        api.tell(&ask);
        assert_eq!(api.until_the_end(), [], "{ask:?}");
    }
    drop(captured);
    house_stands(&desk.house, vault);
    assert_eq!(desk.records("token"), Vec::<Value>::new());
}
