//! Policies of the whole language, out of a small pool of words, so that they often have to do with the messages; and messages.

use policy::wire::{BytesEntry, Payload, PbAsset, PbSettlement, PbTransfer, PbWallet, PbWalletTransfer, TransferEntry};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{NOON, bytes, iddoc, sample, transfer, wallet, withdrawal};

/// What all policies have; in the order in which the lists' entries stand.
pub const LISTS: [(&str, &[&str]); 3] = [
    ("inside", &["wallet:07", "wallet:0808"]),
    ("outside", &["0xAb", "0xcd", "wallet:07"]),
    ("sanctioned", &["0xDEAD", "0xcd"]),
];

/// Key, and the values that may stand there; `"` is added. All that is no limit on what goes.
const CONDITIONS: [(&str, &[&str]); 18] = [
    ("action_types", &["ApproveTransfer", "ApproveWithdraw"]),
    ("kinds", &["wallet", "opaque"]),
    ("transfer_types", &["transfer-push", "settle-push", "swap"]),
    ("currencies", &["ETH", "BTC"]),
    ("wallets", &["01", "02"]),
    ("owners", &["02", "03"]),
    ("destinations", &["inside", "outside", "sanctioned"]),
    ("destinations_not", &["inside", "outside", "sanctioned"]),
    ("min_amount_per_transfer", &["2 ETH", "1 BTC"]),
    ("min_amount_per_action", &["5 ETH", "1 BTC"]),
    ("max_fee", &["2 ETH", "2 BTC"]),
    ("min_fee", &["1 ETH", "0 BTC"]),
    ("participants", &["03", "04"]),
    ("expressions", &["t1 > 0", "t2 > 0"]),
    ("days", &["mon", "wed"]),
    ("hours", &["11:00-13:00", "22:00-06:00"]),
    ("on_holidays", &["today", "another"]),
    ("not_on_holidays", &["another", "today"]),
];
const TIMES: [(&str, &[&str]); 2] = [("min_time_to_expiry", &["1m", "2h"]), ("max_time_to_expiry", &["1h", "2d"])];
const LIMITS: [(&str, &[&str]); 2] =
    [("max_amount_per_transfer", &["4 ETH", "3 BTC"]), ("max_amount_per_action", &["9 ETH", "6 BTC"])];
const OTHER_FIELDS: [&str; 3] = ["tags", "index", "creditor"];

/// A condition as it will stand in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub key: &'static str,
    pub values: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub struct RuleText {
    pub name: usize,
    pub verdict: &'static str,
    pub conditions: Vec<Said>,
    /// Of an approve.
    pub unlimited: bool,
    pub opaque: bool,
    pub release: Option<&'static str>,
}

impl RuleText {
    pub fn says(&self, key: &str) -> Option<&[&'static str]> {
        self.conditions.iter().find(|said| said.key == key).map(|said| &said.values[..])
    }

    fn text(&self) -> String {
        let mut text = format!("[[rule]]\nname = \"r{}\"\nverdict = \"{}\"\n", self.name, self.verdict);
        for Said { key, values } in &self.conditions {
            text += &match values[..] {
                [one] if TIMES.iter().any(|(time, _)| time == key) => format!("{key} = {one:?}\n"),
                _ => format!("{key} = {values:?}\n"),
            };
        }
        match self.verdict {
            "approve" => text += &format!("unlimited = {}\nallow_opaque = {}\n", self.unlimited, self.opaque),
            "hold" => text += &self.release.map(|release| format!("release = {release}\n")).unwrap_or_default(),
            _ => {}
        }
        text
    }
}

