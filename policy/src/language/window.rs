//! `[[window]]`.

use std::collections::BTreeSet;

use config::strict;
use serde::Deserialize;
use toml::Spanned;

use super::text::name;
use super::{Tables, rule, unknown};
use crate::schedule;
use crate::windows::{Per, Window};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    pub(crate) name: Spanned<String>,
    period: Spanned<String>,
    max_amount: Option<Spanned<String>>,
    max_count: Option<Spanned<i64>>,
    per: Option<Spanned<String>>,
    currencies: Option<Spanned<Vec<Spanned<String>>>>,
    wallets: Option<Spanned<Vec<Spanned<String>>>>,
    rules: Option<Spanned<Vec<Spanned<String>>>>,
}

pub(crate) fn read(tables: &mut Tables<'_>, raw: Raw, rules: &BTreeSet<String>) -> Result<Window, strict::Error> {
    let page = tables.page;
    let own = name(&page, &raw.name, "window")?;
    let refuse = |value: &Spanned<String>, why: &str| page.at(value, format!("window {own:?}: {why}"));
    let period = schedule::duration(raw.period.get_ref()).map_err(|why| refuse(&raw.period, &why))?;
    let per = match &raw.per {
        None => Per::All,
        Some(word) => {
            let words = [
                ("all", Per::All),
                ("currency", Per::Currency),
                ("wallet", Per::Wallet),
                ("destination", Per::Destination),
            ];
            page.one_of(word, "per", &words)?
        }
    };
    let limit = match &raw.max_amount {
        None => None,
        Some(text) => {
            let limit = tables.currencies.parse(text.get_ref()).map_err(|why| refuse(text, &why))?;
            rule::uses_currency(tables, limit.0);
            Some(limit)
        }
    };
    let max_count = raw.max_count.as_ref().map(|count| page.number(count, "max_count", 0..=u64::MAX)).transpose()?;
    if limit.is_none() && max_count.is_none() {
        return Err(refuse(&raw.name, "it limits nothing: give it max_amount, max_count or both"));
    }
    let named = raw.currencies.as_ref().map(|names| rule::currencies(tables, names)).transpose()?.unwrap_or_default();
    let currency = match (limit, named.first(), named.len()) {
        (None, only, 0 | 1) => only.copied(),
        (None, ..) if per == Per::Currency => {
            return Err(refuse(
                &raw.name,
                "with per = \"currency\" it counts each apart: leave currencies out, or make a window for each",
            ));
        }
        (None, ..) => {
            return Err(refuse(&raw.name, "several currencies cannot be counted together: make a window for each"));
        }
        (Some((code, _)), None, _) => Some(code),
        (Some((code, _)), Some(only), 1) if *only == code => Some(code),
        (Some(_), ..) => {
            return Err(refuse(
                &raw.name,
                "an amount is of one currency: leave currencies out, or make a window for each",
            ));
        }
    };
    let wallets = raw.wallets.as_ref().map(|ids| rule::ids(&page, ids, "wallets")).transpose()?.unwrap_or_default();
    if wallets.len() > 1 && per != Per::Wallet {
        return Err(refuse(&raw.name, "several wallets are counted apart: say so with per = \"wallet\""));
    }
    let mut of_rule = |name: &Spanned<String>| {
        if rules.contains(name.get_ref()) {
            return Ok(name.get_ref().clone());
        }
        Err(page.at(name, unknown("rule", name.get_ref(), rules.iter().map(String::as_str))))
    };
    let rules =
        raw.rules.as_ref().map(|names| page.each(names, "rules", &mut of_rule)).transpose()?.unwrap_or_default();
    let line = page.line(raw.name.span().start);
    let max_amount = limit.map(|(_, units)| units);
    Ok(Window { name: own, line, period, per, max_amount, max_count, currency, wallets, rules })
}
