//! What counts, once, and for how long. Signatures were verified before: statement_tests.rs.

use super::*;
use crate::ledger::schema;
use crate::pipeline::Seen;
use ipc::{SignedStatement, TokenInfo};
use policy::Policy;
use rusqlite::Connection;
use serde_json::Value;

const NOW: u64 = 1000;
const TWO_OF_THREE: &str = "release = { approvers = 2, of = [\"alice\", \"bob\", \"carol\"] }\n";
const HOLD_AND_DENY: &str = "[[rule]]\nname = \"none\"\nverdict = \"deny\"\n";

struct Book {
    _dir: tempfile::TempDir,
    connection: Connection,
    approvers: BTreeMap<String, String>,
    ticket: u64,
}

impl Book {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::open(&dir.path().join("ledger"), true).unwrap();
        let names = ["alice", "bob", "carol", "dave"];
        let approvers = names.map(|name| (name.to_owned(), format!("key of {name}"))).into();
        Self { _dir: dir, connection, approvers, ticket: 0 }
    }

    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>) -> T {
        let transaction = self.connection.transaction().unwrap();
        let value = work(&transaction).unwrap();
        transaction.commit().unwrap();
        value
    }

    /// A held action, announced by the feed.
    fn held(&mut self, policy: &str, id: &str) {
        let judged = judged(policy, id, true);
        let fate = self.write(|t| judge(t, judged, NOW));
        assert!(matches!(fate, Fate::Held(_)), "{fate:?}");
    }

    fn hears(&mut self, policy: &str, id: &str, verb: Verb, brought: Vec<Brought>, now: u64) -> Heard {
        let (judged, approvers) = (judged(policy, id, true), self.approvers.clone());
        self.write(|t| hear(t, judged, true, verb, brought, &approvers, now))
    }

    fn brought(&mut self, bearer: Option<&str>, statements: Vec<Verified>) -> Brought {
        self.ticket += 1;
        let bearer = bearer.map(|token| crate::tokens::hash(&ipc::Secret::new(token.to_owned())));
        Brought { ticket: self.ticket, source: Source::anybody(), bearer, statements: Ok(statements) }
    }

    /// What one asker is told at once; nothing where the action goes its way.
    fn approves(&mut self, policy: &str, id: &str, bearer: Option<&str>, statements: Vec<Verified>) -> Option<Answer> {
        let brought = self.brought(bearer, statements);
        self.told(policy, id, Verb::Approve, brought, NOW)
    }

    fn told(&mut self, policy: &str, id: &str, verb: Verb, brought: Brought, now: u64) -> Option<Answer> {
        let Heard { fate, mut told, .. } = self.hears(policy, id, verb, vec![brought], now);
        match (fate, told.pop()) {
            (Some(Fate::Approve(_) | Fate::Reject), None) => None,
            (_, Some((ticket, answer))) => {
                assert_eq!((ticket, told.len()), (self.ticket, 0));
                Some(answer)
            }
            other => panic!("{other:?}"),
        }
    }

    fn token(&mut self, name: &str, text: &str, scope: &str, expires: Option<u64>) {
        let info = TokenInfo {
            name: name.into(),
            scopes: scope.parse().unwrap(),
            per_minute: None,
            made: 1,
            expires,
            used: None,
        };
        let hash = crate::tokens::hash(&ipc::Secret::new(text.to_owned()));
        self.write(|t| tokens::add(t, &info, &hash, "operator")).unwrap();
    }

    fn records(&mut self, kind: &str) -> Vec<Value> {
        let (lines, _) = self.write(|t| audit::page(t, 0));
        let all = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.filter(|record| record["kind"] == kind).collect()
    }
}

fn judged(policy: &str, id: &str, announced: bool) -> Judged {
    let id = ActionId::try_from(id.to_owned()).unwrap();
    let seen = Seen { id, claim: None, expires: announced.then_some(2000) };
    unseconded(policy, seen).seconded(crate::callback::Seconded::for_a_test(), None)
}

fn unseconded(policy: &str, seen: Seen) -> Judged {
    Judged::new(&Policy::parse(policy).unwrap(), seen, vec![b"move it".to_vec()], Some(NOW))
}

fn says(who: &str, nonce: u8) -> Verified {
    Verified {
        approver: who.into(),
        key: format!("key of {who}"),
        nonce: vec![nonce; 16],
        expires: NOW + 100,
        signed: SignedStatement { statement: format!("{who} {nonce}"), signature: "signature".into() },
    }
}

