//! `policy.toml` (docs/policy.md): a closed language, in which every name must be there and every number exact.

mod release;
mod rule;
mod text;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use config::strict;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use crate::lists::{self, Lists};
use crate::money::{Currencies, Currency, MOST_DECIMALS};
use crate::release::Release;
use crate::rules::{Policy, Rule};
use crate::schedule;
use crate::warnings::Warning;
use crate::windows::Window;
use text::{Page, guess};

/// The most rules, and the most windows.
const MOST: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    serial: Option<Spanned<i64>>,
    timezone: Option<Spanned<String>>,
    release: Option<Spanned<release::Raw>>,
    #[serde(default)]
    currencies: BTreeMap<Spanned<String>, Spanned<RawCurrency>>,
    #[serde(default)]
    lists: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    #[serde(default)]
    holidays: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    #[serde(default)]
    window: Vec<Spanned<window::Raw>>,
    #[serde(default)]
    rule: Vec<Spanned<rule::Raw>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCurrency {
    code: Spanned<i64>,
    decimals: Spanned<i64>,
    addresses: Option<Spanned<String>>,
}

/// What rules and windows look names up in, and who asked for which.
pub(super) struct Tables<'t> {
    pub(super) page: Page<'t>,
    pub(super) currencies: Currencies,
    pub(super) lists: Lists,
    pub(super) holidays: BTreeMap<String, BTreeSet<Date>>,
    pub(super) release: Release,
    used: BTreeSet<(&'static str, String)>,
}

impl Tables<'_> {
    pub(super) fn uses(&mut self, table: &'static str, name: &str) {
        self.used.insert((table, name.to_owned()));
    }
}

pub(crate) fn read(text: &str) -> Result<Policy, strict::Error> {
    let file: RawFile = strict::parse(text)?;
    let page = Page { text };
    let mut remarks = Vec::new();
    let serial = file.serial.map(|serial| page.number(&serial, "serial", 1..=u64::MAX)).transpose()?;
    let zone = match &file.timezone {
        None => TimeZone::UTC,
        Some(name) => schedule::zone(name.get_ref()).map_err(|why| page.at(name, format!("timezone: {why}")))?,
    };
    let stated = file.release.is_some() || file.rule.is_empty();
    let release = file.release.map_or_else(|| Ok(Release::client()), |raw| release::read(&page, &raw))?;
    if !stated {
        let words = "release is not stated: any client that the API lets in may release what no hold rule decides";
        remarks.push(Warning { line: 1, words: words.into() });
    }
    let mut names: Vec<(&'static str, String, usize)> = Vec::new();
    let mut note = |table, name: &Spanned<String>| {
        names.push((table, name.get_ref().clone(), page.line(name.span().start)));
    };
    file.currencies.keys().for_each(|name| note("currencies", name));
    file.lists.keys().for_each(|name| note("lists", name));
    file.holidays.keys().for_each(|name| note("holidays", name));
    let currencies = currencies(&page, file.currencies)?;
    let lists = read_lists(&page, file.lists)?;
    let holidays = holidays(&page, file.holidays)?;
    let mut tables = Tables { page, currencies, lists, holidays, release, used: BTreeSet::new() };

    for (what, count, first) in [
        ("rules", file.rule.len(), file.rule.first().map(|one| one.span().start)),
        ("windows", file.window.len(), file.window.first().map(|one| one.span().start)),
    ] {
        if count > MOST {
            let why = format!("there are {count} {what}; at most {MOST} are taken");
            return Err(strict::Error::at(text, first.unwrap_or_default(), why));
        }
    }
    let raw_names: BTreeSet<String> = file.rule.iter().map(|raw| raw.get_ref().name.get_ref().clone()).collect();
    let mut windows: Vec<Window> = Vec::with_capacity(file.window.len());
    let mut taken = BTreeSet::new();
    for raw in file.window {
        let name = raw.get_ref().name.clone();
        let window = window::read(&mut tables, raw.into_inner(), &raw_names)?;
        if !taken.insert(window.name.clone()) {
            return Err(tables.page.at(&name, format!("two windows are named {:?}", window.name)));
        }
        windows.push(window);
    }
    let mut rules: Vec<Rule> = Vec::with_capacity(file.rule.len());
    let mut taken = BTreeSet::new();
    for raw in file.rule {
        let name = raw.get_ref().name.clone();
        let rule = rule::read(&mut tables, raw.into_inner(), &windows)?;
        if !taken.insert(rule.name.clone()) {
            return Err(tables.page.at(&name, format!("two rules are named {:?}", rule.name)));
        }
        rules.push(rule);
    }
    for (table, name, line) in names {
        if !tables.used.contains(&(table, name.clone())) {
            remarks.push(Warning { line, words: format!("[{table}] {name:?}: no rule and no window uses it") });
        }
    }
    let Tables { currencies, lists, release, .. } = tables;
    let hash = Sha256::digest(text).into();
    Ok(Policy { rules, windows, currencies, lists, zone, release, serial, remarks, hash })
}

fn currencies(
    page: &Page<'_>,
    raw: BTreeMap<Spanned<String>, Spanned<RawCurrency>>,
) -> Result<Currencies, strict::Error> {
    let mut table = Currencies::default();
    for (name, raw) in raw {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.get_ref().is_empty() || name.get_ref().len() > 16 || !name.get_ref().bytes().all(plain) {
            let why = format!("{:?} is no currency's name: 1 to 16 letters, digits, '-', '_' or '.'", name.get_ref());
            return Err(page.at(&name, why));
        }
        let raw = raw.into_inner();
        // What does not fit in 32 bits is another currency to another reader: no asset with one is understood.
        let code = page.number(&raw.code, "code", 1..=i32::MAX as u64)?;
        let decimals = page.number(&raw.decimals, "decimals", 0..=u64::from(MOST_DECIMALS))?;
        let any_case = match &raw.addresses {
            None => false,
            Some(word) => page.one_of(word, "addresses", &[("exact", false), ("any-case", true)])?,
        };
        let currency = Currency {
            name: name.get_ref().clone(),
            code: i64::try_from(code).unwrap_or(i64::MAX),
            decimals: u32::try_from(decimals).unwrap_or(MOST_DECIMALS),
            any_case,
        };
        table.add(currency).map_err(|why| page.at(&raw.code, why))?;
    }
    Ok(table)
}

fn read_lists(page: &Page<'_>, raw: BTreeMap<Spanned<String>, Vec<Spanned<String>>>) -> Result<Lists, strict::Error> {
    let mut table = Lists::default();
    for (name, entries) in raw {
        for entry in &entries {
            lists::check(entry.get_ref()).map_err(|why| page.at(entry, why))?;
        }
        let entries: Vec<String> = entries.into_iter().map(Spanned::into_inner).collect();
        table.add(name.into_inner(), &entries);
    }
    Ok(table)
}

fn holidays(
    page: &Page<'_>,
    raw: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
) -> Result<BTreeMap<String, BTreeSet<Date>>, strict::Error> {
    let date = |text: Spanned<String>| schedule::date(text.get_ref()).map_err(|why| page.at(&text, why));
    raw.into_iter()
        .map(|(name, dates)| Ok((name.into_inner(), dates.into_iter().map(date).collect::<Result<_, _>>()?)))
        .collect()
}

/// Looks a name up, and says which one may be meant.
pub(super) fn unknown<'n>(table: &str, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    format!("{name:?} is not in [{table}]{}", guess(name, known))
}
