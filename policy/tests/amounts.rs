//! Amounts of a transfer and of an action, and fees: see `conditions`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::conditions::{Case, Fits, and_no_wallet, check, moving, of, paying, with, with_rule};
use common::{bytes, policy, transfer, wallet};
use policy::Verdict;
use policy::wire::{PbSettlement, transfer_type};

#[test]
fn amounts_of_a_transfer() {
    let amounts = |code, amounts: &[i64]| {
        of(with(wallet(transfer_type::TRANSFER_PUSH, amounts, &[]), |_, wallet| wallet.currency = code))
    };
    let missing = || {
        vec![
            (Fits::Missing, amounts(0, &[5])),
            (Fits::Missing, amounts(4, &[])),
            (Fits::Missing, amounts(4, &[-1])),
            (Fits::Not, amounts(1, &[5])),
            (Fits::Not, amounts(99, &[5])),
        ]
    };
    let mut most = and_no_wallet(missing());
    most.extend([
        (Fits::All, amounts(4, &[5])),
        (Fits::All, amounts(4, &[0, 5])),
        (Fits::Not, amounts(4, &[6])),
        (Fits::Part, amounts(4, &[6, 5])),
        (Fits::Not, amounts(4, &[i64::MAX])),
        (Fits::All, of(moving(4, &[], &["0xab", "0xac"]))),
        (Fits::Not, of(bytes(&wallet(transfer_type::SETTLE_PUSH, &[], &[6])))),
    ]);
    check("max_amount_per_transfer = \"5 ETH\"", most);
    let mut least = and_no_wallet(missing());
    least.extend([
        (Fits::All, amounts(4, &[5])),
        (Fits::All, amounts(4, &[5, i64::MAX])),
        (Fits::Not, amounts(4, &[4])),
        (Fits::Part, amounts(4, &[5, 4])),
    ]);
    check("min_amount_per_transfer = \"5 ETH\"", least);
    check(
        "max_amount_per_transfer = [\"5 ETH\", \"0.00000005 BTC\"]",
        vec![(Fits::All, amounts(1, &[5])), (Fits::Not, amounts(1, &[6])), (Fits::All, amounts(4, &[5]))],
    );
}

/// Of two messages: the sum is the action's.
#[test]
fn amounts_of_an_action() {
    let amounts = |code, amounts: &[i64]| {
        with(wallet(transfer_type::TRANSFER_PUSH, amounts, &[]), |_, wallet| wallet.currency = code)
    };
    let one = |code, sums: &[i64]| of(amounts(code, sums));
    let two = |a: &[i64], b: &[i64]| Case { messages: vec![amounts(4, a), amounts(4, b)], ..Case::default() };
    let with_opaque = || Case { messages: vec![amounts(4, &[1]), b"opaque".to_vec()], ..Case::default() };
    let missing = || {
        and_no_wallet(vec![
            (Fits::Missing, one(0, &[5])),
            (Fits::Missing, one(4, &[])),
            (Fits::Missing, one(4, &[-1, 100])),
            (Fits::Missing, with_opaque()),
            (Fits::Missing, two(&[1], &[-1])),
            (Fits::Not, one(1, &[5])),
            (Fits::Not, one(99, &[5])),
        ])
    };
    let mut most = missing();
    most.extend([
        (Fits::All, one(4, &[5, 5])),
        (Fits::Not, one(4, &[5, 6])),
        (Fits::All, two(&[5], &[5])),
        (Fits::Not, two(&[5], &[6])),
        (Fits::Not, two(&[i64::MAX, i64::MAX], &[i64::MAX])),
        (Fits::Not, of(bytes(&wallet(transfer_type::SWAP, &[5], &[6])))),
    ]);
    check("max_amount_per_action = \"10 ETH\"", most);
    let mut least = missing();
    least.extend([
        (Fits::All, one(4, &[5, 5])),
        (Fits::Not, one(4, &[5, 4])),
        (Fits::All, two(&[5], &[5])),
        (Fits::Not, two(&[5], &[4])),
    ]);
    check("min_amount_per_action = \"10 ETH\"", least);
}

#[test]
fn an_actions_sums_are_kept_apart_by_currency() {
    let text = with_rule("approve", "max_amount_per_action = [\"10 ETH\", \"0.0000001 BTC\"]");
    let of_currency =
        |code, amount| with(wallet(transfer_type::TRANSFER_PUSH, &[amount], &[]), |_, wallet| wallet.currency = code);
    for (eth, btc, verdict) in [(10, 10, Verdict::Approve), (11, 1, Verdict::Hold), (1, 11, Verdict::Hold)] {
        let messages = [of_currency(4, eth), of_currency(1, btc)];
        assert_eq!(policy(&text).judge(&common::action(None, &messages)).verdict, verdict, "{eth} {btc}");
    }
}

#[test]
fn fees() {
    let missing = || {
        and_no_wallet(vec![
            (Fits::Missing, of(paying(0, &[1]))),
            (Fits::Missing, of(paying(4, &[-1]))),
            (Fits::Not, of(paying(1, &[1]))),
            (Fits::Not, of(paying(99, &[1]))),
        ])
    };
    let two = |a, b| Case { messages: vec![paying(4, &[a]), paying(4, &[b])], ..Case::default() };
    let mut most = missing();
    most.extend([
        (Fits::All, of(paying(4, &[3]))),
        (Fits::All, of(paying(4, &[0]))),
        (Fits::All, of(bytes(&transfer()))),
        (Fits::Not, of(paying(4, &[4]))),
        (Fits::Not, of(paying(4, &[2, 2]))),
        (Fits::All, two(1, 2)),
        (Fits::Not, two(1, 3)),
    ]);
    check("max_fee = \"3 ETH\"", most);
    let mut least = missing();
    least.extend([
        (Fits::All, of(paying(4, &[3]))),
        (Fits::Not, of(paying(4, &[2]))),
        (Fits::Not, of(bytes(&transfer()))),
        (Fits::All, two(1, 2)),
    ]);
    check("min_fee = \"3 ETH\"", least);
}

#[test]
fn a_settlements_fee_counts_also_where_its_amount_is_none() {
    let message = with(common::withdrawal(), |_, wallet| {
        wallet.settlements = vec![PbSettlement { amount: 0, destination: "0xab".into(), fee_like: 4 }];
    });
    let text = with_rule("approve", "max_amount_per_action = \"10 ETH\"");
    assert_eq!(policy(&text).judge(&of(message).action()).verdict, Verdict::Hold);
}
