//! What an approval demands of the windows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::conditions::{moving, with};
use common::{bytes, policy, transfer, wallet};
use policy::wire::{PbWalletTransfer, transfer_type};
use policy::{Approved, Demand, History, Judgement, Movement, Used, Verdict, Which};
use std::collections::BTreeSet;

const TABLES: &str = r#"
[currencies]
ETH = { code = 4, decimals = 0, addresses = "any-case" }
BTC = { code = 1, decimals = 0 }
"#;
const RULES: &str = r#"
[[rule]]
name = "all"
verdict = "approve"
unlimited = true
allow_opaque = true
[[rule]]
name = "held"
verdict = "hold"
currencies = ["BTC"]
"#;

fn judged(window: &str, messages: Vec<Vec<u8>>) -> Judgement {
    let case = common::conditions::Case { messages, ..common::conditions::Case::default() };
    let window = format!("[[window]]\nname = \"w\"\nperiod = \"1h\"\n{window}\n");
    policy(&format!("{TABLES}{window}{RULES}")).judge(&case.action())
}

fn demands(window: &str, messages: Vec<Vec<u8>>) -> Vec<(Which, Option<u128>)> {
    judged(window, messages).demands.into_iter().map(|demand| (demand.which, demand.amount)).collect()
}

/// From the wallet of 32 ones: this much, inside.
fn amounts(code: i64, amounts: &[i64]) -> Vec<u8> {
    with(wallet(transfer_type::TRANSFER_PUSH, amounts, &[]), |_, wallet| wallet.currency = code)
}

fn from_wallet(id: &[u8]) -> Vec<u8> {
    with(transfer(), |asset, _| asset.id = id.into())
}

fn all() -> Which {
    Which::default()
}

fn currency(code: i64) -> Which {
    Which { currency: Some(code), ..all() }
}

fn of_wallet(id: &str) -> Which {
    Which { wallet: Some(id.into()), ..all() }
}

fn to(destination: &str) -> Which {
    Which { destination: Some(destination.into()), ..all() }
}

#[test]
fn a_demand_says_what_the_window_says() {
    let judgement = judged("max_amount = \"9 ETH\"\nmax_count = 3", vec![amounts(4, &[5])]);
    let demand = Demand {
        window: "w".into(),
        period: 3600,
        which: currency(4),
        amount: Some(5),
        max_amount: Some(9),
        max_count: Some(3),
    };
    assert_eq!(judgement.demands, [demand]);
}

#[test]
fn all_that_an_action_lets_go_is_summed() {
    let messages = || vec![amounts(4, &[5, 6]), amounts(4, &[7])];
    assert_eq!(demands("max_amount = \"1 ETH\"", messages()), [(currency(4), Some(18))]);
    let most = vec![amounts(4, &[i64::MAX]), amounts(4, &[i64::MAX, i64::MAX])];
    assert_eq!(demands("max_amount = \"1 ETH\"", most), [(currency(4), Some(3 * u128::from(i64::MAX as u64)))]);
    let counted = demands("max_count = 5", messages());
    assert_eq!(counted.iter().map(|(which, _)| which).collect::<Vec<_>>(), [&all()]);
    assert_eq!(demands("max_count = 5", vec![]), []);
}

#[test]
fn a_window_counts_apart_what_it_says() {
    let messages = || vec![amounts(4, &[5]), amounts(1, &[6]), amounts(4, &[7])];
    assert_eq!(
        demands("max_count = 1\nper = \"currency\"", messages()),
        [(currency(1), Some(6)), (currency(4), Some(12))]
    );
    let wallets = vec![from_wallet(&[1]), from_wallet(&[2]), from_wallet(&[1])];
    assert_eq!(
        demands("max_count = 1\nper = \"wallet\"", wallets),
        [(of_wallet("01"), Some(10)), (of_wallet("02"), Some(5))]
    );
    let places = || vec![moving(4, &[&[7], &[8]], &[]), moving(4, &[], &["0xAB", "0xab", "0xC"])];
    assert_eq!(
        demands("max_count = 1\nper = \"destination\"", places()),
        [(to("0xab"), Some(10)), (to("0xc"), Some(5)), (to("wallet:07"), Some(5)), (to("wallet:08"), Some(5))]
    );
    // Bitcoin's letters have a case.
    let exact = demands("max_count = 1\nper = \"destination\"", vec![moving(1, &[], &["0xAB", "0xab"])]);
    assert_eq!(exact, [(to("0xAB"), Some(5)), (to("0xab"), Some(5))]);
    let amount = demands("max_amount = \"1 ETH\"\nper = \"destination\"", places());
    assert_eq!(amount.len(), 4);
    assert!(amount.iter().all(|(which, _)| which.currency == Some(4)));
}

