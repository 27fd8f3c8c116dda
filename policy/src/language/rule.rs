//! `[[rule]]`.

use std::collections::BTreeSet;

use config::strict;
use serde::Deserialize;
use toml::Spanned;

use super::text::{OneOrMany, Page, name};
use super::{Tables, release, unknown};
use crate::asset::{OTHER_FIELDS, TRANSFER_TYPES};
use crate::conditions::{Bound, Condition};
use crate::lists::check_id;
use crate::money::Limits;
use crate::release::Release;
use crate::rules::Rule;
use crate::schedule::{self, Hours};
use crate::verdict::Verdict;
use crate::windows::{Per, Window};

type Texts = Option<Spanned<Vec<Spanned<String>>>>;
type Amounts = Option<Spanned<OneOrMany>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    pub(crate) name: Spanned<String>,
    verdict: Verdict,
    action_types: Texts,
    kinds: Texts,
    transfer_types: Texts,
    currencies: Texts,
    wallets: Texts,
    owners: Texts,
    destinations: Texts,
    destinations_not: Texts,
    max_amount_per_transfer: Amounts,
    min_amount_per_transfer: Amounts,
    max_amount_per_action: Amounts,
    min_amount_per_action: Amounts,
    max_fee: Amounts,
    min_fee: Amounts,
    participants: Texts,
    expressions: Texts,
    other_fields: Texts,
    days: Texts,
    hours: Amounts,
    on_holidays: Texts,
    not_on_holidays: Texts,
    min_time_to_expiry: Option<Spanned<String>>,
    max_time_to_expiry: Option<Spanned<String>>,
    allow_opaque: Option<Spanned<bool>>,
    unlimited: Option<Spanned<bool>>,
    release: Option<Spanned<release::Raw>>,
}

const KINDS: [&str; 8] = ["wallet", "iddoc", "group", "underlying", "key-value", "MPC", "malformed", "opaque"];

pub(crate) fn read(tables: &mut Tables<'_>, raw: Raw, windows: &[Window]) -> Result<Rule, strict::Error> {
    let page = tables.page;
    let own = name(&page, &raw.name, "rule")?;
    let at_name = |why: String| page.at(&raw.name, format!("rule {own:?} {why}"));
    let verdict = raw.verdict;
    let approves = verdict == Verdict::Approve;
    for (key, flag) in [("allow_opaque", &raw.allow_opaque), ("unlimited", &raw.unlimited)] {
        if let Some(flag) = flag.as_ref().filter(|flag| *flag.get_ref() && !approves) {
            let why = format!("rule {own:?}: {key} is for approve rules alone; this one says {}", verdict.as_str());
            return Err(page.at(flag, why));
        }
    }
    let unlimited = raw.unlimited.as_ref().is_some_and(|flag| *flag.get_ref());
    let allow_opaque = raw.allow_opaque.as_ref().is_some_and(|flag| *flag.get_ref());
    let other_fields = match &raw.other_fields {
        None => BTreeSet::new(),
        Some(names) if !approves || unlimited => {
            let why = format!("rule {own:?}: other_fields is for approve rules with limits alone");
            return Err(page.at(names, why));
        }
        Some(names) => page.each(names, "other_fields", |name| {
            page.one_of(name, "other_fields", &OTHER_FIELDS.map(|field| (field, field))).map(str::to_owned)
        })?,
    };
    let release = match &raw.release {
        Some(raw) if verdict != Verdict::Hold => {
            let why = format!("rule {own:?}: release is for hold rules alone; this one says {}", verdict.as_str());
            return Err(page.at(raw, why));
        }
        Some(raw) => release::read(&page, raw)?,
        None if verdict == Verdict::Hold => tables.release.clone(),
        None => Release::client(),
    };
    let mut conditions = Vec::new();
    what_it_is(tables, &raw, &own, approves, &mut conditions)?;
    how_much(tables, &raw, &mut conditions)?;
    when(tables, &raw, &mut conditions)?;
    let line = page.line(raw.name.span().start);
    let rule = Rule { name: own.clone(), line, verdict, conditions, allow_opaque, unlimited, other_fields, release };
    let limited = rule.has_limit() || rule.is_covered_by(windows);
    match (approves, unlimited) {
        (true, false) if !limited => Err(at_name(
            "approves without a limit: give it max_amount_per_transfer or max_amount_per_action, or a window with max_amount \
             for all its currencies; or say so with `unlimited = true`, and then it bounds nothing"
                .into(),
        )),
        (true, true) if rule.has_limit() => {
            Err(at_name("says `unlimited = true` and has a limit: take one of them away".into()))
        }
        _ => Ok(rule),
    }
}

