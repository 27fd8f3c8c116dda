//! Each condition, and what it makes of a fact that fits, does not fit, or is not there: an approve wants all of it, of every
//! transfer; a hold or a deny takes any of it, and what is missing. Amounts and fees are in `amounts`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::conditions::{Case, Fits, and_no_wallet, check, clock, moving, of, with, with_rule};
use common::{bytes, iddoc, policy, transfer, wallet};
use policy::wire::{BytesEntry, PbTransfer, TransferEntry, transfer_type};
use policy::{Action, Verdict};

#[test]
fn kinds() {
    let opaque = || of(b"opaque".to_vec());
    check("kinds = [\"wallet\"]", vec![(Fits::All, of(bytes(&transfer()))), (Fits::Not, opaque())]);
    check("kinds = [\"opaque\"]", vec![(Fits::All, opaque()), (Fits::Not, of(bytes(&transfer())))]);
    for (kind, message) in [("malformed", vec![0x08, 0x05]), ("iddoc", bytes(&iddoc()))] {
        for word in ["hold", "deny"] {
            let text = with_rule(word, &format!("kinds = [{kind:?}]"));
            let explained = policy(&text).explain(&of(message.clone()).action());
            assert_eq!(explained.rules[0].failed, [None], "{kind}");
        }
    }
}

#[test]
fn transfer_types() {
    let typed = |kind| of(bytes(&wallet(kind, &[5], &[])));
    check(
        "transfer_types = [\"transfer-push\", \"load\"]",
        and_no_wallet(vec![
            (Fits::All, typed(transfer_type::TRANSFER_PUSH)),
            (Fits::All, typed(transfer_type::LOAD)),
            (Fits::Not, typed(transfer_type::SWAP)),
            (Fits::Not, typed(transfer_type::NONE)),
            (Fits::Missing, typed(0)),
        ]),
    );
}

#[test]
fn currencies() {
    let of_currency = |code| of(with(transfer(), |_, wallet| wallet.currency = code));
    check(
        "currencies = [\"ETH\"]",
        and_no_wallet(vec![
            (Fits::All, of_currency(4)),
            (Fits::Not, of_currency(1)),
            (Fits::Not, of_currency(99)),
            (Fits::Missing, of_currency(0)),
        ]),
    );
}

#[test]
fn wallets_and_owners() {
    let named = |id: &[u8]| of(with(transfer(), |asset, _| asset.id = id.into()));
    let owned = |id: &[u8]| of(with(transfer(), |asset, _| asset.owner = id.into()));
    let cases = |named: &dyn Fn(&[u8]) -> Case| {
        and_no_wallet(vec![
            (Fits::All, named(&[0x0a, 0xff])),
            (Fits::All, named(&[3])),
            (Fits::Not, named(&[0x0a])),
            (Fits::Missing, named(&[])),
        ])
    };
    check("wallets = [\"0aff\", \"03\"]", cases(&named));
    check("owners = [\"0aff\", \"03\"]", cases(&owned));
}

#[test]
fn destinations() {
    let inside = |to: &[&[u8]]| of(moving(4, to, &[]));
    let outside = |code, to: &[&str]| of(moving(code, &[], to));
    let cases = || {
        vec![
            (Fits::All, inside(&[&[7, 7]])),
            (Fits::All, inside(&[&[7, 7], &[7, 7]])),
            (Fits::Not, inside(&[&[7]])),
            (Fits::Part, inside(&[&[7, 7], &[7]])),
            (Fits::Missing, inside(&[])),
            (Fits::Missing, inside(&[&[]])),
            (Fits::Missing, outside(4, &[""])),
            (Fits::Part, inside(&[&[7, 7], &[]])),
            (Fits::Part, inside(&[&[7], &[]])),
            // The case of letters counts where the currency says so.
            (Fits::All, outside(4, &["0xAb"])),
            (Fits::All, outside(4, &["0XaB"])),
            (Fits::All, outside(1, &["0xAb"])),
            (Fits::Not, outside(1, &["0xab"])),
            (Fits::Not, outside(4, &["0xAb "])),
            (Fits::All, outside(99, &["0xAb"])),
            // Of a currency that is not in the table nobody knows: what makes a verdict stricter may be meant.
            (Fits::Part, outside(99, &["0xab"])),
            (Fits::Part, outside(0, &["0xab"])),
            (Fits::Not, outside(99, &["0xac"])),
        ]
    };
    check("destinations = [\"out\"]", and_no_wallet(cases()));
    let turned = cases().into_iter().map(|(fits, case)| match fits {
        Fits::All => (Fits::Not, case),
        Fits::Not => (Fits::All, case),
        other => (other, case),
    });
    check("destinations_not = [\"out\"]", and_no_wallet(turned.collect()));
}

