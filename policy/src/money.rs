//! Currencies and exact amounts. Whole numbers of the smallest unit, 128 bits, checked; never a float.

use std::collections::BTreeMap;

/// The most decimals a currency may have: ten to this power, times any whole amount of 2^27, fits in 128 bits.
pub(crate) const MOST_DECIMALS: u32 = 30;

/// A currency as `[currencies]` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Currency {
    pub(crate) name: String,
    /// As on the wire (`PBWallet.1`).
    pub(crate) code: i64,
    /// The smallest unit is this power of a tenth.
    pub(crate) decimals: u32,
    /// Its addresses mean the same in capitals and small letters.
    pub(crate) any_case: bool,
}

/// The table; names and codes are each there once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Currencies(Vec<Currency>);

/// Limits by the currency's code, in its smallest unit.
pub(crate) type Limits = BTreeMap<i64, u128>;

impl Currencies {
    /// Refused, in words: a name or a code that is there already.
    pub(crate) fn add(&mut self, currency: Currency) -> Result<(), String> {
        if let Some(other) = self.0.iter().find(|other| other.code == currency.code) {
            return Err(format!("{:?} and {:?} have the same code", other.name, currency.name));
        }
        self.0.push(currency);
        Ok(())
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Currency> {
        self.0.iter().find(|currency| currency.name == name)
    }

    pub(crate) fn coded(&self, code: i64) -> Option<&Currency> {
        self.0.iter().find(|currency| currency.code == code)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|currency| currency.name.as_str())
    }

    /// Whether addresses of this currency have no case. Of one that is not in the table nothing is known: they have.
    pub(crate) fn any_case(&self, code: i64) -> bool {
        self.coded(code).is_some_and(|currency| currency.any_case)
    }

    /// `"0.5 ETH"`: code, and the amount in the smallest unit.
    pub(crate) fn parse(&self, text: &str) -> Result<(i64, u128), String> {
        let form = || format!("{text:?} is no amount: write digits and the currency's name, such as \"0.5 ETH\"");
        let (number, name) = text.split_once(' ').ok_or_else(form)?;
        let currency = self.named(name).ok_or_else(|| {
            format!("{text:?}: {name:?} is not in [currencies], which has the code and the decimals of each")
        })?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) {
            return Err(form());
        }
        let part = part.trim_end_matches('0');
        let decimals = currency.decimals;
        let missing = usize::try_from(decimals).ok().and_then(|decimals| decimals.checked_sub(part.len()));
        let Some(missing) = missing else {
            return Err(format!("{text:?} is finer than the {decimals} decimals of {name}"));
        };
        let units: Option<u128> = format!("{whole}{part}{}", "0".repeat(missing)).parse().ok();
        let units = units.ok_or_else(|| format!("{text:?} is more than can be counted"))?;
        Ok((currency.code, units))
    }

    /// As [`Currencies::parse`] reads it; of a currency that is not in the table, in its smallest unit.
    pub(crate) fn show(&self, code: i64, units: u128) -> String {
        let Some(Currency { name, decimals, .. }) = self.coded(code) else {
            return format!("{units} units of currency {code}");
        };
        let Some(one) = 10u128.checked_pow(*decimals) else { return format!("{units} units of {name}") };
        let (whole, part) = (units / one, units % one);
        let width = usize::try_from(*decimals).unwrap_or_default();
        let part = format!("{part:0width$}");
        match part.trim_end_matches('0') {
            "" => format!("{whole} {name}"),
            part => format!("{whole}.{part} {name}"),
        }
    }

    /// `ETH`, or `currency 4` where the table has it not.
    pub(crate) fn name(&self, code: i64) -> String {
        self.coded(code).map_or_else(|| format!("currency {code}"), |currency| currency.name.clone())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn table() -> Currencies {
        let mut table = Currencies::default();
        for (name, code, decimals) in [("BTC", 1, 8), ("ETH", 4, 18), ("YEN", 9, 0), ("DEEP", 7, MOST_DECIMALS)] {
            table.add(Currency { name: name.into(), code, decimals, any_case: name == "ETH" }).unwrap();
        }
        table
    }

    #[test]
    fn amounts_are_exact() {
        for (text, code, units) in [
            ("0.5 BTC", 1, 50_000_000),
            ("0.00000001 BTC", 1, 1),
            ("21000000 BTC", 1, 2_100_000_000_000_000),
            ("1.10 BTC", 1, 110_000_000),
            ("0.100000000000000001 ETH", 4, 100_000_000_000_000_001),
            ("7 YEN", 9, 7),
            ("0 YEN", 9, 0),
            ("134217728 DEEP", 7, 134_217_728 * 10u128.pow(30)),
        ] {
            assert_eq!(table().parse(text), Ok((code, units)), "{text}");
        }
    }

    #[test]
    fn what_is_no_exact_amount_is_refused_with_words() {
        for (text, words) in [
            ("", "is no amount"),
            ("5", "is no amount"),
            ("5ETH", "is no amount"),
            (" ETH", "is no amount"),
            (".5 ETH", "is no amount"),
            ("5. ETH", "is no amount"),
            ("+5 ETH", "is no amount"),
            ("-5 ETH", "is no amount"),
            ("1e3 ETH", "is no amount"),
            ("1_000 ETH", "is no amount"),
            ("1,5 ETH", "is no amount"),
            ("٣ ETH", "is no amount"),
            ("5 eth", "not in [currencies]"),
            ("5  ETH", "not in [currencies]"),
            ("0.000000001 BTC", "finer than the 8 decimals"),
            ("0.5 YEN", "finer than the 0 decimals"),
            ("999999999999999999 DEEP", "more than can be counted"),
        ] {
            let said = table().parse(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
    }

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        for (code, units, text) in [
            (1, 1, "0.00000001 BTC"),
            (1, 150_000_000, "1.5 BTC"),
            (9, 7, "7 YEN"),
            (4, 0, "0 ETH"),
            (4, 10u128.pow(18), "1 ETH"),
        ] {
            assert_eq!(table().show(code, units), text);
            assert_eq!(table().parse(text), Ok((code, units)));
        }
        assert_eq!(table().show(77, 5), "5 units of currency 77");
        assert_eq!((table().name(4), table().name(77)), ("ETH".into(), "currency 77".into()));
    }

    #[test]
    fn a_code_belongs_to_one_currency() {
        let again = Currency { name: "XBT".into(), code: 1, decimals: 8, any_case: false };
        assert_eq!(table().add(again), Err("\"BTC\" and \"XBT\" have the same code".into()));
        assert!(table().any_case(4) && !table().any_case(1) && !table().any_case(99));
    }
}
