//! Bytes to facts. A message is understood only if it is an asset, written as its own encoder would write it: what decodes
//! and encodes again to the same bytes has no unknown field, no second payload, no value that another reader could
//! take otherwise. The rest is sorted by what a more tolerant reader might see in it.

use std::collections::{BTreeSet, HashSet};

use sha2::{Digest, Sha256};

use crate::judge::ActionKind;
use crate::plain::{plain, short};
use crate::wire::{BytesEntry, Message, Payload, PbAsset, PbIdDoc, PbWallet, asset_type, transfer_type};

/// What a message is.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// Type 5 with payload 15 alone.
    Wallet(WalletAsset),
    /// Type 2 with payload 17 alone.
    IdDoc(IdDoc),
    /// Another known type with its own payload alone: `group`, `underlying`, `key-value` or `MPC`.
    Other { kind: &'static str },
    /// No asset for us, but a tolerant reader could find one in it.
    Malformed {
        why: &'static str,
        /// A tolerant reader could even find an IDDoc.
        iddoc_like: bool,
    },
    /// No asset at all.
    Opaque,
}

/// A movement of what a wallet holds. Amounts are as on the wire, int64 in the currency's smallest unit.
#[derive(Debug, Clone, PartialEq)]
pub struct WalletAsset {
    /// The wallet (`PBAsset.2`).
    pub id: Vec<u8>,
    pub owner: Vec<u8>,
    /// One of [`transfer_type`], or 0 where the message says none.
    pub transfer_type: i64,
    /// 1 BTC, 2 BTC testnet; others are in use.
    pub currency: i64,
    pub spent_balance: i64,
    /// To wallets inside (`PBWallet.3`).
    pub transfers: Vec<Transfer>,
    /// To addresses outside (`PBWallet.4`).
    pub settlements: Vec<Settlement>,
    /// Of the transfer list (`PBAsset.6`): who may move the wallet next; as they came, each once.
    pub participants: Vec<Vec<u8>>,
    /// Of the transfer list: on what condition, e.g. `t1 > 0`; each once.
    pub expressions: Vec<String>,
    /// Which of [`OTHER_FIELDS`] are set.
    pub other_fields: Vec<&'static str>,
    /// `PBAsset.11`, as it came: foreign text.
    pub description: String,
    /// `PBWallet.11`, as it came: foreign text.
    pub wallet_description: String,
}

/// Fields that name further parties or conditions of a movement, by what a policy calls them (protocol.md §6). What they do
/// at the backend is not known, so a rule with limits has to say that it takes them.
pub const OTHER_FIELDS: [&str; 9] = [
    "index",
    "tags",
    "spent-balance",
    "principal",
    "creditor",
    "initiator",
    "address",
    "counterparty",
    "transaction-hash",
];

#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    pub to: Vec<u8>,
    pub amount: i64,
    pub asset_id: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    pub amount: i64,
    pub destination: String,
    pub fee: i64,
}

/// The identity document of registration.
#[derive(Debug, Clone, PartialEq)]
pub struct IdDoc {
    /// `PBAsset.2`; base58 of it is the account code.
    pub id: Vec<u8>,
    /// `PBAsset.9`.
    pub name: String,
    /// `PBIDDoc.1`; in the published sample the name again.
    pub authentication_reference: String,
    /// 192 bytes where well made: x.a ‖ x.b ‖ y.a ‖ y.b.
    pub bls_public_key: Vec<u8>,
    /// 65 bytes where well made: `04` ‖ x ‖ y.
    pub ec_public_key: Vec<u8>,
    pub timestamp: i64,
}