fn what_it_is(
    tables: &mut Tables<'_>,
    raw: &Raw,
    own: &str,
    approves: bool,
    conditions: &mut Vec<Condition>,
) -> Result<(), strict::Error> {
    let page = tables.page;
    if let Some(types) = &raw.action_types {
        let plain = |text: &String| !text.trim().is_empty() && text.trim() == text;
        if types.get_ref().is_empty() || !types.get_ref().iter().all(|one| plain(one.get_ref())) {
            let why = format!(
                "rule {own:?}: action_types must name feed types such as \"ApproveTransfer\"; leave it out to mean all of them"
            );
            return Err(page.at(types, why));
        }
        let types = page.each(types, "action_types", |one| Ok(one.get_ref().clone()))?;
        conditions.push(Condition::ActionTypes(types));
    }
    if let Some(kinds) = &raw.kinds {
        let kinds = page.each(kinds, "kinds", |kind| {
            let named = page.one_of(kind, "kinds", &KINDS.map(|kind| (kind, kind)))?;
            if approves && !matches!(named, "wallet" | "opaque") {
                return Err(page.at(kind, format!("rule {own:?}: no rule approves {named:?}")));
            }
            Ok(named.to_owned())
        })?;
        conditions.push(Condition::Kinds(kinds));
    }
    if let Some(types) = &raw.transfer_types {
        let known = TRANSFER_TYPES.map(|(number, name)| (name, number));
        let types = page.each(types, "transfer_types", |one| page.one_of(one, "transfer_types", &known))?;
        conditions.push(Condition::TransferTypes(types));
    }
    if let Some(names) = &raw.currencies {
        conditions.push(Condition::Currencies(currencies(tables, names)?));
    }
    if let Some(named) = &raw.wallets {
        conditions.push(Condition::Wallets(ids(&page, named, "wallets")?));
    }
    if let Some(named) = &raw.owners {
        conditions.push(Condition::Owners(ids(&page, named, "owners")?));
    }
    let mut lists = |names: &Spanned<Vec<Spanned<String>>>, key| {
        page.each(names, key, |name| {
            tables.used.insert(("lists", name.get_ref().clone()));
            let known = tables.lists.names().iter().map(String::as_str);
            tables.lists.id(name.get_ref()).ok_or_else(|| page.at(name, unknown("lists", name.get_ref(), known)))
        })
    };
    if let Some(names) = &raw.destinations {
        conditions.push(Condition::Destinations(lists(names, "destinations")?));
    }
    if let Some(names) = &raw.destinations_not {
        conditions.push(Condition::DestinationsNot(lists(names, "destinations_not")?));
    }
    Ok(())
}

fn how_much(tables: &mut Tables<'_>, raw: &Raw, conditions: &mut Vec<Condition>) -> Result<(), strict::Error> {
    let page = tables.page;
    type Make = fn(Bound, Limits) -> Condition;
    let amounts: [(&Amounts, Bound, Make); 6] = [
        (&raw.max_amount_per_transfer, Bound::Max, Condition::Transfer),
        (&raw.min_amount_per_transfer, Bound::Min, Condition::Transfer),
        (&raw.max_amount_per_action, Bound::Max, Condition::Action),
        (&raw.min_amount_per_action, Bound::Min, Condition::Action),
        (&raw.max_fee, Bound::Max, Condition::Fee),
        (&raw.min_fee, Bound::Min, Condition::Fee),
    ];
    for (amounts, bound, make) in amounts {
        let Some(amounts) = amounts else { continue };
        let mut limits = Limits::new();
        let key = make(bound, Limits::new()).name();
        for text in &amounts.get_ref().0 {
            let (code, units) =
                tables.currencies.parse(text).map_err(|why| page.at(amounts, format!("{key}: {why}")))?;
            uses_currency(tables, code);
            if limits.insert(code, units).is_some() {
                return Err(page.at(amounts, format!("{key} has two amounts of one currency")));
            }
        }
        if limits.is_empty() {
            return Err(page.at(amounts, format!("{key} names nothing; leave it out to mean all")));
        }
        conditions.push(make(bound, limits));
    }
    if let Some(named) = &raw.participants {
        conditions.push(Condition::Participants(ids(&page, named, "participants")?));
    }
    if let Some(texts) = &raw.expressions {
        let texts = page.each(texts, "expressions", |one| Ok(one.get_ref().clone()))?;
        conditions.push(Condition::Expressions(texts));
    }
    Ok(())
}