fn counted(have: u32, needed: u32) -> impl Fn(&Option<Answer>) -> bool {
    move |answer| matches!(answer, Some(Answer::Counted { have: h, needed: n, .. }) if (*h, *n) == (have, needed))
}

fn fault(answer: &Option<Answer>) -> Option<CredentialFault> {
    match answer {
        Some(Answer::Refused(Refusal::Credential { fault, .. })) => Some(*fault),
        _ => None,
    }
}

#[test]
fn two_of_three_release_it_one_after_another_or_at_once_and_that_is_on_record() {
    let mut book = Book::new();
    book.held(TWO_OF_THREE, "a");
    let bare = book.approves(TWO_OF_THREE, "a", None, vec![]);
    assert!(matches!(&bare, Some(Answer::Refused(Refusal::NeedsApprovers(words))) if words.contains("2 of [alice")));
    let first = book.approves(TWO_OF_THREE, "a", None, vec![says("alice", 1)]);
    assert!(counted(1, 2)(&first), "{first:?}");
    assert_eq!(book.approves(TWO_OF_THREE, "a", None, vec![says("carol", 1)]), None);
    assert_eq!(book.records("decision").last().unwrap()["by"], "approvers alice carol");
    let statements = book.records("statement");
    assert_eq!(statements.iter().map(|s| s["approver"].clone()).collect::<Vec<_>>(), ["alice", "carol"]);
    assert_eq!(statements[0]["statement"], "alice 1");

    book.held(TWO_OF_THREE, "b");
    let both = vec![says("alice", 2), says("bob", 2)];
    assert_eq!(book.approves(TWO_OF_THREE, "b", None, both), None);
}

#[test]
fn a_person_counts_once_a_nonce_is_good_once_and_the_same_statement_is_the_same_word() {
    let mut book = Book::new();
    book.held(TWO_OF_THREE, "a");
    book.held(TWO_OF_THREE, "b");
    assert!(counted(1, 2)(&book.approves(TWO_OF_THREE, "a", None, vec![says("alice", 1)])));
    let twice = book.approves(TWO_OF_THREE, "a", None, vec![says("alice", 2)]);
    assert_eq!(fault(&twice), Some(CredentialFault::CountedAlready));
    let twice = book.approves(TWO_OF_THREE, "b", None, vec![says("bob", 1), says("bob", 2)]);
    assert_eq!(fault(&twice), Some(CredentialFault::CountedAlready));
    assert_eq!(book.records("statement").len(), 1, "all of what one brings is taken, or nothing");
    let mut other = says("alice", 1);
    other.signed.statement = "about something else".into();
    assert_eq!(fault(&book.approves(TWO_OF_THREE, "b", None, vec![other])), Some(CredentialFault::NonceUsed));
    // Said again it is neither new nor wrong: who lost the answer asks again, and gets it.
    assert!(counted(1, 2)(&book.approves(TWO_OF_THREE, "a", None, vec![says("alice", 1)])));
    assert_eq!(book.records("statement").len(), 1, "nothing is kept twice");
    assert_eq!(book.approves(TWO_OF_THREE, "a", None, vec![says("alice", 1), says("bob", 7)]), None);
    // Another's nonce is another nonce.
    assert!(counted(1, 2)(&book.approves(TWO_OF_THREE, "b", None, vec![says("carol", 1)])));
}

#[test]
fn a_statement_counts_until_its_own_expiry_and_with_the_key_that_the_deed_has() {
    let mut book = Book::new();
    book.held(TWO_OF_THREE, "a");
    assert!(counted(1, 2)(&book.approves(TWO_OF_THREE, "a", None, vec![says("alice", 1)])));
    let mut late = says("bob", 1);
    late.expires = NOW + 500;
    let late = book.brought(None, vec![late]);
    let told = book.told(TWO_OF_THREE, "a", Verb::Approve, late, NOW + 100);
    assert!(counted(1, 2)(&told), "alice's is over: {told:?}");
    // Her key was replaced since: what the old one signed is not her word any more.
    let mut again = says("alice", 2);
    again.expires = NOW + 500;
    let brought = book.brought(None, vec![again]);
    book.approvers.insert("bob".into(), "another key".into());
    assert!(counted(1, 2)(&book.told(TWO_OF_THREE, "a", Verb::Approve, brought, NOW + 101)));
    book.approvers.remove("alice");
    let brought = book.brought(None, vec![says("carol", 1)]);
    assert!(counted(1, 2)(&book.told(TWO_OF_THREE, "a", Verb::Approve, brought, NOW + 50)));
}