/// Says what `bytes` are. Any input is answered; an empty one is `Opaque`.
pub fn decode(bytes: &[u8]) -> Decoded {
    let marks = Marks::of(bytes);
    if !marks.asset {
        return Decoded::Opaque;
    }
    let malformed = |why| Decoded::Malformed { why, iddoc_like: marks.iddoc };
    let Ok(asset) = PbAsset::decode(bytes) else { return malformed("it is no valid asset") };
    if asset.encode_to_vec() != bytes {
        return malformed("it is not in canonical form, or has fields that are not known");
    }
    if has_duplicate_keys(&asset) {
        return malformed("a key appears twice in one of its maps");
    }
    if !(0..=transfer_type::GROUP).contains(&asset.transfer_type) {
        return malformed("its transfer type is not known");
    }
    if !enumerations_fit(&asset) {
        return malformed("its currency, or the type of a transfer in it, does not fit in 32 bits");
    }
    match (asset.kind, &asset.payload) {
        (asset_type::WALLET, Some(Payload::Wallet(wallet))) => Decoded::Wallet(WalletAsset::new(&asset, wallet)),
        (asset_type::IDDOC, Some(Payload::IdDoc(iddoc))) => Decoded::IdDoc(IdDoc::new(&asset, iddoc)),
        (asset_type::GROUP, Some(Payload::Group(_))) => Decoded::Other { kind: "group" },
        (asset_type::UNDERLYING, Some(Payload::Underlying(_))) => Decoded::Other { kind: "underlying" },
        (asset_type::KEY_VALUE, Some(Payload::KeyValue(_))) => Decoded::Other { kind: "key-value" },
        (asset_type::MPC, Some(Payload::Mpc(_))) => Decoded::Other { kind: "MPC" },
        _ => malformed("its type and its payload do not match"),
    }
}

impl Decoded {
    /// One word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Decoded::Wallet(_) => "wallet",
            Decoded::IdDoc(_) => "iddoc",
            Decoded::Other { kind } => kind,
            Decoded::Malformed { .. } => "malformed",
            Decoded::Opaque => "opaque",
        }
    }

    /// How many movements there are; at least one.
    pub(crate) fn moves(&self) -> usize {
        match self {
            Decoded::Wallet(wallet) => (wallet.transfers.len() + wallet.settlements.len()).max(1),
            _ => 1,
        }
    }

    /// One line for people: safe to print, at most some hundred characters. `bytes` are those that were decoded.
    pub fn summary(&self, bytes: &[u8]) -> String {
        match self {
            Decoded::Wallet(wallet) => wallet.summary(),
            Decoded::IdDoc(iddoc) => format!("IDDoc of \"{}\"", plain(&iddoc.name, 40)),
            Decoded::Other { kind } => format!("{kind} asset, {} bytes", bytes.len()),
            Decoded::Malformed { why, .. } => format!("malformed asset, {}: {why}", fingerprint(bytes)),
            Decoded::Opaque => format!("opaque, {}", fingerprint(bytes)),
        }
    }
}

impl WalletAsset {
    fn new(asset: &PbAsset, wallet: &PbWallet) -> Self {
        let transfer = |t: &crate::wire::PbWalletTransfer| Transfer {
            to: t.to.clone(),
            amount: t.amount,
            asset_id: t.asset_id.clone(),
        };
        let settlement = |s: &crate::wire::PbSettlement| Settlement {
            amount: s.amount,
            destination: s.destination.clone(),
            fee: s.fee_like,
        };
        // Where an entry has no value it has the empty one, to every reader of a map.
        let conditions = || asset.transferlist.iter().map(|entry| entry.value.clone().unwrap_or_default());
        WalletAsset {
            id: asset.id.clone(),
            owner: asset.owner.clone(),
            transfer_type: asset.transfer_type,
            currency: wallet.currency,
            spent_balance: wallet.spent_balance,
            transfers: wallet.transfers.iter().map(transfer).collect(),
            settlements: wallet.settlements.iter().map(settlement).collect(),
            participants: once(conditions().flat_map(|c| c.participants).map(|p| p.value.unwrap_or_default())),
            expressions: once(conditions().map(|c| c.expression)),
            other_fields: other_fields(asset, wallet),
            description: asset.description.clone(),
            wallet_description: wallet.description.clone(),
        }
    }