#[test]
fn participants_and_expressions() {
    let listing = |ids: &[&[u8]], expression: &str| {
        let mut asset = transfer();
        let entry =
            |(place, id): (usize, &&[u8])| BytesEntry { key: Some(place.to_string()), value: Some(id.to_vec()) };
        let participants = ids.iter().enumerate().map(entry).collect();
        let value = Some(PbTransfer { participants, expression: expression.into(), ..PbTransfer::default() });
        asset.transferlist = vec![TransferEntry { key: Some("x".into()), value }];
        of(bytes(&asset))
    };
    let none = || (Fits::NothingThere, of(bytes(&transfer())));
    check(
        "participants = [\"03\", \"0aff\"]",
        and_no_wallet(vec![
            none(),
            (Fits::All, listing(&[&[3]], "t")),
            (Fits::All, listing(&[&[3], &[0x0a, 0xff]], "t")),
            (Fits::Not, listing(&[&[4]], "t")),
            (Fits::Part, listing(&[&[3], &[4]], "t")),
            (Fits::Missing, listing(&[&[]], "t")),
            (Fits::NothingThere, listing(&[], "t")),
        ]),
    );
    check(
        "expressions = [\"t1 > 0\", \"t\"]",
        and_no_wallet(vec![
            none(),
            (Fits::All, listing(&[], "t1 > 0")),
            (Fits::Not, listing(&[], "t1>0")),
            (Fits::Missing, listing(&[], "")),
        ]),
    );
    let mut two = transfer();
    let entry = |key: &str, expression: &str| TransferEntry {
        key: Some(key.into()),
        value: Some(PbTransfer { expression: expression.into(), ..PbTransfer::default() }),
    };
    two.transferlist = vec![entry("a", "t"), entry("b", "u")];
    check("expressions = [\"t\"]", vec![(Fits::Part, of(bytes(&two)))]);
}

/// Noon of a Wednesday, 2 December 2026, UTC.
#[test]
fn days_hours_and_holidays() {
    let unknown = || (Fits::Doubtful, clock(None));
    let too_far = || (Fits::Missing, clock(Some(u64::MAX)));
    let noon = || clock(Some(common::NOON));
    for (met, not) in [
        ("days = [\"wed\", \"sun\"]", "days = [\"mon\", \"tue\", \"thu\", \"fri\", \"sat\", \"sun\"]"),
        ("hours = [\"01:00-02:00\", \"12:00-12:01\"]", "hours = \"12:01-12:00\""),
        ("on_holidays = [\"today\", \"another\"]", "on_holidays = [\"another\"]"),
        ("not_on_holidays = [\"another\"]", "not_on_holidays = [\"today\", \"another\"]"),
    ] {
        check(met, vec![(Fits::All, noon()), unknown(), too_far()]);
        check(not, vec![(Fits::Not, noon()), unknown(), too_far()]);
    }
    // In Auckland it is one o'clock in the morning of Thursday.
    for (condition, decided) in
        [("days = [\"thu\"]", true), ("days = [\"wed\"]", false), ("hours = \"01:00-02:00\"", true)]
    {
        let text = format!("timezone = \"Pacific/Auckland\"\n{}", with_rule("deny", condition));
        let judgement = policy(&text).judge(&noon().action());
        assert_eq!(judgement.rule.as_deref() == Some("it"), decided, "{condition}");
    }
}