#[test]
fn an_approval_of_other_bytes_or_of_the_opposite_does_not_count() {
    let mut book = Book::new();
    // The feed never announced it: nothing but the statements is kept of it.
    let approvers = book.approvers.clone();
    let unannounced = |message: &[u8]| {
        let id = ActionId::try_from("u".to_owned()).unwrap();
        let seen = Seen { id, claim: None, expires: None };
        Judged::new(&Policy::parse(TWO_OF_THREE).unwrap(), seen, vec![message.to_vec()], Some(NOW))
    };
    let brought = book.brought(None, vec![says("alice", 1)]);
    let heard = book.write(|t| hear(t, unannounced(b"these"), true, Verb::Approve, vec![brought], &approvers, NOW));
    assert!(counted(1, 2)(&heard.told.into_iter().next().map(|(_, answer)| answer)) && heard.fate.is_none());
    let brought = book.brought(None, vec![says("bob", 1)]);
    let heard = book.write(|t| hear(t, unannounced(b"others"), true, Verb::Approve, vec![brought], &approvers, NOW));
    assert!(counted(1, 2)(&heard.told.into_iter().next().map(|(_, answer)| answer)), "one each");

    book.held(TWO_OF_THREE, "a");
    let no = book.brought(None, vec![says("dave", 1)]);
    assert_eq!(book.told(TWO_OF_THREE, "a", Verb::Reject, no, NOW), None, "any approver of the deed may reject");
    assert_eq!(book.records("decision").last().unwrap()["by"], "approvers dave");
}

#[test]
fn a_stranger_to_the_group_counts_for_nothing_and_two_groups_want_both() {
    let mut book = Book::new();
    let two_groups = "[[rule]]\nname = \"x\"\nverdict = \"hold\"\nrelease = { approvers = 1, of = [\"alice\"] }\n\
                      [[rule]]\nname = \"y\"\nverdict = \"hold\"\nrelease = { approvers = 1, of = [\"bob\", \"carol\"] }\n";
    book.held(two_groups, "a");
    assert!(counted(0, 2)(&book.approves(two_groups, "a", None, vec![says("dave", 1)])));
    assert!(counted(1, 2)(&book.approves(two_groups, "a", None, vec![says("carol", 1)])));
    assert_eq!(book.approves(two_groups, "a", None, vec![says("alice", 1)]), None);
}

#[test]
fn a_token_releases_and_rejects_what_is_held_for_one_and_nothing_that_is_wrong_with_it_passes() {
    let policy = "release = \"token\"\n";
    let mut book = Book::new();
    book.token("desk", "the-token", "decide", Some(NOW + 1));
    book.token("old", "the-old-token", "decide", Some(NOW));
    book.token("other", "the-other-token", "read,feed", None);
    for id in ["a", "b"] {
        book.held(policy, id);
        assert_eq!(book.approves(policy, id, None, vec![]), Some(Answer::Refused(Refusal::NeedsToken)));
        let no = book.brought(None, vec![]);
        assert_eq!(book.told(policy, id, Verb::Reject, no, NOW), Some(Answer::Refused(Refusal::NeedsToken)));
        for (token, wanted) in [
            ("a-token", CredentialFault::TokenUnknown),
            ("", CredentialFault::TokenUnknown),
            ("the-old-token", CredentialFault::TokenExpired),
            ("the-other-token", CredentialFault::TokenScope),
        ] {
            assert_eq!(fault(&book.approves(policy, id, Some(token), vec![])), Some(wanted), "{token}");
            let no = book.brought(Some(token), vec![]);
            assert_eq!(fault(&book.told(policy, id, Verb::Reject, no, NOW)), Some(wanted), "{token}");
        }
    }
    assert_eq!(book.approves(policy, "a", Some("the-token"), vec![]), None);
    assert_eq!(book.records("decision").last().unwrap()["by"], "token desk");
    let no = book.brought(Some("the-token"), vec![]);
    assert_eq!(book.told(policy, "b", Verb::Reject, no, NOW), None);
    let used: Vec<Option<u64>> = book.write(tokens::list).iter().map(|token| token.used).collect();
    assert_eq!(used, [Some(0), None, None], "to the hour, and only where it was good");
    assert_eq!(book.records("credential").len(), 2 * 3, "each cause once for an action");
    assert!(book.write(|t| tokens::revoke(t, "desk", "operator")));
    book.held(policy, "c");
    assert_eq!(fault(&book.approves(policy, "c", Some("the-token"), vec![])), Some(CredentialFault::TokenUnknown));
}

