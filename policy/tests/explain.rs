//! The words of an explanation: the first condition that is not met, and what the message says instead.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::conditions::{Case, clock, moving, of, paying, with};
use common::{bytes, policy, transfer, wallet, withdrawal};
use policy::wire::{BytesEntry, PbTransfer, TransferEntry, transfer_type};
use policy::{Facts, Move, decode};

const TABLES: &str = r#"
[currencies]
ETH = { code = 4, decimals = 1, addresses = "any-case" }
BTC = { code = 1, decimals = 8 }
[lists]
out = ["0xAb", "wallet:0707"]
bad = ["0xdead"]
[holidays]
today = ["2026-12-02"]
another = ["2026-12-01"]
"#;

/// Why an approve rule with this condition is not met, and a deny rule if that is not met either.
fn words(condition: &str, case: &Case) -> (String, Option<String>) {
    let failed = |rest: &str| {
        let text = format!("{TABLES}[[rule]]\nname = \"it\"\n{condition}\n{rest}");
        policy(&text).explain(&case.action()).rules[0].failed[0].clone()
    };
    let limit = if condition.starts_with("max_amount") { "" } else { "unlimited = true\n" };
    let approve = format!("verdict = \"approve\"\nallow_opaque = true\n{limit}");
    (failed(&approve).expect("it is not met"), failed("verdict = \"deny\"\n"))
}

fn said(condition: &str, case: &Case, expected: &str) {
    assert_eq!(words(condition, case), (expected.to_owned(), Some(expected.to_owned())), "{condition}");
}

/// Not approved, and denied.
fn missing(condition: &str, case: &Case) {
    let key = condition.split(' ').next().unwrap();
    assert_eq!(words(condition, case), (format!("{key}: it does not say"), None), "{condition}");
}

#[test]
fn what_it_is_is_said() {
    let one = || of(bytes(&transfer()));
    let ones = "0101…0101".replace('…', "");
    said("kinds = [\"opaque\"]", &one(), "kinds: it is wallet");
    said("transfer_types = [\"swap\"]", &one(), "transfer_types: it is transfer-push");
    said("currencies = [\"BTC\"]", &one(), "currencies: it is of ETH");
    let odd = of(with(transfer(), |_, wallet| wallet.currency = 99));
    said("currencies = [\"BTC\"]", &odd, "currencies: it is of currency 99");
    let named = |id: &[u8]| of(with(transfer(), |asset, _| (asset.id, asset.owner) = (id.into(), id.into())));
    said("wallets = [\"02\"]", &named(&[1, 1, 1, 1]), &format!("wallets: it is {}", &ones[..8]));
    said("owners = [\"02\"]", &named(&[3]), "owners: it is 03");
    for condition in
        ["transfer_types = [\"swap\"]", "currencies = [\"BTC\"]", "wallets = [\"02\"]", "owners = [\"02\"]"]
    {
        missing(condition, &of(b"opaque".to_vec()));
    }
    missing("wallets = [\"02\"]", &named(&[]));
    missing("owners = [\"02\"]", &named(&[]));
    missing("transfer_types = [\"swap\"]", &of(bytes(&wallet(0, &[5], &[]))));
    missing("currencies = [\"BTC\"]", &of(with(transfer(), |_, wallet| wallet.currency = 0)));
}

#[test]
fn what_the_feed_says_and_the_bytes_say_is_said() {
    let claimed = |claim, message: Vec<u8>| Case { claim, ..of(message) };
    let condition = "action_types = [\"ApproveTransfer\"]";
    let both = claimed(Some("ApproveWithdraw"), bytes(&withdrawal()));
    said(condition, &both, "action_types: the feed calls it \"ApproveWithdraw\", the bytes say ApproveWithdraw");
    said(
        condition,
        &claimed(None, bytes(&withdrawal())),
        "action_types: the feed has not named it, the bytes say ApproveWithdraw",
    );
    let swap = || bytes(&wallet(transfer_type::SWAP, &[], &[]));
    let neither = &claimed(None, swap());
    let in_doubt = "action_types: it does not say, which is not to be relied on".to_owned();
    assert_eq!(words(condition, neither), ("action_types: it does not say".to_owned(), Some(in_doubt)));
    let (approve, deny) = words(condition, &claimed(Some("ApproveSwap"), swap()));
    let feed = "action_types: the feed calls it \"ApproveSwap\", the bytes do not say";
    assert_eq!((approve, deny), (feed.into(), Some(format!("{feed}, which is not to be relied on"))));
}

