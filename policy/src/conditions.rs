//! The conditions of a rule. An approve wants each of them to hold, of every transfer; a hold or a deny takes it if any
//! transfer fits, and a fact that is missing fits.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::judge::ActionKind;
use crate::lists::ListId;
use crate::money::{Currencies, Limits};
use crate::plain::{plain, short};
use crate::schedule::Hours;
use crate::subject::{Subject, Wallet};

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    ActionTypes(BTreeSet<String>),
    Kinds(BTreeSet<String>),
    TransferTypes(BTreeSet<i64>),
    Currencies(BTreeSet<i64>),
    Wallets(BTreeSet<String>),
    Owners(BTreeSet<String>),
    Destinations(BTreeSet<ListId>),
    DestinationsNot(BTreeSet<ListId>),
    Transfer(Bound, Limits),
    Action(Bound, Limits),
    Fee(Bound, Limits),
    Participants(BTreeSet<String>),
    Expressions(BTreeSet<String>),
    Days(BTreeSet<u8>),
    Hours(Vec<Hours>),
    OnHolidays(BTreeSet<Date>),
    NotOnHolidays(BTreeSet<Date>),
    /// Seconds.
    TimeToExpiry(Bound, u64),
}

/// Both ends are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Min,
    Max,
}

impl Bound {
    fn allows<T: Ord>(self, value: T, limit: T) -> bool {
        match self {
            Bound::Min => value >= limit,
            Bound::Max => value <= limit,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Bound::Min => "min",
            Bound::Max => "max",
        }
    }
}

/// What a condition is of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    Yes,
    No,
    /// The message does not have the fact. It never helps an approve; a hold or a deny takes it for met.
    Missing,
    /// Only the courier's word, or its silence, or a clock that is not to be trusted, says no: neither denied nor approved on that.
    Doubtful,
}

/// How a rule takes several transfers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// An approve: all must fit.
    Together,
    /// A hold or a deny: one is enough.
    Each,
}

impl Taken {
    /// `None` among them: a fact that is missing. Of no item at all, missing.
    fn of(self, items: impl Iterator<Item = Option<bool>>) -> Truth {
        let (mut yes, mut no, mut missing) = (false, false, false);
        for item in items {
            match item {
                Some(true) => yes = true,
                Some(false) => no = true,
                None => missing = true,
            }
        }
        match self {
            Taken::Together if no => Truth::No,
            Taken::Each if yes => Truth::Yes,
            _ if missing => Truth::Missing,
            _ if yes => Truth::Yes,
            _ if no => Truth::No,
            _ => Truth::Missing,
        }
    }

    /// The same of what may be empty, which is known then: nothing in it breaks an approve, nothing in it calls for a deny.
    fn of_any(self, mut items: impl Iterator<Item = Option<bool>>) -> Truth {
        match (items.next(), self) {
            (None, Taken::Together) => Truth::Yes,
            (None, Taken::Each) => Truth::No,
            (first, _) => self.of(first.into_iter().chain(items)),
        }
    }
}

fn known(fact: Option<bool>) -> Truth {
    match fact {
        Some(true) => Truth::Yes,
        Some(false) => Truth::No,
        None => Truth::Missing,
    }
}

/// Whether a value is among those that are named; an empty one is missing.
fn among(named: &BTreeSet<String>, value: &str) -> Option<bool> {
    (!value.is_empty()).then(|| named.contains(value))
}

