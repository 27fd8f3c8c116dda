//! What a message says, as typed facts: for rules, people and a callback's receiver.

use crate::asset::{Decoded, WalletAsset};
use crate::lists::fold;
use crate::subject::total;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// The facts of one message. Text is as it came: foreign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// `wallet`, `iddoc`, `group`, `underlying`, `key-value`, `MPC`, `malformed` or `opaque`.
    pub kind: &'static str,
    /// SHA-256 of the message, hex.
    pub digest: String,
    /// What a wallet asset says; nothing for another kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet: Option<WalletFacts>,
}

/// The facts of a wallet asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WalletFacts {
    pub transfer_type: &'static str,
    /// As on the wire; 0 where there is none.
    pub currency: i64,
    /// The asset's ID, hex.
    pub wallet: String,
    /// Hex.
    pub owner: String,
    pub moves: Vec<Move>,
    /// The sum of the moves, decimal, in the smallest unit; `None`: something is negative.
    pub total: Option<String>,
    /// The sum of the fee-like numbers, decimal.
    pub fee: Option<String>,
    /// Of the transfer list: hex, each once.
    pub participants: Vec<String>,
    /// Of the transfer list: each once.
    pub expressions: Vec<String>,
    /// Which of [`crate::asset::OTHER_FIELDS`] are set.
    pub other_fields: Vec<&'static str>,
    pub description: String,
    pub wallet_description: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Move {
    /// An address outside, or `wallet:HEX`; an address outside that looks like the latter has `address:` before it.
    pub to: String,
    /// Decimal, in the smallest unit.
    pub amount: String,
}

impl Facts {
    pub fn of(decoded: &Decoded, bytes: &[u8]) -> Facts {
        let wallet = match decoded {
            Decoded::Wallet(wallet) => Some(WalletFacts::of(wallet)),
            _ => None,
        };
        Facts { kind: decoded.kind(), digest: hex::encode(Sha256::digest(bytes)), wallet }
    }
}

impl WalletFacts {
    fn of(wallet: &WalletAsset) -> WalletFacts {
        let inside = wallet.transfers.iter().map(|t| Move { to: inside(&t.to), amount: t.amount.to_string() });
        let outside = wallet
            .settlements
            .iter()
            .map(|s| Move { to: outside(&s.destination).into_owned(), amount: s.amount.to_string() });
        let total = total(wallet);
        WalletFacts {
            transfer_type: wallet.transfer_name(),
            currency: wallet.currency,
            wallet: hex::encode(&wallet.id),
            owner: hex::encode(&wallet.owner),
            moves: outside.chain(inside).collect(),
            total: total.map(|total| total.amount.to_string()),
            fee: total.map(|total| total.fee.to_string()),
            participants: wallet.participants.iter().map(hex::encode).collect(),
            expressions: wallet.expressions.clone(),
            other_fields: wallet.other_fields.clone(),
            description: wallet.description.clone(),
            wallet_description: wallet.wallet_description.clone(),
        }
    }
}

/// How lists and facts name a wallet inside.
pub(crate) fn inside(to: &[u8]) -> String {
    format!("wallet:{}", hex::encode(to))
}

/// How they name an address outside: never as a wallet inside, whatever it says and in whatever case it is read.
pub(crate) fn outside(destination: &str) -> Cow<'_, str> {
    if fold(destination).starts_with("wallet:") { format!("address:{destination}").into() } else { destination.into() }
}