#[test]
fn where_it_goes_is_said() {
    let inside = |to: &[&[u8]]| of(moving(4, to, &[]));
    said("destinations = [\"out\"]", &of(moving(4, &[], &["0xCD"])), "destinations: not in them is 0xCD");
    said("destinations = [\"out\"]", &inside(&[&[9]]), "destinations: not in them is wallet:09");
    let (approve, deny) = words("destinations = [\"out\"]", &inside(&[&[7, 7], &[9]]));
    assert_eq!((approve.as_str(), deny), ("destinations: not in them is wallet:09", None));
    missing("destinations = [\"out\"]", &inside(&[]));
    missing("destinations = [\"out\"]", &of(moving(4, &[], &[""])));
    said(
        "destinations_not = [\"bad\", \"out\"]",
        &of(moving(4, &[], &["0xAB"])),
        "destinations_not: 0xAB is in \"out\"",
    );
    said("destinations_not = [\"bad\"]", &of(moving(4, &[], &["0xDEAD"])), "destinations_not: 0xDEAD is in \"bad\"");
    let (approve, deny) = words("destinations_not = [\"bad\"]", &of(moving(4, &[], &["0xok", "0xdead"])));
    assert_eq!((approve.as_str(), deny), ("destinations_not: 0xdead is in \"bad\"", None));
    missing("destinations_not = [\"bad\"]", &inside(&[]));
}

#[test]
fn how_much_it_is_is_said() {
    let one = |amounts: &[i64]| of(bytes(&wallet(transfer_type::TRANSFER_PUSH, amounts, &[])));
    let of_btc = || of(with(transfer(), |_, wallet| wallet.currency = 1));
    let of_odd = || of(with(transfer(), |_, wallet| wallet.currency = 99));
    for key in ["max_amount_per_transfer", "max_amount_per_action", "min_amount_per_transfer", "min_amount_per_action"]
    {
        let (limit, amount, than) = if key.starts_with("max") { ("0.4", 5, "more") } else { ("0.6", 5, "less") };
        let condition = format!("{key} = \"{limit} ETH\"");
        said(&condition, &one(&[amount]), &format!("{key}: 0.5 ETH is {than} than {limit} ETH"));
        said(&condition, &of_btc(), &format!("{key}: it is of BTC, which is not named"));
        said(&condition, &of_odd(), &format!("{key}: it is of currency 99, which is not named"));
        missing(&condition, &one(&[]));
        missing(&condition, &one(&[-1]));
        missing(&condition, &of(b"opaque".to_vec()));
        missing(&condition, &of(with(transfer(), |_, wallet| wallet.currency = 0)));
    }
    said("max_amount_per_action = \"1 ETH\"", &one(&[7, 8]), "max_amount_per_action: 1.5 ETH is more than 1 ETH");
    let (approve, deny) = words("max_amount_per_transfer = \"0.7 ETH\"", &one(&[7, 8]));
    assert_eq!((approve.as_str(), deny), ("max_amount_per_transfer: 0.8 ETH is more than 0.7 ETH", None));
    said("max_fee = \"0.2 ETH\"", &of(paying(4, &[1, 2])), "max_fee: 0.3 ETH is more than 0.2 ETH");
    said("min_fee = \"0.4 ETH\"", &of(paying(4, &[1, 2])), "min_fee: 0.3 ETH is less than 0.4 ETH");
    said("max_fee = \"0.2 ETH\"", &of(paying(1, &[1])), "max_fee: it is of BTC, which is not named");
    missing("max_fee = \"0.2 ETH\"", &of(paying(4, &[-1])));
}

#[test]
fn who_and_on_what_condition_is_said() {
    let listing = |ids: &[&[u8]], expression: &str| {
        let entry = |(n, id): (usize, &&[u8])| BytesEntry { key: Some(n.to_string()), value: Some(id.to_vec()) };
        let participants = ids.iter().enumerate().map(entry).collect();
        let value = Some(PbTransfer { participants, expression: expression.into(), ..PbTransfer::default() });
        let mut asset = transfer();
        asset.transferlist = vec![TransferEntry { key: Some("x".into()), value }];
        of(bytes(&asset))
    };
    said("participants = [\"03\"]", &listing(&[&[4]], "t"), "participants: not among them is 04");
    let (approve, deny) = words("participants = [\"03\"]", &listing(&[&[3], &[4]], "t"));
    assert_eq!((approve.as_str(), deny), ("participants: not among them is 04", None));
    missing("participants = [\"03\"]", &listing(&[&[]], "t"));
    said("expressions = [\"t\"]", &listing(&[], "u\n"), "expressions: \"u\\u{a}\" is not among them");
    // Where there are none, nothing speaks against an approve, and nothing for a deny.
    for (condition, key) in [("participants = [\"03\"]", "participants"), ("expressions = [\"t\"]", "expressions")] {
        let text = format!("{TABLES}[[rule]]\nname = \"it\"\nverdict = \"deny\"\n{condition}\n");
        let explained = policy(&text).explain(&of(bytes(&transfer())).action());
        assert_eq!(explained.rules[0].failed, [Some(format!("{key}: there are none"))]);
    }
}