    /// What the bytes themselves say this is; `None` where they say neither, or both.
    pub fn action_kind(&self) -> Option<ActionKind> {
        match (self.transfer_type, self.transfers.is_empty(), self.settlements.is_empty()) {
            (transfer_type::TRANSFER_PUSH, false, true) => Some(ActionKind::Transfer),
            (transfer_type::SETTLE_PUSH, true, false) => Some(ActionKind::Withdraw),
            _ => None,
        }
    }

    pub fn transfer_name(&self) -> &'static str {
        transfer_name(self.transfer_type)
    }

    /// Something may leave the house: there is a settlement, or the asset says that it is one.
    pub fn leaves(&self) -> bool {
        let settles = matches!(self.transfer_type, transfer_type::SETTLE_PUSH | transfer_type::SETTLE_PULL);
        settles || !self.settlements.is_empty()
    }

    /// An amount, a fee or a balance below zero: nothing that a wallet can mean.
    pub fn has_negative_amount(&self) -> bool {
        self.spent_balance < 0
            || self.transfers.iter().any(|t| t.amount < 0)
            || self.settlements.iter().any(|s| s.amount < 0 || s.fee < 0)
    }

    /// E.g. `6400 of currency 4 → 0xa2Ba…69c8 fee 3150000 (settle-push)`; no fee, no word of it.
    pub fn summary(&self) -> String {
        const SHOWN: usize = 3;
        let inside = self.transfers.iter().map(|t| (t.amount, short(&hex::encode(&t.to)), 0));
        let outside = self.settlements.iter().map(|s| (s.amount, short(&s.destination), s.fee));
        let moves: Vec<String> = outside
            .chain(inside)
            .take(SHOWN)
            .map(|(amount, to, fee)| {
                let fee = if fee == 0 { String::new() } else { format!(" fee {fee}") };
                format!("{amount} of currency {} → {to}{fee}", self.currency)
            })
            .collect();
        let moves = if moves.is_empty() { "nothing moved".to_owned() } else { moves.join(", ") };
        let more = match (self.transfers.len() + self.settlements.len()).saturating_sub(SHOWN) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        format!("{moves}{more} ({})", transfer_name(self.transfer_type))
    }
}

impl IdDoc {
    fn new(asset: &PbAsset, iddoc: &PbIdDoc) -> Self {
        IdDoc {
            id: asset.id.clone(),
            name: asset.name.clone(),
            authentication_reference: iddoc.authentication_reference.clone(),
            bls_public_key: iddoc.bls_public_key.clone(),
            ec_public_key: iddoc.ec_public_key.clone(),
            timestamp: iddoc.timestamp,
        }
    }
}

pub(crate) fn transfer_name(number: i64) -> &'static str {
    TRANSFER_TYPES.iter().find(|(known, _)| *known == number).map_or("no transfer type", |(_, name)| name)
}

/// The transfer types' names, as a policy has them (protocol.md §6).
pub const TRANSFER_TYPES: [(i64, &str); 8] = [
    (transfer_type::NONE, "none"),
    (transfer_type::SETTLE_PUSH, "settle-push"),
    (transfer_type::SETTLE_PULL, "settle-pull"),
    (transfer_type::TRANSFER_PUSH, "transfer-push"),
    (transfer_type::TRANSFER_PULL, "transfer-pull"),
    (transfer_type::SWAP, "swap"),
    (transfer_type::LOAD, "load"),
    (transfer_type::GROUP, "group"),
];

/// In their order, each once.
fn once<T: Ord + Clone>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    all.filter(|one| seen.insert(one.clone())).collect()
}