fn said(pool: Vec<(&'static str, &'static [&'static str])>, most: usize) -> impl Strategy<Value = Vec<Said>> {
    let most = most.min(pool.len());
    subsequence(pool, 0..=most).prop_flat_map(|keys| {
        keys.into_iter()
            .map(|(key, values)| {
                let most = if key.ends_with("_expiry") { 1 } else { values.len() };
                subsequence(values.to_vec(), 1..=most).prop_map(move |values| Said { key, values })
            })
            .collect::<Vec<_>>()
    })
}

/// One more condition, of those that no rule without it would miss as a bound.
pub fn narrowing() -> impl Strategy<Value = Said> {
    let bounding = ["max_fee", "participants", "expressions", "transfer_types"];
    let pool: Vec<_> = CONDITIONS.into_iter().chain(TIMES).filter(|(key, _)| !bounding.contains(key)).collect();
    select(pool).prop_flat_map(|(key, values)| {
        let most = if key.ends_with("_expiry") { 1 } else { values.len() };
        subsequence(values.to_vec(), 1..=most).prop_map(move |values| Said { key, values })
    })
}

/// With at most so many conditions besides its limits.
pub fn rule(most: usize) -> impl Strategy<Value = RuleText> {
    let limits = said(LIMITS.into(), 2);
    let conditions = said(CONDITIONS.into_iter().chain(TIMES).collect(), most);
    let others = subsequence(OTHER_FIELDS.to_vec(), 0..=2);
    let verdict = select(vec!["approve", "approve", "hold", "deny"]);
    let release =
        select(vec![None, Some("\"client\""), Some("\"token\""), Some("{ approvers = 1, of = [\"ann\", \"bob\"] }")]);
    (verdict, limits, conditions, others, any::<bool>(), release).prop_map(
        |(verdict, limits, mut conditions, others, opaque, release)| {
            let unlimited = limits.is_empty();
            conditions.extend(limits);
            if verdict == "approve" && !unlimited && !others.is_empty() {
                conditions.push(Said { key: "other_fields", values: others });
            }
            RuleText { name: 0, verdict, conditions, unlimited, opaque, release }
        },
    )
}

/// Rules with names of their own.
pub fn rules(most: usize, conditions: usize) -> impl Strategy<Value = Vec<RuleText>> {
    prop::collection::vec(rule(conditions), 0..=most).prop_map(|mut rules| {
        rules.iter_mut().enumerate().for_each(|(name, rule)| rule.name = name);
        rules
    })
}

pub fn windows() -> impl Strategy<Value = Vec<&'static str>> {
    let all = vec![
        "name = \"w1\"\nperiod = \"1h\"\nmax_amount = \"9 ETH\"\n",
        "name = \"w2\"\nperiod = \"1d\"\nmax_count = 3\nper = \"destination\"\n",
        "name = \"w3\"\nperiod = \"1d\"\nmax_count = 3\nper = \"currency\"\n",
        "name = \"w4\"\nperiod = \"1d\"\nmax_amount = \"9 BTC\"\nmax_count = 9\nper = \"wallet\"\nwallets = [\"01\", \"02\"]\n",
    ];
    subsequence(all, 0..=4)
}

/// The text: `turn` says where each array begins.
pub fn text(rules: &[RuleText], windows: &[&str], turn: usize) -> String {
    let turned = |values: &[&'static str]| {
        let mut values = values.to_vec();
        let by = turn % values.len();
        values.rotate_left(by);
        values
    };
    let mut text = String::from(
        "release = \"token\"\n[currencies]\nETH = { code = 4, decimals = 0, addresses = \"any-case\" }\nBTC = { code = 1, decimals = 0 }\n",
    );
    text += "[holidays]\ntoday = [\"2026-12-02\"]\nanother = [\"2026-12-01\"]\n[lists]\n";
    LISTS.iter().for_each(|(name, entries)| text += &format!("{name} = {:?}\n", turned(entries)));
    windows.iter().for_each(|window| text += &format!("[[window]]\n{window}"));
    for rule in rules {
        let mut rule = rule.clone();
        rule.conditions.iter_mut().for_each(|said| said.values = turned(&said.values));
        text += &rule.text();
    }
    text
}

pub fn claim() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(select(vec!["ApproveTransfer", "ApproveWithdraw", "ApproveSwap"]))
}