#[test]
fn time_to_expiry() {
    let left = |expires: Option<u64>, now: Option<u64>| Case { expires, now, ..of(bytes(&transfer())) };
    let (now, unknown) = (Some(1_000_000), None);
    check(
        "min_time_to_expiry = \"1h\"",
        vec![
            (Fits::All, left(Some(1_003_600), now)),
            (Fits::Not, left(Some(1_003_599), now)),
            (Fits::Not, left(Some(0), now)),
            (Fits::Missing, left(None, now)),
            (Fits::Missing, left(None, unknown)),
            (Fits::Doubtful, left(Some(1_003_600), unknown)),
        ],
    );
    check(
        "max_time_to_expiry = \"1h\"",
        vec![
            (Fits::All, left(Some(1_003_600), now)),
            (Fits::Not, left(Some(1_003_601), now)),
            (Fits::All, left(Some(0), now)),
            (Fits::Not, left(Some(u64::MAX), now)),
            (Fits::Missing, left(None, now)),
            (Fits::Doubtful, left(Some(1_003_600), unknown)),
        ],
    );
}

#[test]
fn action_types() {
    let claimed = |claim, message: Vec<u8>| Case { claim, ..of(message) };
    let (transfers, withdrawals) = (Some("ApproveTransfer"), Some("ApproveWithdraw"));
    let swap = || bytes(&wallet(transfer_type::SWAP, &[], &[]));
    check(
        "action_types = [\"ApproveTransfer\"]",
        vec![
            (Fits::All, claimed(transfers, bytes(&transfer()))),
            (Fits::Part, claimed(None, bytes(&transfer()))),
            (Fits::Part, claimed(withdrawals, bytes(&transfer()))),
            (Fits::Not, claimed(withdrawals, bytes(&common::withdrawal()))),
            (Fits::Not, claimed(None, bytes(&common::withdrawal()))),
            (Fits::Doubtful, claimed(None, swap())),
            (Fits::Part, claimed(transfers, swap())),
            // The bytes do not say, the claim says no, or nothing yet: neither denied nor approved.
            (Fits::Doubtful, claimed(withdrawals, swap())),
            (Fits::Doubtful, claimed(withdrawals, b"opaque".to_vec())),
            (Fits::Doubtful, claimed(None, b"opaque".to_vec())),
            (Fits::Part, claimed(transfers, vec![0x08, 0x05])),
            // Of what is opaque there is nothing but the claim.
            (Fits::All, claimed(transfers, b"opaque".to_vec())),
        ],
    );
    let both = || bytes(&wallet(transfer_type::SWAP, &[5], &[5]));
    check("action_types = [\"ApproveWithdraw\"]", vec![(Fits::Part, claimed(Some("ApproveSwap"), both()))]);
}

#[test]
fn a_clock_that_is_not_trusted_holds_all_that_is_not_denied() {
    let messages = [bytes(&transfer())];
    let action = Action { now: None, ..common::action(None, &messages) };
    let judgement = common::generous().judge(&action);
    assert_eq!((judgement.verdict, judgement.rule), (Verdict::Hold, None));
    assert!(judgement.why.contains("clock jumped"), "{}", judgement.why);
    let deny = policy("[[rule]]\nname = \"d\"\nverdict = \"deny\"\n").judge(&action);
    assert_eq!((deny.verdict, deny.rule.as_deref()), (Verdict::Deny, Some("d")));
    let hold = policy("[[rule]]\nname = \"h\"\nverdict = \"hold\"\n").judge(&action);
    assert_eq!((hold.verdict, hold.rule.as_deref()), (Verdict::Hold, Some("h")));
}

#[test]
fn every_condition_of_a_rule_has_to_be_met() {
    let rule = |verdict: &str| {
        let money = "[currencies]\nETH = { code = 4, decimals = 0 }\n";
        let limit = "max_amount_per_action = \"10 ETH\"\nwallets = [\"01\"]\n";
        format!("{money}[[rule]]\nname = \"it\"\nverdict = \"{verdict}\"\n{limit}")
    };
    for (id, amount, met) in [(vec![1], 10, true), (vec![1], 11, false), (vec![2], 10, false), (vec![2], 11, false)] {
        let message = with(wallet(transfer_type::TRANSFER_PUSH, &[amount], &[]), |asset, _| asset.id = id.clone());
        for (word, verdict) in [("approve", Verdict::Approve), ("deny", Verdict::Deny)] {
            let judged = policy(&rule(word)).judge(&of(message.clone()).action()).verdict;
            assert_eq!(judged == verdict, met, "{id:?} {amount} {word}");
        }
    }
}