impl Condition {
    pub(crate) fn truth(&self, subject: &Subject<'_>, taken: Taken) -> Truth {
        let wallet = subject.wallet.as_ref();
        let of_wallet = |fact: &dyn Fn(&Wallet<'_>) -> Truth| wallet.map_or(Truth::Missing, fact);
        let around = subject.around;
        let of_the_clock = |fact: Option<bool>| match (fact, taken) {
            (None, Taken::Each) if around.now.is_none() => Truth::Doubtful,
            (fact, _) => known(fact),
        };
        match self {
            Condition::ActionTypes(types) => action_types(types, subject, taken),
            Condition::Kinds(kinds) => known(Some(kinds.contains(subject.decoded.kind()))),
            Condition::TransferTypes(types) => of_wallet(&|wallet| {
                let is = wallet.asset.transfer_type;
                known((is != 0).then(|| types.contains(&is)))
            }),
            Condition::Currencies(codes) => {
                of_wallet(&|wallet| known(currency(wallet).map(|code| codes.contains(&code))))
            }
            Condition::Wallets(ids) => of_wallet(&|wallet| known(among(ids, &wallet.id))),
            Condition::Owners(ids) => of_wallet(&|wallet| known(among(ids, &wallet.owner))),
            Condition::Destinations(lists) => {
                of_wallet(&|wallet| taken.of(listed(wallet, lists, true, taken == Taken::Each)))
            }
            Condition::DestinationsNot(lists) => {
                of_wallet(&|wallet| taken.of(listed(wallet, lists, false, taken == Taken::Together)))
            }
            Condition::Transfer(bound, limits) => of_wallet(&|wallet| {
                let Some(code) = currency(wallet) else { return Truth::Missing };
                let Some(limit) = limits.get(&code) else { return Truth::No };
                taken.of(wallet.moves.iter().map(|one| one.amount.map(|is| bound.allows(u128::from(is), *limit))))
            }),
            Condition::Action(bound, limits) => of_wallet(&|wallet| {
                known(within(
                    wallet,
                    *bound,
                    limits,
                    wallet.total.filter(|_| !wallet.moves.is_empty()).map(|t| t.amount),
                ))
            }),
            Condition::Fee(bound, limits) => {
                of_wallet(&|wallet| known(within(wallet, *bound, limits, wallet.total.map(|t| t.fee))))
            }
            Condition::Participants(ids) => {
                of_wallet(&|wallet| taken.of_any(wallet.participants.iter().map(|id| among(ids, id))))
            }
            Condition::Expressions(texts) => {
                of_wallet(&|wallet| taken.of_any(wallet.asset.expressions.iter().map(|text| among(texts, text))))
            }
            Condition::Days(days) => of_the_clock(around.local.map(|local| days.contains(&local.day))),
            Condition::Hours(hours) => {
                of_the_clock(around.local.map(|local| hours.iter().any(|hours| hours.contain(local.minute))))
            }
            Condition::OnHolidays(dates) => of_the_clock(around.local.map(|local| dates.contains(&local.date))),
            Condition::NotOnHolidays(dates) => of_the_clock(around.local.map(|local| !dates.contains(&local.date))),
            Condition::TimeToExpiry(bound, limit) => match (around.expires, around.now) {
                (None, _) => Truth::Missing,
                (Some(_), None) => of_the_clock(None),
                (Some(expires), Some(now)) => known(Some(bound.allows(expires.saturating_sub(now), *limit))),
            },
        }
    }

    /// Why it is not met, safe to print. `lists` are the names by number.
    pub(crate) fn words(&self, subject: &Subject<'_>, currencies: &Currencies, lists: &[String]) -> String {
        let name = self.name();
        let said = self.said(subject, currencies, lists);
        said.map_or_else(|| format!("{name}: it does not say"), |said| format!("{name}: {said}"))
    }

    /// The key in the file.
    pub(crate) fn name(&self) -> String {
        match self {
            Condition::ActionTypes(_) => "action_types".into(),
            Condition::Kinds(_) => "kinds".into(),
            Condition::TransferTypes(_) => "transfer_types".into(),
            Condition::Currencies(_) => "currencies".into(),
            Condition::Wallets(_) => "wallets".into(),
            Condition::Owners(_) => "owners".into(),
            Condition::Destinations(_) => "destinations".into(),
            Condition::DestinationsNot(_) => "destinations_not".into(),
            Condition::Transfer(bound, _) => format!("{}_amount_per_transfer", bound.name()),
            Condition::Action(bound, _) => format!("{}_amount_per_action", bound.name()),
            Condition::Fee(bound, _) => format!("{}_fee", bound.name()),
            Condition::Participants(_) => "participants".into(),
            Condition::Expressions(_) => "expressions".into(),
            Condition::Days(_) => "days".into(),
            Condition::Hours(_) => "hours".into(),
            Condition::OnHolidays(_) => "on_holidays".into(),
            Condition::NotOnHolidays(_) => "not_on_holidays".into(),
            Condition::TimeToExpiry(bound, _) => format!("{}_time_to_expiry", bound.name()),
        }
    }

    /// What the subject says instead; `None`: nothing.
    fn said(&self, subject: &Subject<'_>, currencies: &Currencies, lists: &[String]) -> Option<String> {
        let around = subject.around;
        let wallet = subject.wallet.as_ref();
        match self {
            Condition::ActionTypes(_) => Some(match (around.claim, subject.by_the_bytes) {
                (Some(claim), Some(said)) => {
                    format!("the feed calls it \"{}\", the bytes say {said}", plain(claim, 40))
                }
                (Some(claim), None) => format!("the feed calls it \"{}\", the bytes do not say", plain(claim, 40)),
                (None, Some(said)) => format!("the feed has not named it, the bytes say {said}"),
                (None, None) => return None,
            }),
            Condition::Kinds(_) => Some(format!("it is {}", subject.decoded.kind())),
            Condition::TransferTypes(_) => {
                let asset = wallet?.asset;
                (asset.transfer_type != 0).then(|| format!("it is {}", asset.transfer_name()))
            }
            Condition::Currencies(_) => Some(format!("it is of {}", currencies.name(currency(wallet?)?))),
            Condition::Wallets(_) => text("it is", &wallet?.id),
            Condition::Owners(_) => text("it is", &wallet?.owner),
            Condition::Destinations(named) => {
                let out = wallet?.moves.iter().find(|one| !one.lists.iter().any(|list| named.contains(list)))?;
                text("not in them is", &out.to)
            }
            Condition::DestinationsNot(named) => {
                let (to, list) = wallet?
                    .moves
                    .iter()
                    .find_map(|one| Some((&one.to, one.may_be_in.iter().find(|list| named.contains(list))?)))?;
                Some(format!("{} is in \"{}\"", short(to), lists.get(*list)?))
            }
            Condition::Transfer(bound, limits) => {
                let (wallet, code) = (wallet?, currency(wallet?)?);
                let Some(limit) = limits.get(&code) else { return Some(not_named(currencies, code)) };
                let amounts = wallet.moves.iter().filter_map(|one| one.amount.map(u128::from));
                let out = amounts.into_iter().find(|amount| !bound.allows(*amount, *limit))?;
                Some(measured(currencies, code, *bound, out, *limit))
            }
            Condition::Action(bound, limits) => {
                let total = wallet?.total.filter(|_| wallet.is_some_and(|w| !w.moves.is_empty()));
                beyond(currencies, wallet?, *bound, limits, total.map(|t| t.amount))
            }
            Condition::Fee(bound, limits) => {
                beyond(currencies, wallet?, *bound, limits, wallet?.total.map(|total| total.fee))
            }
            Condition::Participants(ids) => {
                let wallet = wallet?;
                match wallet.participants.iter().find(|id| !ids.contains(*id)) {
                    Some(id) => text("not among them is", id),
                    None => Some("there are none".into()),
                }
            }
            Condition::Expressions(texts) => match wallet?.asset.expressions.iter().find(|e| !texts.contains(*e)) {
                Some(other) => Some(format!("\"{}\" is not among them", plain(other, 60))),
                None => Some("there are none".into()),
            },
            Condition::Days(_) | Condition::Hours(_) => Some(format!("it is {}", around.local?.show())),
            Condition::OnHolidays(_) => Some(format!("{} is none", around.local?.date)),
            Condition::NotOnHolidays(_) => Some(format!("{} is one", around.local?.date)),
            Condition::TimeToExpiry(..) => Some(format!("{} s are left", around.expires?.saturating_sub(around.now?))),
        }
    }
}

/// An approve wants the claim, and, where the message is no opaque one, the bytes to agree. A hold or a deny takes the claim
/// or anything that is in the bytes. Where the bytes say nothing, a claim alone frees nobody, and that there is none yet denies
/// nobody: a claim that comes later can only make a verdict stricter.
fn action_types(types: &BTreeSet<String>, subject: &Subject<'_>, taken: Taken) -> Truth {
    let claim = subject.around.claim.map(|claim| types.contains(claim));
    let bytes = subject.by_the_bytes.map(|said| types.contains(said));
    match taken {
        Taken::Together if subject.is_opaque() => known(claim),
        Taken::Together => match (claim, bytes) {
            (Some(true), Some(true)) => Truth::Yes,
            (Some(false), _) | (_, Some(false)) => Truth::No,
            _ => Truth::Missing,
        },
        Taken::Each => {
            let kinds = [ActionKind::Transfer, ActionKind::Withdraw];
            let inside = kinds.into_iter().any(|kind| subject.has(kind) && types.contains(kind.feed_type()));
            match (claim, bytes) {
                (Some(true), _) | (_, Some(true)) => Truth::Yes,
                _ if inside => Truth::Yes,
                (_, Some(false)) => Truth::No,
                (Some(false) | None, None) => Truth::Doubtful,
            }
        }
    }
}

fn currency(wallet: &Wallet<'_>) -> Option<i64> {
    Some(wallet.asset.currency).filter(|code| *code != 0)
}

/// Of each move whether it is in one of the lists, or in none of them; `cautious`: to be in one makes a verdict stricter.
fn listed<'w>(
    wallet: &'w Wallet<'_>,
    lists: &'w BTreeSet<ListId>,
    wanted: bool,
    cautious: bool,
) -> impl Iterator<Item = Option<bool>> + 'w {
    wallet.moves.iter().map(move |one| {
        let named = !one.to.is_empty() && one.to != "wallet:";
        let is_in = if cautious { one.may_be_in } else { one.lists };
        named.then(|| is_in.iter().any(|list| lists.contains(list)) == wanted)
    })
}

