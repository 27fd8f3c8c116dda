//! What a policy may say, and what comes of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{bytes, generous, iddoc, judge, policy, transfer, wallet, withdrawal};
use policy::wire::transfer_type;
use policy::{Policy, Verdict};

const APPROVE: &str = "[[rule]]\nname = \"a\"\nverdict = \"approve\"\nunlimited = true\n";
const TRANSFERS: &str = "[[rule]]\nname = \"t\"\nverdict = \"approve\"\nunlimited = true\nallow_opaque = true\naction_types = [\"ApproveTransfer\"]\n";
const T: Option<&str> = Some("ApproveTransfer");
const W: Option<&str> = Some("ApproveWithdraw");

fn refused(text: &str, words: &str) {
    let said = Policy::parse(text).expect_err("this must be refused").to_string();
    assert!(said.contains(words), "{said:?} lacks {words:?}");
}

fn verdict(text: &str, claim: Option<&str>, message: Vec<u8>) -> Verdict {
    judge(&policy(text), claim, &[message]).verdict
}

#[test]
fn an_approve_rule_must_own_up_to_having_no_limit() {
    refused("[[rule]]\nname = \"a\"\nverdict = \"approve\"\n", "2:8: rule \"a\" approves without a limit");
    refused("[[rule]]\nname = \"a\"\nverdict = \"approve\"\nunlimited = false\n", "unlimited = true");
}

#[test]
fn what_helps_only_an_approval_is_refused_elsewhere() {
    for verdict in ["hold", "deny"] {
        for key in ["allow_opaque", "unlimited"] {
            let text = format!("[[rule]]\nname = \"a\"\nverdict = \"{verdict}\"\n{key} = true\n");
            refused(&text, &format!("rule \"a\": {key} is for approve rules alone"));
        }
    }
}

#[test]
fn a_rule_has_a_name_of_its_own() {
    refused(&format!("{APPROVE}{APPROVE}"), "6:8: two rules are named \"a\"");
    refused("[[rule]]\nname = \"\"\nverdict = \"hold\"\n", "2:8: a rule needs a name");
    refused("[[rule]]\nname = \"a\\nb\"\nverdict = \"hold\"\n", "2:8: a rule needs a name");
    refused("[[rule]]\nverdict = \"hold\"\n", "missing field `name`");
    refused("[[rule]]\nname = \"a\"\n", "missing field `verdict`");
}

#[test]
fn what_is_misspelt_is_refused_with_line_and_suggestion() {
    refused(&format!("{APPROVE}alow_opaque = true\n"), "5:1: unknown key \"alow_opaque\" in [[rule]]; did you mean");
    refused("[[rules]]\nname = \"a\"\n", "1:3: unknown key \"rules\"; did you mean \"rule\"?");
    refused("[[rule]]\nname = \"a\"\nverdict = \"aprove\"\n", "3:11:");
    refused(&format!("{APPROVE}allow_opaque = \"yes\"\n"), "5:16: wrong type");
    refused(&format!("{APPROVE}action_types = []\n"), "5:16: rule \"a\": action_types must name");
    refused(&format!("{APPROVE}action_types = [\" \"]\n"), "action_types must name");
}

#[test]
fn no_rule_holds() {
    for policy in [Policy::hold_all(), policy(""), policy("# nothing\n")] {
        let judgement = judge(&policy, T, &[bytes(&transfer())]);
        assert_eq!((judgement.verdict, judgement.rule.clone()), (Verdict::Hold, None));
        assert!(judgement.may_release());
    }
}

#[test]
fn nothing_to_sign_is_held() {
    let judgement = judge(&generous(), T, &[]);
    assert_eq!(judgement.verdict, Verdict::Hold);
    assert!(judgement.why.contains("no messages"));
    let judgement = judge(&generous(), T, &[bytes(&transfer()), vec![]]);
    assert_eq!(judgement.verdict, Verdict::Hold);
    assert!(judgement.why.contains("empty"));
}

#[test]
fn every_message_must_be_approved() {
    let good = bytes(&transfer());
    assert_eq!(judge(&generous(), T, &[good.clone(), good.clone()]).verdict, Verdict::Approve);
    let judgement = judge(&generous(), T, &[good.clone(), bytes(&iddoc()), good.clone()]);
    assert_eq!((judgement.verdict, judgement.facts.len()), (Verdict::Deny, 3));
    assert_eq!(judge(&policy(APPROVE), T, &[good.clone(), b"opaque".to_vec()]).verdict, Verdict::Hold);
    assert_eq!(judge(&generous(), T, &[good, vec![0x08, 0x05]]).verdict, Verdict::Hold);
}

