//! The Qredochain asset as protobuf messages, by hand: the public schema of 2020 and the fields that the published samples
//! of 2022 show. Integers are int64 varints, enumerations too, so that no value is lost on reading.
//!
//! Maps are repeated entries with optional key and value, in the order as read: a map type would sort them, and would drop
//! the empty values that Go writes. The payloads of which nothing is known are kept as bytes.

pub use prost::Message;
use prost::Oneof;

/// `PBAsset.Type`.
pub mod asset_type {
    pub const GROUP: i64 = 1;
    pub const IDDOC: i64 = 2;
    pub const UNDERLYING: i64 = 3;
    pub const KEY_VALUE: i64 = 4;
    pub const WALLET: i64 = 5;
    pub const MPC: i64 = 6;
}

/// `PBAsset.TransferType`.
pub mod transfer_type {
    pub const NONE: i64 = 1;
    pub const SETTLE_PUSH: i64 = 2;
    pub const SETTLE_PULL: i64 = 3;
    pub const TRANSFER_PUSH: i64 = 4;
    pub const TRANSFER_PULL: i64 = 5;
    pub const SWAP: i64 = 6;
    pub const LOAD: i64 = 7;
    pub const GROUP: i64 = 8;
}

#[derive(Clone, PartialEq, Message)]
pub struct PbAsset {
    /// One of [`asset_type`].
    #[prost(int64, tag = "1")]
    pub kind: i64,
    #[prost(bytes = "vec", tag = "2")]
    pub id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub owner: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub index: i64,
    /// One of [`transfer_type`].
    #[prost(int64, tag = "5")]
    pub transfer_type: i64,
    #[prost(message, repeated, tag = "6")]
    pub transferlist: Vec<TransferEntry>,
    #[prost(message, repeated, tag = "7")]
    pub tags: Vec<BytesEntry>,
    /// Seen in an IDDoc.
    #[prost(string, tag = "9")]
    pub name: String,
    /// Seen, 32 bytes; what it means is not known.
    #[prost(bytes = "vec", tag = "10")]
    pub unnamed_10: Vec<u8>,
    #[prost(string, tag = "11")]
    pub description: String,
    #[prost(oneof = "Payload", tags = "15, 16, 17, 18, 19, 20")]
    pub payload: Option<Payload>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Payload {
    #[prost(message, tag = "15")]
    Wallet(PbWallet),
    #[prost(bytes, tag = "16")]
    Group(Vec<u8>),
    #[prost(message, tag = "17")]
    IdDoc(PbIdDoc),
    #[prost(bytes, tag = "18")]
    Underlying(Vec<u8>),
    #[prost(bytes, tag = "19")]
    KeyValue(Vec<u8>),
    #[prost(bytes, tag = "20")]
    Mpc(Vec<u8>),
}

/// An entry of map<string, PBTransfer>.
#[derive(Clone, PartialEq, Message)]
pub struct TransferEntry {
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub value: Option<PbTransfer>,
}

/// An entry of map<string, bytes>.
#[derive(Clone, PartialEq, Message)]
pub struct BytesEntry {
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub value: Option<Vec<u8>>,
}

/// A condition under which the asset may be moved.
#[derive(Clone, PartialEq, Message)]
pub struct PbTransfer {
    #[prost(int64, tag = "1")]
    pub kind: i64,
    /// E.g. `t1 > 0`, over the names of the participants.
    #[prost(string, tag = "2")]
    pub expression: String,
    #[prost(message, repeated, tag = "3")]
    pub participants: Vec<BytesEntry>,
    #[prost(string, tag = "4")]
    pub description: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct PbWallet {
    #[prost(int64, tag = "1")]
    pub currency: i64,
    #[prost(int64, tag = "2")]
    pub spent_balance: i64,
    #[prost(message, repeated, tag = "3")]
    pub transfers: Vec<PbWalletTransfer>,
    /// Seen in 2022: to an address outside.
    #[prost(message, repeated, tag = "4")]
    pub settlements: Vec<PbSettlement>,
    #[prost(string, tag = "11")]
    pub description: String,
    #[prost(bytes = "vec", tag = "12")]
    pub principal: Vec<u8>,
    #[prost(bytes = "vec", tag = "13")]
    pub creditor: Vec<u8>,
    #[prost(bytes = "vec", tag = "14")]
    pub initiator: Vec<u8>,
    #[prost(bytes = "vec", tag = "15")]
    pub address: Vec<u8>,
    #[prost(bytes = "vec", tag = "16")]
    pub counterparty: Vec<u8>,
    #[prost(bytes = "vec", tag = "17")]
    pub transaction_hash: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PbWalletTransfer {
    #[prost(bytes = "vec", tag = "1")]
    pub to: Vec<u8>,
    #[prost(int64, tag = "2")]
    pub amount: i64,
    #[prost(bytes = "vec", tag = "3")]
    pub asset_id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PbSettlement {
    #[prost(int64, tag = "2")]
    pub amount: i64,
    #[prost(string, tag = "4")]
    pub destination: String,
    /// A fee, by its looks.
    #[prost(int64, tag = "8")]
    pub fee_like: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct PbIdDoc {
    #[prost(string, tag = "1")]
    pub authentication_reference: String,
    #[prost(bytes = "vec", tag = "3")]
    pub sike_public_key: Vec<u8>,
    /// 192 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub bls_public_key: Vec<u8>,
    #[prost(int64, tag = "5")]
    pub timestamp: i64,
    /// 65 bytes, uncompressed.
    #[prost(bytes = "vec", tag = "6")]
    pub ec_public_key: Vec<u8>,
}
