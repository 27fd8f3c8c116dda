//! Values of a case: currencies and amounts by the policy's own table, times, hex.

use super::raw::TextOrNumber;
use crate::money::Currencies;
use crate::subject::Wallet;

pub(super) fn code(currencies: &Currencies, written: &TextOrNumber) -> Result<i64, String> {
    match written {
        TextOrNumber::Number(code) => Ok(*code),
        TextOrNumber::Text(name) => match currencies.named(name) {
            Some(currency) => Ok(currency.code),
            None => Err(format!("the policy's [currencies] has no {name:?}; give its code")),
        },
    }
}

/// `"0.5 ETH"`, or so many of the smallest unit.
pub(super) fn amount(currencies: &Currencies, written: &TextOrNumber) -> Result<i64, String> {
    match written {
        TextOrNumber::Number(amount) => Ok(*amount),
        TextOrNumber::Text(text) => {
            let (_, units) = currencies.parse(text)?;
            i64::try_from(units)
                .map_err(|_| format!("{text:?} is more than a message can say: 2^63 - 1 of the smallest unit"))
        }
    }
}

/// As lists and windows compare it.
pub(super) fn folded(currencies: &Currencies, code: i64, address: &str) -> String {
    Wallet::canonical(address, currencies.any_case(code))
}

/// RFC 3339, Unix seconds.
pub fn time(text: &str) -> Result<u64, String> {
    let wrong = || "must be a time such as \"2026-12-02T12:00:00Z\" (RFC 3339)".to_owned();
    let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    u64::try_from(time.as_second()).map_err(|_| wrong())
}

pub(super) fn octets(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text).map_err(|_| "must be hex, two digits an octet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_nothing_else_is() {
        assert_eq!(time("1970-01-02T00:00:00+01:00"), Ok(82_800));
        for wrong in ["", "2026-12-02", "2026-12-02T12:00:00", "1969-12-31T00:00:00Z", "noon"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
