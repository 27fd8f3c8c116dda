//! Who may release what is held: a rule's laxer word counts for what the rule is surely about, and for nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{bytes, judge, policy, transfer, wallet};
use policy::wire::transfer_type;
use policy::{Action, Approvers, Release, Verdict};

/// What no hold rule decides, two people release; small transfers, any client.
const LAX: &str = r#"
release = { approvers = 2, of = ["alice", "bob"] }
[currencies]
ETH = { code = 4, decimals = 0 }
[[rule]]
name = "small"
verdict = "hold"
max_amount_per_transfer = "10 ETH"
release = "client"
"#;

fn people(release: &Release) -> bool {
    release.approvers.len() == 1
}

#[test]
fn what_a_laxer_hold_is_about_its_release_decides() {
    let judgement = judge(&policy(LAX), None, &[bytes(&transfer())]);
    assert_eq!((judgement.rule.as_deref(), judgement.release), (Some("small"), Release::client()));
}

#[test]
fn a_missing_fact_makes_no_release_laxer() {
    for message in [b"opaque".to_vec(), vec![0x08, 0x05], bytes(&wallet(transfer_type::TRANSFER_PUSH, &[], &[]))] {
        let judgement = judge(&policy(LAX), None, &[message]);
        assert_eq!((judgement.verdict, judgement.rule.as_deref()), (Verdict::Hold, Some("small")));
        assert!(people(&judgement.release), "{:?}", judgement.facts);
    }
}

#[test]
fn a_small_transfer_beside_a_large_one_makes_no_release_laxer() {
    let message = [bytes(&wallet(transfer_type::TRANSFER_PUSH, &[5, 1_000_000], &[]))];
    let judgement = judge(&policy(LAX), None, &message);
    assert_eq!(judgement.rule.as_deref(), Some("small"));
    assert!(people(&judgement.release));
}

#[test]
fn the_feeds_word_makes_no_release_laxer() {
    let text = LAX.replace("max_amount_per_transfer = \"10 ETH\"", "action_types = [\"ApproveTransfer\"]");
    let released = |claim, message: Vec<u8>| judge(&policy(&text), claim, &[message]).release;
    assert!(!people(&released(Some("ApproveTransfer"), bytes(&transfer()))));
    assert!(people(&released(None, bytes(&transfer()))));
    assert!(people(&released(Some("ApproveSwap"), bytes(&transfer()))));
    assert!(people(&released(Some("ApproveTransfer"), b"opaque".to_vec())));
    assert!(people(&released(Some("ApproveTransfer"), bytes(&wallet(transfer_type::SWAP, &[5], &[])))));
}

#[test]
fn a_hold_that_is_in_doubt_has_its_say_too() {
    let text = r#"
[[rule]]
name = "nights"
verdict = "hold"
hours = "18:00-08:00"
release = { approvers = 2, of = ["alice", "bob"] }
[[rule]]
name = "all"
verdict = "hold"
"#;
    let messages = [bytes(&transfer())];
    let noon = judge(&policy(text), None, &messages);
    assert_eq!(noon.release, Release::client());
    // Nobody knows whether it is night.
    let unknown = Action { now: None, ..common::action(None, &messages) };
    assert!(people(&policy(text).judge(&unknown).release));
    // Nor, where the feed says one type and the bytes none, which it is.
    let text = text.replace("hours = \"18:00-08:00\"", "action_types = [\"ApproveWithdraw\"]");
    assert!(people(&judge(&policy(&text), Some("ApproveTransfer"), &[b"opaque".to_vec()]).release));
    assert!(!people(&judge(&policy(&text), Some("ApproveTransfer"), &messages).release));
}

#[test]
fn of_several_holds_and_messages_each_has_its_say() {
    let text = format!(
        "{LAX}[[rule]]\nname = \"tokens\"\nverdict = \"hold\"\nwallets = [\"{}\"]\nrelease = \"token\"\n",
        "01".repeat(32)
    );
    let release = judge(&policy(&text), None, &[bytes(&transfer())]).release;
    assert!(release.token && !people(&release));
    let large = bytes(&wallet(transfer_type::TRANSFER_PUSH, &[1_000_000], &[]));
    let release = judge(&policy(LAX), None, &[bytes(&transfer()), large]).release;
    assert!(people(&release), "no hold rule is about the second");
    assert_eq!(judge(&policy(LAX), None, &[]).release.approvers.len(), 1);
}

#[test]
fn so_many_of_each_group_are_enough() {
    let names = |all: &[&str]| all.iter().map(ToString::to_string).collect::<std::collections::BTreeSet<String>>();
    let group = |needed, of: &[&str]| Approvers { needed, of: names(of) };
    let release = Release { approvers: [group(2, &["a", "b", "c"]), group(1, &["d"])].into(), ..Release::client() };
    assert!(release.is_met_by(&names(&["a", "c", "d"])));
    assert!(!release.is_met_by(&names(&["a", "b", "c"])));
    assert!(!release.is_met_by(&names(&["a", "d", "e"])));
    assert!(Release::client().is_met_by(&names(&[])));
    assert_eq!(group(2, &["a", "b", "c"]).have(&names(&["a", "b", "x"])), 2);
}

#[test]
fn what_a_deny_rule_may_be_about_is_nobodys_to_release_whatever_else_holds_it() {
    let deny = "[[rule]]\nname = \"d\"\nverdict = \"deny\"\naction_types = [\"ApproveWithdraw\"]\n";
    let lax = "[[rule]]\nname = \"h\"\nverdict = \"hold\"\nrelease = \"client\"\n";
    for text in [deny.to_owned(), format!("{deny}{lax}"), format!("{lax}{deny}")] {
        for claim in [None, Some("ApproveTransfer")] {
            let judgement = judge(&policy(&text), claim, &[b"opaque".to_vec()]);
            assert!(judgement.verdict == Verdict::Hold && judgement.release.nobody, "{text} {claim:?}");
        }
        assert_eq!(judge(&policy(&text), Some("ApproveWithdraw"), &[b"opaque".to_vec()]).verdict, Verdict::Deny);
    }
    // A hold in doubt is a person's matter.
    let hold = "[[rule]]\nname = \"h\"\nverdict = \"hold\"\naction_types = [\"ApproveWithdraw\"]\n";
    assert!(!judge(&policy(hold), None, &[b"opaque".to_vec()]).release.nobody);
}