#[test]
fn opaque_is_approved_only_where_a_rule_says_so() {
    assert_eq!(verdict(APPROVE, T, b"opaque".to_vec()), Verdict::Hold);
    assert_eq!(judge(&generous(), T, &[b"opaque".to_vec()]).verdict, Verdict::Approve);
    assert_eq!(verdict(TRANSFERS, T, b"opaque".to_vec()), Verdict::Approve);
    assert_eq!(verdict(TRANSFERS, W, b"opaque".to_vec()), Verdict::Hold);
    assert_eq!(verdict(TRANSFERS, None, b"opaque".to_vec()), Verdict::Hold);
}

#[test]
fn an_approval_by_type_wants_the_claim_and_the_bytes() {
    assert_eq!(verdict(TRANSFERS, T, bytes(&transfer())), Verdict::Approve);
    assert_eq!(verdict(TRANSFERS, None, bytes(&transfer())), Verdict::Hold);
    assert_eq!(verdict(TRANSFERS, W, bytes(&transfer())), Verdict::Hold);
    assert_eq!(verdict(TRANSFERS, W, bytes(&withdrawal())), Verdict::Hold);
    assert_eq!(verdict(TRANSFERS, None, bytes(&withdrawal())), Verdict::Hold);
    let neither = wallet(transfer_type::SWAP, &[5], &[]);
    assert_eq!(verdict(TRANSFERS, T, bytes(&neither)), Verdict::Hold, "the bytes do not say that they are a transfer");
}

#[test]
fn a_claim_that_the_bytes_contradict_never_approves() {
    let judgement = judge(&generous(), T, &[bytes(&withdrawal())]);
    assert_eq!((judgement.verdict, judgement.rule), (Verdict::Deny, None));
    assert!(judgement.why.contains("contradiction"));
    for (claim, asset) in [
        (W, transfer()),
        (Some("ApproveSwap"), transfer()),
        (Some("approvetransfer"), transfer()),
        (Some(""), withdrawal()),
        (T, wallet(transfer_type::SETTLE_PUSH, &[5], &[])),
        (T, wallet(transfer_type::SETTLE_PULL, &[], &[])),
    ] {
        let judgement = judge(&generous(), claim, &[bytes(&asset)]);
        assert_eq!(judgement.verdict, Verdict::Hold, "{claim:?}");
        assert!(judgement.why.contains("the feed calls it"), "{}", judgement.why);
    }
    let both = wallet(transfer_type::TRANSFER_PUSH, &[5], &[5]);
    assert_eq!(judge(&generous(), T, &[bytes(&both)]).verdict, Verdict::Deny);
}

#[test]
fn a_deny_or_hold_by_type_takes_the_claim_or_the_bytes() {
    for (word, outcome) in [("deny", Verdict::Deny), ("hold", Verdict::Hold)] {
        let rule = format!("[[rule]]\nname = \"w\"\nverdict = \"{word}\"\naction_types = [\"ApproveWithdraw\"]\n");
        let open = "[[rule]]\nname = \"a\"\nverdict = \"approve\"\nunlimited = true\nallow_opaque = true\n";
        let text = format!("{open}{rule}");
        assert_eq!(verdict(&text, T, bytes(&transfer())), Verdict::Approve);
        for (claim, message) in [
            (W, bytes(&withdrawal())),
            (None, bytes(&withdrawal())),
            (Some("ApproveSwap"), bytes(&withdrawal())),
            (W, bytes(&transfer())),
            (W, b"opaque".to_vec()),
            (W, vec![0x08, 0x05]),
            (None, bytes(&wallet(transfer_type::TRANSFER_PUSH, &[5], &[5]))),
        ] {
            let judgement = judge(&policy(&text), claim, &[message]);
            assert_eq!((judgement.verdict, judgement.rule.as_deref()), (outcome, Some("w")), "{claim:?}");
        }
        // The claim says no, the bytes say nothing: not denied, but not let through on the courier's word either.
        for message in [b"opaque".to_vec(), bytes(&wallet(transfer_type::SWAP, &[5], &[]))] {
            assert_eq!(verdict(&text, T, message), Verdict::Hold);
        }
    }
}

#[test]
fn a_deny_rule_reaches_what_no_rule_may_approve() {
    let text = "[[rule]]\nname = \"no\"\nverdict = \"deny\"\n";
    for message in [vec![0x08, 0x05], b"opaque".to_vec(), bytes(&wallet(2, &[], &[-1]))] {
        assert_eq!(verdict(text, None, message), Verdict::Deny);
    }
}

#[test]
fn the_hash_is_of_the_text() {
    assert_eq!(hex::encode(policy("").hash()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_ne!(Policy::hold_all().hash(), policy("").hash());
    assert_ne!(policy(APPROVE).hash(), policy(&format!("{APPROVE}# one\n")).hash());
    assert_eq!(Policy::hold_all().hash(), Policy::hold_all().hash());
}