fn when(tables: &mut Tables<'_>, raw: &Raw, conditions: &mut Vec<Condition>) -> Result<(), strict::Error> {
    let page = tables.page;
    if let Some(names) = &raw.days {
        page.each(names, "days", |name| Ok(name.get_ref().clone()))?;
        let all: Vec<String> = names.get_ref().iter().map(|name| name.get_ref().clone()).collect();
        conditions.push(Condition::Days(schedule::days(&all).map_err(|why| page.at(names, format!("days: {why}")))?));
    }
    if let Some(texts) = &raw.hours {
        let hours: Result<Vec<Hours>, String> = texts.get_ref().0.iter().map(|text| Hours::parse(text)).collect();
        let hours = hours.map_err(|why| page.at(texts, format!("hours: {why}")))?;
        if hours.is_empty() {
            return Err(page.at(texts, "hours names nothing; leave it out to mean all"));
        }
        conditions.push(Condition::Hours(hours));
    }
    let mut dates = |names: &Spanned<Vec<Spanned<String>>>, key| {
        let named = page.each(names, key, |name| {
            tables.used.insert(("holidays", name.get_ref().clone()));
            let known = tables.holidays.keys().map(String::as_str);
            let dates = tables.holidays.get(name.get_ref());
            dates.ok_or_else(|| page.at(name, unknown("holidays", name.get_ref(), known)))
        })?;
        Ok(named.into_iter().flatten().copied().collect())
    };
    if let Some(names) = &raw.on_holidays {
        conditions.push(Condition::OnHolidays(dates(names, "on_holidays")?));
    }
    if let Some(names) = &raw.not_on_holidays {
        conditions.push(Condition::NotOnHolidays(dates(names, "not_on_holidays")?));
    }
    for (text, bound) in [(&raw.min_time_to_expiry, Bound::Min), (&raw.max_time_to_expiry, Bound::Max)] {
        let Some(text) = text else { continue };
        let seconds = schedule::duration(text.get_ref());
        let key = Condition::TimeToExpiry(bound, 0).name();
        let seconds = seconds.map_err(|why| page.at(text, format!("{key}: {why}")))?;
        conditions.push(Condition::TimeToExpiry(bound, seconds));
    }
    Ok(())
}

/// Codes of currencies by their names.
pub(crate) fn currencies(
    tables: &mut Tables<'_>,
    names: &Spanned<Vec<Spanned<String>>>,
) -> Result<BTreeSet<i64>, strict::Error> {
    let page = tables.page;
    page.each(names, "currencies", |name| {
        tables.used.insert(("currencies", name.get_ref().clone()));
        let found = tables.currencies.named(name.get_ref()).map(|currency| currency.code);
        found.ok_or_else(|| page.at(name, unknown("currencies", name.get_ref(), tables.currencies.names())))
    })
}

pub(crate) fn uses_currency(tables: &mut Tables<'_>, code: i64) {
    let name = tables.currencies.name(code);
    tables.uses("currencies", &name);
}

pub(crate) fn ids(
    page: &Page<'_>,
    ids: &Spanned<Vec<Spanned<String>>>,
    key: &str,
) -> Result<BTreeSet<String>, strict::Error> {
    page.each(ids, key, |id| {
        check_id(id.get_ref()).map_err(|why| page.at(id, format!("{key}: {why}")))?;
        Ok(id.get_ref().clone())
    })
}

impl Rule {
    /// A limit of its own on what goes.
    fn has_limit(&self) -> bool {
        self.conditions
            .iter()
            .any(|c| matches!(c, Condition::Transfer(Bound::Max, _) | Condition::Action(Bound::Max, _)))
    }

    /// Windows with an amount bound all that it approves. One that counts each wallet or destination apart bounds nothing where
    /// there may be as many of these as the backend likes.
    fn is_covered_by(&self, windows: &[Window]) -> bool {
        let names = |wanted: fn(&Condition) -> bool| self.conditions.iter().any(wanted);
        let sums_up = |per: Per| match per {
            Per::All | Per::Currency => true,
            Per::Wallet => names(|c| matches!(c, Condition::Wallets(_))),
            Per::Destination => names(|c| matches!(c, Condition::Destinations(_))),
        };
        let covers = |code: i64| {
            windows.iter().any(|window| {
                window.max_amount.is_some()
                    && sums_up(window.per)
                    && window.currency == Some(code)
                    && window.wallets.is_empty()
                    && (window.rules.is_empty() || window.rules.contains(&self.name))
            })
        };
        let named = self.conditions.iter().find_map(|condition| match condition {
            Condition::Currencies(codes) => Some(codes),
            _ => None,
        });
        named.is_some_and(|codes| codes.iter().all(|code| covers(*code)))
    }
}