#[test]
fn on_record_is_by_which_certificate_a_client_came_in_and_that_alone_is_no_token() {
    let policy = "release = \"token\"\n";
    let mut book = Book::new();
    book.token("desk", "the-token", "decide", None);
    let press = || Guest { token: None, certificate: Some("press".into()) };
    book.held(policy, "a");
    let mut bare = book.brought(None, vec![]);
    bare.source = Source::Client(press());
    assert_eq!(book.told(policy, "a", Verb::Approve, bare, NOW), Some(Answer::Refused(Refusal::NeedsToken)));
    let mut with = book.brought(Some("the-token"), vec![]);
    with.source = Source::Client(Guest { token: Some("desk".into()), ..press() });
    assert_eq!(book.told(policy, "a", Verb::Approve, with, NOW), None);
    assert_eq!(book.records("decision").last().unwrap()["by"], "token desk, certificate press");
    book.held("", "b");
    let mut bare = book.brought(None, vec![]);
    bare.source = Source::Client(press());
    assert_eq!(book.told("", "b", Verb::Approve, bare, NOW), None);
    assert_eq!(book.records("decision").last().unwrap()["by"], "certificate press");
}

#[test]
fn a_release_by_people_is_not_a_tokens_and_a_wrong_token_spoils_what_would_be_enough() {
    let mut book = Book::new();
    book.token("desk", "the-token", "decide", None);
    book.held(TWO_OF_THREE, "a");
    let bare = book.approves(TWO_OF_THREE, "a", Some("the-token"), vec![]);
    assert!(matches!(bare, Some(Answer::Refused(Refusal::NeedsApprovers(_)))), "{bare:?}");
    let both = || vec![says("alice", 1), says("bob", 1)];
    let spoiled = book.approves(TWO_OF_THREE, "a", Some("no-token"), both());
    assert_eq!(fault(&spoiled), Some(CredentialFault::TokenUnknown));
    assert_eq!(book.records("statement"), Vec::<Value>::new());
    assert_eq!(book.approves(TWO_OF_THREE, "a", Some("the-token"), both()), None);
    assert_eq!(book.records("decision").last().unwrap()["by"], "token desk, approvers alice bob");
}

#[test]
fn nobody_releases_what_is_denied_and_the_operator_rejects_what_they_like() {
    let mut book = Book::new();
    book.token("desk", "the-token", "decide", None);
    let everybody = book.brought(Some("the-token"), vec![says("alice", 1), says("bob", 1), says("carol", 1)]);
    let heard = book.hears(HOLD_AND_DENY, "a", Verb::Approve, vec![everybody], NOW);
    assert!(matches!(heard.fate, Some(Fate::Denied(_))), "{heard:?}");

    book.held(TWO_OF_THREE, "b");
    let operator = |book: &mut Book| {
        let brought = book.brought(None, vec![]);
        Brought { source: Source::Operator("operator, uid 0".into()), ..brought }
    };
    let asks = operator(&mut book);
    let told = book.told(TWO_OF_THREE, "b", Verb::Approve, asks, NOW);
    assert!(matches!(told, Some(Answer::Refused(Refusal::NeedsApprovers(_)))), "{told:?}");
    let asks = operator(&mut book);
    assert_eq!(book.told(TWO_OF_THREE, "b", Verb::Reject, asks, NOW), None);
    assert_eq!(book.records("decision").last().unwrap()["by"], "operator, uid 0");
}

#[test]
fn what_policy_approves_by_itself_needs_nobody_and_what_the_feed_did_not_announce_does() {
    let policy = "release = \"token\"\n[[rule]]\nname = \"all\"\nverdict = \"approve\"\nunlimited = true\n\
                  allow_opaque = true\n";
    let mut book = Book::new();
    let brought = book.brought(None, vec![]);
    let heard = book.hears(policy, "a", Verb::Approve, vec![brought], NOW);
    assert!(matches!(heard.fate, Some(Fate::Approve(_))) && heard.told.is_empty(), "who asked hears of the end");
    let brought = book.brought(None, vec![]);
    let approvers = book.approvers.clone();
    let unannounced = judged(policy, "b", false);
    let heard = book.write(|t| hear(t, unannounced, true, Verb::Approve, vec![brought], &approvers, NOW));
    assert!(heard.fate.is_none(), "{heard:?}");
    assert_eq!(heard.told, [(book.ticket, Answer::Refused(Refusal::NeedsToken))]);
    assert_eq!(book.records("decision").len(), 1);
}