#[test]
fn a_window_is_about_what_its_filters_name() {
    let two = || vec![amounts(4, &[5]), amounts(1, &[6])];
    assert_eq!(demands("max_amount = \"1 BTC\"", two()), [(currency(1), Some(6))]);
    assert_eq!(demands("max_amount = \"1 BTC\"\ncurrencies = [\"BTC\"]", two()), [(currency(1), Some(6))]);
    assert_eq!(demands("max_count = 1\ncurrencies = [\"ETH\"]", two()), [(currency(4), Some(5))]);
    assert_eq!(demands("max_count = 1\ncurrencies = [\"ETH\"]", vec![amounts(1, &[6])]), []);
    let wallets = || vec![from_wallet(&[1]), from_wallet(&[2]), from_wallet(&[3])];
    assert_eq!(demands("max_count = 1\nwallets = [\"02\"]", wallets()), [(of_wallet("02"), Some(5))]);
    assert_eq!(
        demands("max_count = 1\nper = \"wallet\"\nwallets = [\"02\", \"03\"]", wallets()),
        [(of_wallet("02"), Some(5)), (of_wallet("03"), Some(5))]
    );
    let rule = |name: &str| Which { rules: Some(BTreeSet::from([name.to_owned()])), ..all() };
    assert_eq!(demands("max_count = 1\nrules = [\"all\"]", two()), [(rule("all"), Some(5))]);
    assert_eq!(demands("max_count = 1\nrules = [\"held\"]", two()), [(rule("held"), Some(6))]);
    assert_eq!(demands("max_count = 1\nrules = [\"held\"]", vec![amounts(4, &[5])]), []);
    // What no rule decides no window of a rule is about.
    assert_eq!(demands("max_count = 1\nrules = [\"all\"]", vec![vec![0x08, 0x05]]), []);
}

#[test]
fn what_a_window_cannot_measure_fits_no_limit() {
    let opaque = || vec![b"opaque".to_vec()];
    let negative = || vec![amounts(4, &[-1])];
    let nowhere = || vec![moving(4, &[], &[""])];
    let without_wallet = || vec![from_wallet(&[])];
    for (window, messages) in [
        ("max_amount = \"1 ETH\"", opaque()),
        ("max_amount = \"1 ETH\"", vec![vec![0x08, 0x05]]),
        ("max_amount = \"1 ETH\"", negative()),
        ("max_amount = \"1 ETH\"", vec![amounts(0, &[5])]),
        ("max_amount = \"1 ETH\"", vec![amounts(4, &[5]), b"opaque".to_vec()]),
        ("max_amount = \"1 ETH\"", vec![b"opaque".to_vec(), amounts(4, &[5])]),
        ("max_count = 1\ncurrencies = [\"ETH\"]", opaque()),
        ("max_count = 1\ncurrencies = [\"ETH\"]", vec![amounts(0, &[5])]),
        ("max_count = 1\nper = \"currency\"", opaque()),
        ("max_count = 1\nper = \"currency\"", vec![amounts(0, &[5])]),
        ("max_count = 1\nper = \"wallet\"", opaque()),
        ("max_count = 1\nper = \"wallet\"", without_wallet()),
        ("max_count = 1\nwallets = [\"02\"]", opaque()),
        ("max_count = 1\nwallets = [\"02\"]", without_wallet()),
        ("max_count = 1\nper = \"destination\"", opaque()),
        ("max_count = 1\nper = \"destination\"", nowhere()),
        ("max_count = 1\nper = \"destination\"", vec![moving(4, &[&[]], &[])]),
        ("max_amount = \"1 ETH\"\nper = \"destination\"", negative()),
    ] {
        let judgement = judged(window, messages);
        assert!(judgement.demands.iter().any(|demand| demand.amount.is_none()), "{window}: {judgement:?}");
        let unfit = judgement.demands.iter().filter(|demand| demand.amount.is_none());
        for demand in unfit {
            let limitless = Demand { max_amount: None, max_count: None, ..demand.clone() };
            assert_eq!(limitless.fits(Used::default()), Err("window \"w\" cannot measure it".into()), "{window}");
        }
    }
}

#[test]
fn a_count_alone_measures_what_nobody_can_read() {
    for messages in [vec![b"opaque".to_vec()], vec![vec![0x08, 0x05]], vec![amounts(0, &[5])], vec![amounts(4, &[])]] {
        let demands = judged("max_count = 1", messages).demands;
        assert_eq!(demands.len(), 1);
        assert_eq!(demands[0].fits(Used::default()), Ok(()));
        assert!(demands[0].fits(Used { amount: 0, count: 1 }).is_err());
    }
}

#[test]
fn what_goes_nowhere_takes_no_destinations_room_and_an_amount_of_nothing() {
    assert_eq!(demands("max_count = 1\nper = \"destination\"", vec![amounts(4, &[])]), []);
    assert_eq!(demands("max_amount = \"1 ETH\"", vec![amounts(4, &[])]), [(currency(4), Some(0))]);
}