/// Wallet assets that have to do with the policies' words.
pub fn asset() -> impl Strategy<Value = PbAsset> {
    let amount = || prop_oneof![20 => 0i64..8, 1 => Just(-1i64), 1 => Just(i64::MAX)];
    let to = select(vec![&[7u8][..], &[8, 8], &[9], &[]]);
    let transfer = (to, amount()).prop_map(|(to, amount)| PbWalletTransfer { to: to.into(), amount, asset_id: vec![] });
    let destination = select(vec!["0xAb", "0xab", "0xCD", "0xcd", "0xdead", "0xother", ""]);
    let fee = prop_oneof![5 => Just(0i64), 5 => 0i64..4, 1 => Just(-1i64)];
    let settlement = (destination, amount(), fee).prop_map(|(destination, amount, fee_like)| PbSettlement {
        amount,
        destination: destination.into(),
        fee_like,
    });
    let ids = || select(vec![vec![], vec![1u8], vec![2], vec![3]]);
    let entry = (select(vec!["", "t1 > 0", "t2 > 0"]), prop::collection::vec(ids(), 0..3));
    let transferlist = prop::collection::vec(entry, 0..2).prop_map(|entries| {
        let participant = |(n, id): (usize, Vec<u8>)| BytesEntry { key: Some(n.to_string()), value: Some(id) };
        let value = |(expression, ids): (&str, Vec<Vec<u8>>)| PbTransfer {
            expression: expression.into(),
            participants: ids.into_iter().enumerate().map(participant).collect(),
            ..PbTransfer::default()
        };
        let entry = |(n, said)| TransferEntry { key: Some(format!("k{n}")), value: Some(value(said)) };
        entries.into_iter().enumerate().map(entry).collect::<Vec<_>>()
    });
    let moves = prop_oneof![
        4 => (Just(4i64), prop::collection::vec(transfer.clone(), 1..3), Just(vec![])),
        4 => (Just(2i64), Just(vec![]), prop::collection::vec(settlement.clone(), 1..3)),
        1 => (0i64..9, prop::collection::vec(transfer, 0..3), prop::collection::vec(settlement, 0..2)),
    ];
    let odd = select(vec![0u8, 0, 0, 0, 0, 1, 2, 3]);
    (moves, select(vec![4i64, 4, 4, 1, 1, 0, 99]), ids(), ids(), prop::option::weighted(0.3, transferlist), odd)
        .prop_map(|((transfer_type, transfers, settlements), currency, id, owner, transferlist, odd)| PbAsset {
            kind: 5,
            id,
            owner,
            transfer_type,
            transferlist: transferlist.unwrap_or_default(),
            index: i64::from(odd == 1),
            tags: if odd == 2 { vec![BytesEntry::default()] } else { vec![] },
            payload: Some(Payload::Wallet(PbWallet {
                currency,
                transfers,
                settlements,
                creditor: if odd == 3 { vec![1] } else { vec![] },
                ..PbWallet::default()
            })),
            ..PbAsset::default()
        })
}

/// Those, other good ones, good ones with some bytes changed, and noise.
pub fn message() -> impl Strategy<Value = Vec<u8>> {
    let good = vec![
        bytes(&transfer()),
        bytes(&withdrawal()),
        bytes(&iddoc()),
        bytes(&wallet(6, &[1], &[])),
        bytes(&wallet(4, &[1], &[1])),
        sample("withdraw_message").0,
        sample("iddoc").0,
        b"opaque".to_vec(),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    let changed = (select(good.clone()), changes).prop_map(|(mut message, changes)| {
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        message
    });
    prop_oneof![
        6 => asset().prop_map(|asset| bytes(&asset)),
        1 => select(good),
        1 => changed,
        1 => prop::collection::vec(any::<u8>(), 0..80)
    ]
}

/// Noon, seldom no clock; an hour before the end, a day before it, or nobody knows.
pub fn case() -> impl Strategy<Value = super::conditions::Case> {
    let expires = select(vec![Some(NOON + 3600), Some(NOON + 3600), Some(NOON + 86_400), None]);
    let now = select([vec![Some(NOON); 9], vec![None]].concat());
    (claim(), prop::collection::vec(message(), 0..3), expires, now)
        .prop_map(|(claim, messages, expires, now)| super::conditions::Case { claim, messages, expires, now })
}
