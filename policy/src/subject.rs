//! One message of an action as conditions look at it: what it says, put so that two hundred rules can ask quickly.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::asset::{Decoded, WalletAsset};
use crate::facts::{inside, outside};
use crate::judge::{Action, ActionKind};
use crate::lists::{ListId, Lists, fold};
use crate::money::Currencies;
use crate::schedule::Local;

/// What is the same for all messages of an action.
pub(crate) struct Around<'a> {
    pub(crate) claim: Option<&'a str>,
    pub(crate) expires: Option<u64>,
    pub(crate) now: Option<u64>,
    pub(crate) local: Option<Local>,
    /// Of all messages, by currency; `None`: one of them cannot be measured.
    totals: Option<BTreeMap<i64, Total>>,
}

/// What goes, and the fee-like numbers, in a currency's smallest unit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Total {
    pub(crate) amount: u128,
    pub(crate) fee: u128,
}

pub(crate) struct Subject<'a> {
    pub(crate) around: &'a Around<'a>,
    pub(crate) decoded: &'a Decoded,
    /// `None`: no wallet asset.
    pub(crate) wallet: Option<Wallet<'a>>,
    /// What the bytes themselves say it is, by the feed's name.
    pub(crate) by_the_bytes: Option<&'static str>,
}

pub(crate) struct Wallet<'a> {
    pub(crate) asset: &'a WalletAsset,
    /// Hex; empty where there is none.
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) participants: Vec<String>,
    pub(crate) moves: Vec<Moved<'a>>,
    /// The action's total in this message's currency.
    pub(crate) total: Option<Total>,
}

/// A transfer or settlement.
pub(crate) struct Moved<'a> {
    /// As facts have it.
    pub(crate) to: String,
    /// `None`: negative, which no wallet can mean.
    pub(crate) amount: Option<u64>,
    /// The fee-like number beside it; `None`: negative.
    pub(crate) fee: Option<u64>,
    /// The lists that the destination is in.
    pub(crate) lists: &'a [ListId],
    /// The lists that it may be in: where the currency is not in the table, whatever the case of its letters.
    pub(crate) may_be_in: &'a [ListId],
}

impl<'a> Around<'a> {
    pub(crate) fn new(action: &Action<'a>, decoded: &[Decoded], zone: &TimeZone) -> Around<'a> {
        Around {
            claim: action.claimed_type,
            expires: action.expires,
            now: action.now,
            local: action.now.and_then(|now| Local::at(now, zone)),
            totals: totals(decoded),
        }
    }
}

fn totals(decoded: &[Decoded]) -> Option<BTreeMap<i64, Total>> {
    let mut totals: BTreeMap<i64, Total> = BTreeMap::new();
    for one in decoded {
        let Decoded::Wallet(wallet) = one else { return None };
        let Total { amount, fee } = total(wallet)?;
        let sum = totals.entry(wallet.currency).or_default();
        sum.amount = sum.amount.checked_add(amount)?;
        sum.fee = sum.fee.checked_add(fee)?;
    }
    Some(totals)
}

/// `None`: something in it is negative.
pub(crate) fn total(wallet: &WalletAsset) -> Option<Total> {
    let mut total = Total::default();
    let settlements = wallet.settlements.iter().map(|s| (s.amount, s.fee));
    for (amount, fee) in settlements.chain(wallet.transfers.iter().map(|t| (t.amount, 0))) {
        total.amount = total.amount.checked_add(u128::try_from(amount).ok()?)?;
        total.fee = total.fee.checked_add(u128::try_from(fee).ok()?)?;
    }
    Some(total)
}

impl<'a> Subject<'a> {
    pub(crate) fn new(
        around: &'a Around<'a>,
        decoded: &'a Decoded,
        lists: &'a Lists,
        currencies: &Currencies,
    ) -> Subject<'a> {
        let wallet = match decoded {
            Decoded::Wallet(asset) => Some(Wallet::new(around, asset, lists, currencies)),
            _ => None,
        };
        let by_the_bytes = wallet.as_ref().and_then(|wallet| wallet.asset.action_kind()).map(ActionKind::feed_type);
        Subject { around, decoded, wallet, by_the_bytes }
    }

    pub(crate) fn is_opaque(&self) -> bool {
        matches!(self.decoded, Decoded::Opaque)
    }

    /// Whether the bytes have something of this kind in them: an asset that moves inside and outside at once has both.
    pub(crate) fn has(&self, kind: ActionKind) -> bool {
        self.wallet.as_ref().is_some_and(|wallet| match kind {
            ActionKind::Withdraw => wallet.asset.leaves(),
            ActionKind::Transfer => !wallet.asset.transfers.is_empty(),
        })
    }
}

impl<'a> Wallet<'a> {
    fn new(around: &Around<'_>, asset: &'a WalletAsset, lists: &'a Lists, currencies: &Currencies) -> Wallet<'a> {
        let any_case = currencies.any_case(asset.currency);
        let known = currencies.coded(asset.currency).is_some();
        // `said` is an address as it stands there: what makes a verdict stricter looks at that.
        let moved = |to: String, said: Option<&str>, amount: i64, fee: i64| {
            let may_be_in = lists.of(said.unwrap_or(&to), any_case || !known);
            let (amount, fee) = (u64::try_from(amount).ok(), u64::try_from(fee).ok());
            Moved { lists: lists.of(&to, any_case), may_be_in, amount, fee, to }
        };
        let outside = asset
            .settlements
            .iter()
            .map(|s| moved(outside(&s.destination).into_owned(), Some(&s.destination), s.amount, s.fee));
        let within = asset.transfers.iter().map(|t| moved(inside(&t.to), None, t.amount, 0));
        Wallet {
            asset,
            id: hex::encode(&asset.id),
            owner: hex::encode(&asset.owner),
            participants: asset.participants.iter().map(hex::encode).collect(),
            moves: outside.chain(within).collect(),
            total: around.totals.as_ref().and_then(|totals| totals.get(&asset.currency).copied()),
        }
    }

    /// As windows compare them.
    pub(crate) fn canonical(to: &str, any_case: bool) -> String {
        if any_case { fold(to).into_owned() } else { to.to_owned() }
    }
}
