//! What can hurt and is not bounded is not approved.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{bytes, judge, policy, sample, wallet};
use policy::Verdict;
use policy::wire::{Payload, PbAsset, PbTransfer, PbWallet, TransferEntry, transfer_type};

/// All that the real withdrawal of 2022 needs of a rule with limits.
const BOUNDED: &str = r#"
[currencies]
ETH = { code = 4, decimals = 9 }
[lists]
out = ["0xa2Ba79B953cC51a781A7620c23e0AD28abb769c8"]
[[rule]]
name = "small"
verdict = "approve"
action_types = ["ApproveWithdraw"]
destinations = ["out"]
max_amount_per_action = "0.0000064 ETH"
max_fee = "0.00315 ETH"
participants = ["c6e194bd4e2af25d200680555196df700577be01328719085d2bcd0f61efc57b", "9d57f713d4b3ae8881ef1609d3a2c74ad3936827464a3ade0ab03fe58a86abf2"]
expressions = ["t1 > 0"]
"#;

#[test]
fn the_real_withdrawal_is_approved_by_a_rule_that_bounds_all_that_is_in_it() {
    let message = [sample("withdraw_message").0];
    let judgement = judge(&policy(BOUNDED), Some("ApproveWithdraw"), &message);
    assert_eq!((judgement.verdict, judgement.rule.as_deref()), (Verdict::Approve, Some("small")));
    let [movement] = &judgement.movements[..] else { panic!("{:?}", judgement.movements) };
    // With its fee, which a window counts too.
    assert_eq!((movement.currency, movement.amount, movement.rule.as_deref()), (4, 6400 + 3_150_000, Some("small")));
}

#[test]
fn without_any_one_of_its_bounds_the_real_withdrawal_is_held() {
    let message = [sample("withdraw_message").0];
    for (bound, words) in [
        ("max_fee", "it has a fee"),
        ("participants", "its transfer list names participants"),
        ("expressions", "its transfer list has expressions"),
    ] {
        let text: String =
            BOUNDED.lines().filter(|line| !line.starts_with(bound)).map(|line| format!("{line}\n")).collect();
        let action = common::action(Some("ApproveWithdraw"), &message);
        let explained = policy(&text).explain(&action);
        assert_eq!(explained.judgement.verdict, Verdict::Hold, "{bound}");
        let failed = explained.rules[0].failed[0].as_ref().unwrap();
        assert!(failed.contains(words), "{failed}");
    }
}

#[test]
fn a_settlement_within_a_transfer_is_not_what_a_rule_for_transfers_means() {
    let text = "[currencies]\nETH = { code = 4, decimals = 9 }\n[[rule]]\nname = \"a\"\nverdict = \"approve\"\n\
                max_amount_per_action = \"1 ETH\"\nmax_fee = \"1 ETH\"\ntransfer_types = [\"transfer-push\", \"settle-push\", \"transfer-pull\", \"settle-pull\", \"swap\"]\n";
    for (kind, transfers, settlements, verdict) in [
        (transfer_type::TRANSFER_PUSH, &[5][..], &[][..], Verdict::Approve),
        (transfer_type::SETTLE_PUSH, &[], &[5], Verdict::Approve),
        (transfer_type::SWAP, &[5], &[5], Verdict::Approve),
        (transfer_type::TRANSFER_PUSH, &[5], &[5], Verdict::Hold),
        (transfer_type::SETTLE_PUSH, &[5], &[5], Verdict::Hold),
        (transfer_type::TRANSFER_PUSH, &[], &[5], Verdict::Hold),
        (transfer_type::TRANSFER_PULL, &[5], &[], Verdict::Approve),
        (transfer_type::SETTLE_PULL, &[], &[5], Verdict::Approve),
        (transfer_type::TRANSFER_PULL, &[5], &[5], Verdict::Hold),
        (transfer_type::SETTLE_PULL, &[5], &[5], Verdict::Hold),
        (transfer_type::LOAD, &[5], &[], Verdict::Hold),
    ] {
        let judgement = judge(&policy(text), None, &[bytes(&wallet(kind, transfers, settlements))]);
        assert_eq!(judgement.verdict, verdict, "{kind} {transfers:?} {settlements:?}");
    }
}

#[test]
fn a_field_whose_meaning_is_not_known_has_to_be_named() {
    type Set = fn(&mut PbAsset, &mut PbWallet);
    let fields: [(&str, Set); 9] = [
        ("index", |asset, _| asset.index = 1),
        ("tags", |asset, _| asset.tags = vec![Default::default()]),
        ("spent-balance", |_, wallet| wallet.spent_balance = 1),
        ("principal", |_, wallet| wallet.principal = vec![1]),
        ("creditor", |_, wallet| wallet.creditor = vec![1]),
        ("initiator", |_, wallet| wallet.initiator = vec![1]),
        ("address", |_, wallet| wallet.address = vec![1]),
        ("counterparty", |_, wallet| wallet.counterparty = vec![1]),
        ("transaction-hash", |_, wallet| wallet.transaction_hash = vec![1]),
    ];
    let limited = "[currencies]\nETH = { code = 4, decimals = 9 }\n[[rule]]\nname = \"a\"\nverdict = \"approve\"\nmax_amount_per_action = \"1 ETH\"\n";
    for (name, set) in fields {
        let mut asset = common::transfer();
        let Some(Payload::Wallet(mut inner)) = asset.payload.take() else { panic!("a wallet") };
        set(&mut asset, &mut inner);
        asset.payload = Some(Payload::Wallet(inner));
        let message = [bytes(&asset)];
        assert_eq!(judge(&policy(limited), None, &message).verdict, Verdict::Hold, "{name}");
        let named = format!("{limited}other_fields = [{name:?}]\n");
        assert_eq!(judge(&policy(&named), None, &message).verdict, Verdict::Approve, "{name}");
        assert_eq!(judge(&common::generous(), None, &message).verdict, Verdict::Approve, "{name}");
    }
}

#[test]
fn a_least_fee_bounds_no_fee() {
    let limited = "[currencies]\nETH = { code = 4, decimals = 9 }\n[[rule]]\nname = \"a\"\nverdict = \"approve\"\nmax_amount_per_action = \"1 ETH\"\n";
    let message = [bytes(&common::withdrawal())];
    for (bounds, verdict) in [
        ("min_fee = \"0 ETH\"\n", Verdict::Hold),
        ("max_fee = \"1 ETH\"\n", Verdict::Approve),
        ("min_fee = \"0 ETH\"\nmax_fee = \"1 ETH\"\n", Verdict::Approve),
    ] {
        assert_eq!(judge(&policy(&format!("{limited}{bounds}")), None, &message).verdict, verdict, "{bounds}");
    }
}

#[test]
fn an_entry_of_the_transfer_list_without_a_value_is_one_with_an_empty_value() {
    let limited = "[currencies]\nETH = { code = 4, decimals = 9 }\n[[rule]]\nname = \"a\"\nverdict = \"approve\"\nmax_amount_per_action = \"1 ETH\"\n";
    for value in [None, Some(PbTransfer::default())] {
        let mut asset = common::transfer();
        asset.transferlist = vec![TransferEntry { key: Some("x".into()), value }];
        let message = [bytes(&asset)];
        let bounded = format!("{limited}expressions = [\"t1 > 0\"]\nparticipants = [\"01\"]\n");
        for text in [limited, &bounded] {
            assert_eq!(judge(&policy(text), None, &message).verdict, Verdict::Hold, "{asset:?}");
        }
    }
}
