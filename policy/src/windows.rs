//! What an approval takes of the velocity windows. Who counts is the ledger: a window is a question to its record of what
//! was approved, so that neither a restart nor a renamed window forgets anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::subject::{Moved, Subject, Wallet};

/// One transfer or settlement that an approval lets go; for an action that moves nothing that can be read, one with nothing in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// As on the wire; 0 where there is none.
    pub currency: i64,
    /// The asset's ID, lower-case hex; empty where there is none.
    pub wallet: String,
    /// As lists have it (`wallet:HEX` for one inside), folded where the currency's addresses have no case; empty where there is none.
    pub destination: String,
    /// In the currency's smallest unit; of a settlement with its fee.
    pub amount: u64,
    /// The rule that approves it, or holds it; `None`: no rule.
    pub rule: Option<String>,
}

/// Of which movements a window speaks: all that are given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Which {
    pub currency: Option<i64>,
    pub wallet: Option<String>,
    pub destination: Option<String>,
    /// Approved by, or held by and then released, one of these rules.
    pub rules: Option<BTreeSet<String>>,
}

/// What an approval needs of one window: that what was approved within the period, and this, stay within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The window's name.
    pub window: String,
    /// Seconds, rolling.
    pub period: u64,
    pub which: Which,
    /// Of this action; `None`: what the window measures cannot be read, and so fits no limit.
    pub amount: Option<u128>,
    pub max_amount: Option<u128>,
    /// Approved actions, this one among them.
    pub max_count: Option<u64>,
}

/// What was approved within a window's period: the sum, and how many actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    pub amount: u128,
    pub count: u64,
}

impl Demand {
    /// Whether it fits; else why not, safe to print.
    pub fn fits(&self, used: Used) -> Result<(), String> {
        let window = &self.window;
        let Some(amount) = self.amount else {
            return Err(format!("window \"{window}\" cannot measure it"));
        };
        if let Some(most) = self.max_amount
            && used.amount.checked_add(amount).is_none_or(|sum| sum > most)
        {
            return Err(format!("window \"{window}\": {} of {most} are used, {amount} more do not fit", used.amount));
        }
        match self.max_count {
            Some(most) if used.count >= most => Err(format!("window \"{window}\": all its {most} approvals are used")),
            _ => Ok(()),
        }
    }
}

/// What a window's limits are kept for each of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Per {
    All,
    Currency,
    Wallet,
    Destination,
}

/// A `[[window]]`: a limit on everything that it is about, by whomever it is approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Seconds.
    pub(crate) period: u64,
    pub(crate) per: Per,
    pub(crate) max_amount: Option<u128>,
    pub(crate) max_count: Option<u64>,
    /// The one that it is about; with `max_amount` always. `None`: all.
    pub(crate) currency: Option<i64>,
    /// Empty: all.
    pub(crate) wallets: BTreeSet<String>,
    /// Empty: all, and what no rule decided.
    pub(crate) rules: BTreeSet<String>,
}

/// A movement, and what is known of it.
pub(crate) struct Going {
    pub(crate) movement: Movement,
    /// It was read in a wallet asset, amount and all.
    pub(crate) known: bool,
    /// It goes somewhere.
    pub(crate) moves: bool,
}

impl Window {
    /// What it demands of all that an action lets go: one demand for each of what it counts apart.
    pub(crate) fn demands(&self, going: &[Going]) -> Vec<Demand> {
        // A message can have as many destinations as its length allows: each is looked up, not looked for.
        let mut sums: BTreeMap<Which, Option<u128>> = BTreeMap::new();
        for one in going {
            let Some((which, measured)) = self.about(one) else { continue };
            let amount = measured.then_some(u128::from(one.movement.amount));
            let sum = sums.entry(which).or_insert(Some(0));
            *sum = sum.zip(amount).and_then(|(a, b)| a.checked_add(b));
        }
        let demand = |(which, amount)| Demand {
            window: self.name.clone(),
            period: self.period,
            which,
            amount,
            max_amount: self.max_amount,
            max_count: self.max_count,
        };
        sums.into_iter().map(demand).collect()
    }

    /// What it counts this movement with, and whether that can be read; `None`: it is not about it.
    fn about(&self, Going { movement, known, moves }: &Going) -> Option<(Which, bool)> {
        if !self.rules.is_empty() && !movement.rule.as_ref().is_some_and(|rule| self.rules.contains(rule)) {
            return None;
        }
        let has_currency = *known && movement.currency != 0;
        let has_wallet = *known && !movement.wallet.is_empty();
        if self.currency.is_some_and(|code| has_currency && movement.currency != code)
            || !self.wallets.is_empty() && has_wallet && !self.wallets.contains(&movement.wallet)
            || self.per == Per::Destination && *known && !moves
        {
            return None;
        }
        let by_wallet = self.per == Per::Wallet || !self.wallets.is_empty();
        let mut measured = self.max_amount.is_none() || *known;
        measured &= has_currency || (self.currency.is_none() && self.per != Per::Currency);
        measured &= has_wallet || !by_wallet;
        measured &= self.per != Per::Destination || *known && !movement.destination.is_empty();
        let which = Which {
            currency: if self.per == Per::Currency { Some(movement.currency) } else { self.currency },
            wallet: by_wallet.then(|| movement.wallet.clone()),
            destination: (self.per == Per::Destination).then(|| movement.destination.clone()),
            rules: (!self.rules.is_empty()).then(|| self.rules.clone()),
        };
        Some((which, measured))
    }
}

/// Something of which nothing can be read.
pub(crate) fn unmeasured(rule: Option<&str>) -> Going {
    let (wallet, destination) = Default::default();
    let movement = Movement { currency: 0, wallet, destination, amount: 0, rule: rule.map(str::to_owned) };
    Going { movement, known: false, moves: false }
}

/// What an action's message lets go, with the rule that decides on it.
pub(crate) fn going(subject: &Subject<'_>, any_case: bool, rule: Option<&str>) -> Vec<Going> {
    let empty = unmeasured(rule);
    let Some(wallet) = &subject.wallet else { return vec![empty] };
    let Going { movement: empty, .. } = empty;
    let of_wallet = Movement { currency: wallet.asset.currency, wallet: wallet.id.clone(), ..empty };
    if wallet.moves.is_empty() {
        return vec![Going { movement: of_wallet, known: true, moves: false }];
    }
    let one = |moved: &Moved<'_>| {
        // A fee goes too: many small withdrawals would drain a wallet by theirs.
        let gone = moved.amount.zip(moved.fee).and_then(|(amount, fee)| amount.checked_add(fee));
        Going {
            movement: Movement {
                destination: if moved.to == "wallet:" { String::new() } else { Wallet::canonical(&moved.to, any_case) },
                amount: gone.unwrap_or_default(),
                ..of_wallet.clone()
            },
            known: gone.is_some(),
            moves: true,
        }
    };
    wallet.moves.iter().map(one).collect()
}
