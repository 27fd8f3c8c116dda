//! A message out of facts: the canonical asset that says them.

use super::raw::{RawFacts, RawMove};
use super::units::{amount, code, octets};
use super::{Place, Spot};
use crate::asset::{OTHER_FIELDS, TRANSFER_TYPES, decode};
use crate::money::Currencies;
use crate::wire::{
    BytesEntry, Message, Payload, PbAsset, PbIdDoc, PbSettlement, PbTransfer, PbWallet, PbWalletTransfer,
    TransferEntry, asset_type, transfer_type,
};
use config::strict;

/// Its octets. What does not decode as the kind that it should be is refused.
pub(super) fn build(
    facts: &toml::Spanned<RawFacts>,
    place: &Place<'_>,
    currencies: &Currencies,
) -> Result<Vec<u8>, strict::Error> {
    let (here, facts) = (facts.span().start, facts.get_ref());
    let kind = facts.kind.as_ref().map_or("wallet", |kind| kind.get_ref());
    let mut asset = PbAsset { description: facts.description.clone(), ..PbAsset::default() };
    asset.id = place.optional(&facts.wallet, octets)?.unwrap_or(vec![1; 32]);
    asset.owner = place.optional(&facts.owner, octets)?.unwrap_or(vec![2; 32]);
    let payload = || b"\x08\x01".to_vec();
    (asset.kind, asset.payload) = match kind {
        "wallet" | "malformed" => {
            asset.transfer_type = place.optional(&facts.transfer_type, number)?.unwrap_or(usual(facts));
            asset.transferlist = transfer_list(facts, place)?;
            let mut wallet = wallet(facts, place, currencies)?;
            for field in &facts.other_fields {
                place.value(field, |field| fill(field, &mut asset, &mut wallet))?;
            }
            (asset_type::WALLET, Some(Payload::Wallet(wallet)))
        }
        "iddoc" => {
            (asset_type::IDDOC, Some(Payload::IdDoc(PbIdDoc { bls_public_key: vec![3; 192], ..PbIdDoc::default() })))
        }
        "group" => (asset_type::GROUP, Some(Payload::Group(payload()))),
        "underlying" => (asset_type::UNDERLYING, Some(Payload::Underlying(payload()))),
        "key-value" => (asset_type::KEY_VALUE, Some(Payload::KeyValue(payload()))),
        "MPC" => (asset_type::MPC, Some(Payload::Mpc(payload()))),
        _ => (0, None),
    };
    let octets = match kind {
        "opaque" => facts.text.as_ref().map_or("no asset at all", |text| text.get_ref()).as_bytes().to_vec(),
        // A field that nobody knows.
        "malformed" => [asset.encode_to_vec(), vec![0xf8, 0x06, 1]].concat(),
        _ => asset.encode_to_vec(),
    };
    match decode(&octets).kind() {
        decoded if decoded == kind => Ok(octets),
        decoded => {
            let kinds = "wallet, iddoc, group, underlying, key-value, MPC, malformed or opaque";
            Err(place.fault(here, format!("these facts are no message of kind {kind:?} ({kinds}), but {decoded}")))
        }
    }
}

fn number(name: &str) -> Result<i64, String> {
    if name.is_empty() {
        return Ok(0);
    }
    let found = TRANSFER_TYPES.iter().find(|(_, known)| *known == name);
    found
        .map(|(number, _)| *number)
        .ok_or_else(|| format!("no transfer type; there are: {}", TRANSFER_TYPES.map(|(_, name)| name).join(", ")))
}

/// What such moves are by their nature.
fn usual(facts: &RawFacts) -> i64 {
    if facts.settlements.is_empty() { transfer_type::TRANSFER_PUSH } else { transfer_type::SETTLE_PUSH }
}

fn wallet(facts: &RawFacts, place: &Place<'_>, currencies: &Currencies) -> Result<PbWallet, strict::Error> {
    let amount = |written: &Spot| place.value(written, |written| amount(currencies, written));
    let transfer = |RawMove { to, amount: written, fee }: &RawMove| match fee {
        Some(fee) => Err(place.fault(fee.span().start, "a transfer inside has no fee")),
        None => Ok(PbWalletTransfer {
            to: place.value(to, |text| octets(text))?,
            amount: amount(written)?,
            asset_id: Vec::new(),
        }),
    };
    let settlement = |RawMove { to, amount: written, fee }: &RawMove| {
        let fee_like = fee.as_ref().map(amount).transpose()?.unwrap_or_default();
        Ok(PbSettlement { amount: amount(written)?, destination: to.get_ref().clone(), fee_like })
    };
    Ok(PbWallet {
        currency: place.optional(&facts.currency, |written| code(currencies, written))?.unwrap_or_default(),
        transfers: facts.transfers.iter().map(transfer).collect::<Result<_, _>>()?,
        settlements: facts.settlements.iter().map(settlement).collect::<Result<_, strict::Error>>()?,
        description: facts.wallet_description.clone(),
        ..PbWallet::default()
    })
}

/// Something into a field that the other facts do not reach.
fn fill(field: &str, asset: &mut PbAsset, wallet: &mut PbWallet) -> Result<(), String> {
    let octets = || vec![9; 32];
    match field {
        "index" => asset.index = 1,
        "tags" => asset.tags = vec![BytesEntry { key: Some("tag".into()), value: Some(octets()) }],
        "spent-balance" => wallet.spent_balance = 1,
        "principal" => wallet.principal = octets(),
        "creditor" => wallet.creditor = octets(),
        "initiator" => wallet.initiator = octets(),
        "address" => wallet.address = octets(),
        "counterparty" => wallet.counterparty = octets(),
        "transaction-hash" => wallet.transaction_hash = octets(),
        _ => return Err(format!("no such field; there are: {}", OTHER_FIELDS.join(", "))),
    }
    Ok(())
}

/// An entry an expression, each with all participants, who are named t1, t2 and so on.
fn transfer_list(facts: &RawFacts, place: &Place<'_>) -> Result<Vec<TransferEntry>, strict::Error> {
    let participant = |(n, who): (usize, &toml::Spanned<String>)| {
        let value = place.value(who, |text| octets(text))?;
        Ok(BytesEntry { key: Some(format!("t{}", n + 1)), value: Some(value) })
    };
    let participants = facts.participants.iter().enumerate().map(participant);
    let participants: Vec<BytesEntry> = participants.collect::<Result<_, strict::Error>>()?;
    let mut expressions = facts.expressions.clone();
    if expressions.is_empty() && !participants.is_empty() {
        expressions.push(String::new());
    }
    let entry = |(n, expression): (usize, String)| {
        let transfer = PbTransfer {
            kind: transfer_type::TRANSFER_PUSH,
            expression,
            participants: participants.clone(),
            description: String::new(),
        };
        TransferEntry { key: Some(format!("{}", n + 1)), value: Some(transfer) }
    };
    Ok(expressions.into_iter().enumerate().map(entry).collect())
}