#[test]
fn a_demand_fits_up_to_its_limit_and_not_beyond() {
    let demand = |amount, max_amount, max_count| Demand {
        window: "w".into(),
        period: 1,
        which: all(),
        amount,
        max_amount,
        max_count,
    };
    let used = |amount, count| Used { amount, count };
    let by_amount = demand(Some(3), Some(10), None);
    assert_eq!(by_amount.fits(used(7, u64::MAX)), Ok(()));
    assert_eq!(by_amount.fits(used(8, 0)), Err("window \"w\": 8 of 10 are used, 3 more do not fit".into()));
    assert!(by_amount.fits(used(u128::MAX, 0)).is_err());
    assert!(demand(Some(u128::MAX), Some(u128::MAX), None).fits(used(1, 0)).is_err(), "a sum that cannot be counted");
    assert_eq!(demand(Some(u128::MAX), Some(u128::MAX), None).fits(used(0, 0)), Ok(()));
    assert_eq!(demand(Some(0), Some(0), None).fits(used(0, 0)), Ok(()));
    let by_count = demand(Some(3), None, Some(2));
    assert_eq!(by_count.fits(used(u128::MAX, 1)), Ok(()));
    assert_eq!(by_count.fits(used(0, 2)), Err("window \"w\": all its 2 approvals are used".into()));
    assert!(by_count.fits(used(0, 3)).is_err());
    assert!(demand(Some(0), None, Some(0)).fits(used(0, 0)).is_err(), "none is allowed");
    let both = demand(Some(3), Some(10), Some(2));
    assert!(both.fits(used(7, 1)).is_ok() && both.fits(used(8, 1)).is_err() && both.fits(used(7, 2)).is_err());
}

#[test]
fn what_goes_is_said_with_the_rule_that_lets_it() {
    let movement = |currency, wallet: &str, destination: &str, amount, rule: Option<&str>| Movement {
        currency,
        wallet: wallet.into(),
        destination: destination.into(),
        amount,
        rule: rule.map(str::to_owned),
    };
    let ones = "01".repeat(32);
    let messages = vec![moving(4, &[], &["0xAB"]), moving(1, &[&[7]], &[]), b"opaque".to_vec(), vec![0x08, 0x05]];
    assert_eq!(
        judged("max_count = 1", messages).movements,
        [
            movement(4, &ones, "0xab", 5, Some("all")),
            movement(1, &ones, "wallet:07", 5, Some("held")),
            movement(0, "", "", 0, Some("held")),
            movement(0, "", "", 0, Some("held")),
        ]
    );
    let odd = judged("max_count = 1", vec![moving(4, &[&[]], &[]), amounts(4, &[]), amounts(4, &[-1])]).movements;
    assert_eq!(odd[0], movement(4, &ones, "", 5, Some("all")));
    assert_eq!(odd[1], movement(4, &ones, "", 0, Some("all")));
    assert_eq!((odd[2].amount, &odd[2].rule), (0, &None));
    assert_eq!(odd.len(), 3);
}

#[test]
fn an_action_of_very_many_moves_is_approved_by_no_rule_and_measured_by_no_window() {
    let to = |many: u32| {
        with(transfer(), |_, wallet| {
            let one = |n: u32| PbWalletTransfer { to: n.to_be_bytes().into(), amount: 0, asset_id: vec![] };
            wallet.transfers = (0..many).map(one).collect();
        })
    };
    let window = "[[window]]\nname = \"w\"\nperiod = \"1h\"\nmax_count = 1\nper = \"destination\"\n";
    let open = "[[rule]]\nname = \"all\"\nverdict = \"approve\"\nunlimited = true\n";
    let policy = policy(&format!("{TABLES}{window}{open}"));
    for (messages, verdict, movements) in [
        (vec![to(1024)], Verdict::Approve, 1024),
        (vec![to(1023), to(1)], Verdict::Approve, 1024),
        (vec![to(1025)], Verdict::Hold, 1),
        (vec![to(1024), to(1)], Verdict::Hold, 1),
        (vec![to(300_000)], Verdict::Hold, 1),
    ] {
        let judgement = policy.judge(&common::action(None, &messages));
        assert_eq!((judgement.verdict, judgement.movements.len()), (verdict, movements), "{}", judgement.why);
        let fits = judgement.demands.iter().all(|demand| demand.fits(Used::default()).is_ok());
        assert_eq!(fits, verdict == Verdict::Approve, "{:?}", judgement.demands.first());
    }
}

#[test]
fn a_window_of_one_wallet_names_it_in_what_it_counts() {
    let demand =
        judged("max_amount = \"1 ETH\"\nwallets = [\"01\"]\nper = \"wallet\"", vec![bytes(&transfer())]).demands;
    assert_eq!(demand, [], "another wallet");
    let demand = demands("max_amount = \"1 ETH\"\nwallets = [\"01\"]", vec![from_wallet(&[1])]);
    assert_eq!(demand, [(Which { currency: Some(4), wallet: Some("01".into()), ..all() }, Some(5))]);
}

#[test]
fn a_history_says_whether_an_approval_still_fits() {
    let judgement = judged("max_amount = \"9 ETH\"", vec![amounts(4, &[5])]);
    let mut history = History::default();
    assert_eq!(history.fits(&judgement, 1_000), Ok(()));
    history.push(Approved { at: 1_000, movements: judgement.movements.clone() });
    assert_eq!(history.fits(&judgement, 1_001), Err("window \"w\": 5 of 9 are used, 5 more do not fit".into()));
    assert_eq!(history.fits(&judgement, 4_600), Ok(()), "a whole period later");
}