/// A currency for which no limit is named is beyond all limits.
fn within(wallet: &Wallet<'_>, bound: Bound, limits: &Limits, value: Option<u128>) -> Option<bool> {
    match limits.get(&currency(wallet)?) {
        Some(limit) => Some(bound.allows(value?, *limit)),
        None => Some(false),
    }
}

fn beyond(
    currencies: &Currencies,
    wallet: &Wallet<'_>,
    bound: Bound,
    limits: &Limits,
    value: Option<u128>,
) -> Option<String> {
    let code = currency(wallet)?;
    match limits.get(&code) {
        Some(limit) => Some(measured(currencies, code, bound, value?, *limit)),
        None => Some(not_named(currencies, code)),
    }
}

fn measured(currencies: &Currencies, code: i64, bound: Bound, value: u128, limit: u128) -> String {
    let than = match bound {
        Bound::Min => "less",
        Bound::Max => "more",
    };
    format!("{} is {than} than {}", currencies.show(code, value), currencies.show(code, limit))
}

fn not_named(currencies: &Currencies, code: i64) -> String {
    format!("it is of {}, which is not named", currencies.name(code))
}

fn text(before: &str, value: &str) -> Option<String> {
    (!value.is_empty()).then(|| format!("{before} {}", short(value)))
}
