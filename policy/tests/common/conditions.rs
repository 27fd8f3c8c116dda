//! Actions that show one fact each.

use super::{bytes, policy, transfer};
use policy::wire::{Payload, PbAsset, PbSettlement, PbWallet, PbWalletTransfer, transfer_type};
use policy::{Action, Verdict};

/// What a condition is of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fits {
    /// All of it, and all is known.
    All,
    Not,
    /// Some of it, or some of what it could be: enough for a hold or a deny, not for an approve.
    Part,
    Missing,
    /// There is nothing that could fail to fit: enough for an approve, not for a hold or a deny.
    NothingThere,
    /// Neither approved nor denied nor held by the rule.
    Doubtful,
}

#[derive(Debug)]
pub struct Case {
    pub claim: Option<&'static str>,
    pub messages: Vec<Vec<u8>>,
    pub expires: Option<u64>,
    pub now: Option<u64>,
}

impl Default for Case {
    fn default() -> Case {
        Case { claim: None, messages: Vec::new(), expires: Some(super::NOON + 3600), now: Some(super::NOON) }
    }
}

impl Case {
    pub fn action(&self) -> Action<'_> {
        Action { claimed_type: self.claim, messages: &self.messages, expires: self.expires, now: self.now }
    }
}

/// One message at noon.
pub fn of(message: Vec<u8>) -> Case {
    Case { messages: vec![message], ..Case::default() }
}

pub fn clock(now: Option<u64>) -> Case {
    Case { now, ..of(super::bytes(&super::transfer())) }
}

pub fn with(mut asset: PbAsset, change: impl Fn(&mut PbAsset, &mut PbWallet)) -> Vec<u8> {
    let Some(Payload::Wallet(mut wallet)) = asset.payload.take() else { panic!("no wallet") };
    change(&mut asset, &mut wallet);
    asset.payload = Some(Payload::Wallet(wallet));
    super::bytes(&asset)
}

/// Five units to each, without fees.
pub fn moving(currency: i64, inside: &[&[u8]], outside: &[&str]) -> Vec<u8> {
    let kind = if outside.is_empty() { transfer_type::TRANSFER_PUSH } else { transfer_type::SETTLE_PUSH };
    with(super::wallet(kind, &[], &[]), |_, wallet| {
        wallet.currency = currency;
        let to = |to: &&[u8]| PbWalletTransfer { to: to.to_vec(), amount: 5, asset_id: vec![] };
        wallet.transfers = inside.iter().map(to).collect();
        let settlement = |to: &&str| PbSettlement { amount: 5, destination: (*to).into(), fee_like: 0 };
        wallet.settlements = outside.iter().map(settlement).collect();
    })
}

/// Settlements with these fees.
pub fn paying(currency: i64, fees: &[i64]) -> Vec<u8> {
    with(super::wallet(transfer_type::SETTLE_PUSH, &[], &[]), |_, wallet| {
        wallet.currency = currency;
        let settlement = |fee: &i64| PbSettlement { amount: 5, destination: "0xab".into(), fee_like: *fee };
        wallet.settlements = fees.iter().map(settlement).collect();
    })
}

pub const TABLES: &str = r#"
[currencies]
ETH = { code = 4, decimals = 0, addresses = "any-case" }
BTC = { code = 1, decimals = 8 }
[lists]
out = ["0xAb", "wallet:0707"]
[holidays]
today = ["2026-12-02", "2027-01-01"]
another = ["2026-12-01"]
"#;

/// A rule with this condition alone, beside one that approves whatever it can.
pub fn with_rule(verdict: &str, condition: &str) -> String {
    let open = match (verdict, condition.starts_with("max_amount")) {
        ("approve", true) => "allow_opaque = true\n",
        ("approve", false) => "allow_opaque = true\nunlimited = true\n",
        _ => "[[rule]]\nname = \"z\"\nverdict = \"approve\"\nallow_opaque = true\nunlimited = true\n",
    };
    format!("{TABLES}[[rule]]\nname = \"it\"\nverdict = \"{verdict}\"\n{condition}\n{open}")
}

/// Judges the case by the condition as each verdict's, and holds it against what must come; the explanation too.
pub fn check(condition: &str, cases: Vec<(Fits, Case)>) {
    for (place, (fits, case)) in cases.into_iter().enumerate() {
        let at = format!("{condition}, case {place}, {fits:?}");
        let key = condition.split(' ').next().unwrap();
        for (word, verdict) in [("approve", Verdict::Approve), ("hold", Verdict::Hold), ("deny", Verdict::Deny)] {
            let text = with_rule(word, condition);
            let explained = policy(&text).explain(&case.action());
            let judgement = &explained.judgement;
            let met = match verdict {
                Verdict::Approve => matches!(fits, Fits::All | Fits::NothingThere),
                _ => matches!(fits, Fits::All | Fits::Part | Fits::Missing),
            };
            let decided = judgement.rule.as_deref() == Some("it");
            assert_eq!(decided, met, "{at} as {word}: {} {:?}", judgement.why, judgement.facts);
            if decided {
                assert_eq!(judgement.verdict, verdict, "{at}");
            }
            if fits == Fits::Doubtful {
                assert_eq!((judgement.verdict, &judgement.rule), (Verdict::Hold, &None), "{at} as {word}");
            }
            let it = explained.rules.iter().find(|rule| rule.name == "it").unwrap();
            assert_eq!(it.failed.iter().any(Option::is_none), met, "{at} as {word}: {:?}", it.failed);
            if let Some(Some(words)) = it.failed.iter().find(|failed| failed.is_some()).filter(|_| !met) {
                let by_kind = words.contains("which no rule approves");
                assert!(words.starts_with(&format!("{key}: ")) || by_kind, "{at} as {word}: {words}");
            }
        }
    }
}

/// What says nothing that a wallet asset says.
pub fn no_wallet() -> Vec<(Fits, Case)> {
    let mut group = transfer();
    (group.kind, group.payload) = (1, Some(Payload::Group(vec![])));
    [b"opaque".to_vec(), vec![0x08, 0x05], bytes(&group)].map(|message| (Fits::Missing, of(message))).into()
}

pub fn and_no_wallet(mut cases: Vec<(Fits, Case)>) -> Vec<(Fits, Case)> {
    cases.extend(no_wallet());
    cases
}