#[test]
fn what_is_refused_in_a_loop_is_on_record_once() {
    let mut book = Book::new();
    book.held(TWO_OF_THREE, "a");
    let (before, approvers) = (book.write(audit::counts).0, book.approvers.clone());
    for _ in 0..50 {
        let mut brought = book.brought(None, vec![]);
        let unfit = Unfit { who: Some("alice".into()), fault: CredentialFault::SignatureWrong };
        brought.statements = Err(unfit);
        let told = book.told(TWO_OF_THREE, "a", Verb::Approve, brought, NOW);
        assert_eq!(fault(&told), Some(CredentialFault::SignatureWrong));
        assert_eq!(fault(&book.approves(TWO_OF_THREE, "a", Some("x"), vec![])), Some(CredentialFault::TokenUnknown));
        // Of what nobody announced there is no record at all.
        let stranger = book.brought(Some("x"), vec![]);
        let unannounced = judged(TWO_OF_THREE, "nobody-announced-it", false);
        let heard = book.write(|t| hear(t, unannounced, true, Verb::Approve, vec![stranger], &approvers, NOW));
        assert_eq!(fault(&heard.told.first().map(|(_, told)| told.clone())), Some(CredentialFault::TokenUnknown));
    }
    assert_eq!(book.write(audit::counts).0 - before, 2);
    let refused: Vec<Value> = book.records("credential").iter().map(|record| record["refused"].clone()).collect();
    assert_eq!(refused, ["statement-signature-wrong", "token-unknown"]);
}

#[test]
fn where_somebody_else_is_to_be_asked_a_good_word_is_kept_and_approves_nothing_yet() {
    let mut book = Book::new();
    book.held(TWO_OF_THREE, "w1");
    let approvers = book.approvers.clone();
    let without = || unseconded(TWO_OF_THREE, judged(TWO_OF_THREE, "w1", true).seen().clone());
    let brought = book.brought(None, vec![says("alice", 1), says("bob", 2)]);
    let heard = book.write(|t| hear(t, without(), true, Verb::Approve, vec![brought], &approvers, NOW));
    assert!(heard.fate.is_none() && heard.told.is_empty(), "{heard:?}");
    assert!(matches!(heard.second, Some((_, By::Word(_)))), "{heard:?}");
    // Too little is told as ever, and nobody is asked for it.
    book.held(TWO_OF_THREE, "w2");
    let brought = book.brought(None, vec![says("alice", 3)]);
    let other = unseconded(TWO_OF_THREE, judged(TWO_OF_THREE, "w2", true).seen().clone());
    let heard = book.write(|t| hear(t, other, true, Verb::Approve, vec![brought], &approvers, NOW));
    assert!(heard.second.is_none() && matches!(heard.told[..], [(_, Answer::Counted { .. })]), "{heard:?}");
    // With the proof what was said before counts, for whoever asks.
    assert!(book.approves(TWO_OF_THREE, "w1", None, Vec::new()).is_none());
}

#[test]
fn where_changes_are_signed_the_operator_shows_a_token_for_what_any_client_may_release_and_rejects_as_ever() {
    let anybody = "release = \"client\"\n";
    let mut book = Book::new();
    book.token("desk", "the-token", "decide", None);
    let desk = |book: &mut Book, bearer: Option<&str>, statements: Vec<Verified>| Brought {
        source: Source::Desk("operator, uid 7".into()),
        ..book.brought(bearer, statements)
    };
    for id in ["a", "b"] {
        book.held(anybody, id);
    }
    let bare = desk(&mut book, None, vec![]);
    assert_eq!(book.told(anybody, "a", Verb::Approve, bare, NOW), Some(Answer::Refused(Refusal::NeedsToken)));
    // A person's word is none that this rule asks for, however often it is said.
    for _ in 0..2 {
        let said = desk(&mut book, None, vec![says("alice", 1)]);
        assert!(matches!(book.told(anybody, "a", Verb::Approve, said, NOW), Some(Answer::Counted { .. })));
    }
    let token = desk(&mut book, Some("the-token"), vec![]);
    assert_eq!(book.told(anybody, "a", Verb::Approve, token, NOW), None);
    let no = desk(&mut book, None, vec![]);
    assert_eq!(book.told(anybody, "b", Verb::Reject, no, NOW), None);
    // What people release, people's words release here too.
    book.held(TWO_OF_THREE, "c");
    let both = desk(&mut book, None, vec![says("alice", 2), says("bob", 1)]);
    assert_eq!(book.told(TWO_OF_THREE, "c", Verb::Approve, both, NOW), None);
}