fn other_fields(asset: &PbAsset, wallet: &PbWallet) -> Vec<&'static str> {
    let set = [
        asset.index != 0,
        !asset.tags.is_empty(),
        wallet.spent_balance != 0,
        !wallet.principal.is_empty(),
        !wallet.creditor.is_empty(),
        !wallet.initiator.is_empty(),
        !wallet.address.is_empty(),
        !wallet.counterparty.is_empty(),
        !wallet.transaction_hash.is_empty(),
    ];
    OTHER_FIELDS.into_iter().zip(set).filter_map(|(name, set)| set.then_some(name)).collect()
}

fn fingerprint(bytes: &[u8]) -> String {
    format!("{} bytes, SHA-256 {}…", bytes.len(), hex::encode(&Sha256::digest(bytes)[..8]))
}

/// To a reader of 32 bits, an enumeration's value that does not fit is another one: 2³² + 1 is Bitcoin, 1. The asset's
/// own type and transfer type are held against their lists.
fn enumerations_fit(asset: &PbAsset) -> bool {
    let fits = |number: i64| i32::try_from(number).is_ok();
    let currency = match &asset.payload {
        Some(Payload::Wallet(wallet)) => wallet.currency,
        _ => 0,
    };
    fits(currency) && asset.transferlist.iter().filter_map(|entry| entry.value.as_ref()).all(|value| fits(value.kind))
}

/// A missing key is the empty key to whoever reads a map.
fn has_duplicate_keys(asset: &PbAsset) -> bool {
    fn repeats<'a>(keys: impl Iterator<Item = &'a Option<String>>) -> bool {
        let mut seen = HashSet::new();
        keys.into_iter().any(|key| !seen.insert(key.as_deref().unwrap_or_default()))
    }
    let entries = |entries: &[BytesEntry]| repeats(entries.iter().map(|entry| &entry.key));
    let transfers = asset.transferlist.iter();
    repeats(transfers.clone().map(|entry| &entry.key))
        || entries(&asset.tags)
        || transfers.filter_map(|entry| entry.value.as_ref()).any(|transfer| entries(&transfer.participants))
}

/// What the most tolerant of readers could find at the top level: one that takes varints of any length, lets the last of
/// several values win, narrows numbers to 32 bits, looks into groups, and keeps what it read before an error (as Go's
/// `proto.Unmarshal` leaves it behind). Missing an asset here would let it pass as opaque. One too many costs an innocent
/// message: it is held, whatever a rule says, and for an IDDoc it is denied, which nobody can undo.
#[derive(Default)]
struct Marks {
    /// A varint in field 1, or any of the payloads' fields.
    asset: bool,
    /// A 2 in field 1, or a field 17 with a length: without one it holds no message, for any reader.
    iddoc: bool,
}

impl Marks {
    fn of(bytes: &[u8]) -> Marks {
        let mut marks = Marks::default();
        let mut rest = bytes;
        while marks.field(&mut rest).is_some() {}
        marks
    }

    /// `None` at the end, or where no reader can go on.
    fn field(&mut self, rest: &mut &[u8]) -> Option<()> {
        let tag = varint(rest)?;
        let wire_type = tag & 7;
        // Narrowed: a number that fits is the same to all.
        let field = (tag & 0xffff_ffff) >> 3;
        self.asset |= (15..=20).contains(&field) || (field == 1 && wire_type == 0);
        self.iddoc |= field == 17 && wire_type == 2;
        match wire_type {
            0 => {
                let value = varint(rest)?;
                self.iddoc |= field == 1 && value & 0xffff_ffff == 2;
            }
            1 => *rest = rest.get(8..)?,
            2 => {
                // Cut to 32 bits for those who do; who does not ends here, for no message is as long as the whole.
                let length = usize::try_from(varint(rest)? & 0xffff_ffff).ok()?;
                *rest = rest.get(length..)?;
            }
            5 => *rest = rest.get(4..)?,
            // A group's start and end (3, 4) have no content of their own.
            3 | 4 => {}
            _ => return None,
        }
        Some(())
    }
}

/// At most ten bytes; bits above 64 are dropped.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for place in 0..10 {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