#[test]
fn when_it_is_is_said() {
    let noon = || clock(Some(common::NOON));
    said("days = [\"mon\"]", &noon(), "days: it is wed 12:00");
    said("hours = \"13:00-14:00\"", &noon(), "hours: it is wed 12:00");
    said("on_holidays = [\"another\"]", &noon(), "on_holidays: 2026-12-02 is none");
    said("not_on_holidays = [\"today\"]", &noon(), "not_on_holidays: 2026-12-02 is one");
    said("min_time_to_expiry = \"2h\"", &noon(), "min_time_to_expiry: 3600 s are left");
    said("max_time_to_expiry = \"30m\"", &noon(), "max_time_to_expiry: 3600 s are left");
    for condition in
        ["days = [\"mon\"]", "hours = \"13:00-14:00\"", "on_holidays = [\"another\"]", "min_time_to_expiry = \"2h\""]
    {
        let key = condition.split(' ').next().unwrap();
        let (approve, deny) = words(condition, &clock(None));
        assert_eq!(approve, format!("{key}: it does not say"));
        assert_eq!(deny, Some(format!("{key}: it does not say, which is not to be relied on")));
    }
    missing("min_time_to_expiry = \"2h\"", &Case { expires: None, ..noon() });
}

#[test]
fn the_first_condition_that_fails_is_the_one_that_is_named() {
    let text = format!(
        "{TABLES}[[rule]]\nname = \"it\"\nverdict = \"approve\"\nmax_amount_per_action = \"0.1 ETH\"\ncurrencies = [\"ETH\"]\nwallets = [\"02\"]\nhours = \"13:00-14:00\"\n"
    );
    let explained = policy(&text).explain(&of(with(transfer(), |asset, _| asset.id = vec![3])).action());
    assert_eq!(explained.rules[0].failed, [Some("wallets: it is 03".into())]);
    // A doubt is named where nothing else speaks against it.
    let doubt = |more: &str| {
        let text = format!("{TABLES}[[rule]]\nname = \"it\"\nverdict = \"deny\"\ndays = [\"mon\"]\n{more}");
        policy(&text).explain(&clock(None).action()).rules[0].failed[0].clone().unwrap()
    };
    assert!(doubt("").starts_with("days: it does not say"));
    assert!(doubt("hours = \"13:00-14:00\"\n").starts_with("days: it does not say"));
    assert_eq!(doubt("kinds = [\"opaque\"]\n"), "kinds: it is wallet");
    let closed = policy("[[rule]]\nname = \"it\"\nverdict = \"approve\"\nunlimited = true\n");
    let of_rule = |message: Vec<u8>| closed.explain(&of(message).action()).rules[0].failed[0].clone().unwrap();
    assert_eq!(of_rule(b"opaque".to_vec()), "it is opaque, and allow_opaque is not set");
    assert_eq!(of_rule(vec![0x08, 0x05]), "it is malformed, which no rule approves");
}

#[test]
fn facts_are_what_the_bytes_say() {
    let message = with(wallet(transfer_type::SWAP, &[3], &[4, 5]), |asset, wallet| {
        asset.owner = vec![2];
        (asset.description, wallet.description) = ("a".into(), "b".into());
        asset.index = 1;
        wallet.transfers[0].to = vec![7];
    });
    let explained = common::generous().explain(&of(message.clone()).action());
    let facts = &explained.messages[0];
    assert_eq!(*facts, Facts::of(&decode(&message), &message));
    let said = facts.wallet.as_ref().unwrap();
    let moved = |to: &str, amount: &str| Move { to: to.into(), amount: amount.into() };
    assert_eq!(said.moves, [moved("0xab", "4"), moved("0xab", "5"), moved("wallet:07", "3")]);
    assert_eq!((said.total.as_deref(), said.fee.as_deref()), (Some("12"), Some("2")));
    assert_eq!((facts.kind, said.transfer_type, said.currency, said.owner.as_str()), ("wallet", "swap", 4, "02"));
    assert_eq!((said.description.as_str(), said.wallet_description.as_str()), ("a", "b"));
    assert_eq!((said.wallet.len(), &said.other_fields[..]), (64, &["index"][..]));
    let negative = with(transfer(), |_, wallet| wallet.transfers[0].amount = -1);
    let facts = Facts::of(&decode(&negative), &negative);
    let wallet = facts.wallet.unwrap();
    assert_eq!((wallet.total, wallet.fee), (None, None));
    assert_eq!(Facts::of(&decode(b"opaque"), b"opaque").wallet, None);
    assert_eq!(Facts::of(&decode(b""), b"").digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
