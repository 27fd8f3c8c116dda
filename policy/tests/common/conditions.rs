//! Actions that show one fact each.

use policy::Action;
use policy::wire::{Payload, PbAsset, PbSettlement, PbWallet, PbWalletTransfer, transfer_type};

/// What a condition is of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fits {
    /// All of it, and all is known.
    All,
    Not,
    /// Some of it, or some of what it could be: enough for a hold or a deny, not for an approve.
    Part,
    Missing,
    /// There is nothing that could fail to fit: enough for an approve, not for a hold or a deny.
    NothingThere,
    /// Neither approved nor denied nor held by the rule.
    Doubtful,
}

#[derive(Debug)]
pub struct Case {
    pub claim: Option<&'static str>,
    pub messages: Vec<Vec<u8>>,
    pub expires: Option<u64>,
    pub now: Option<u64>,
}

impl Default for Case {
    fn default() -> Case {
        Case { claim: None, messages: Vec::new(), expires: Some(super::NOON + 3600), now: Some(super::NOON) }
    }
}

impl Case {
    pub fn action(&self) -> Action<'_> {
        Action { claimed_type: self.claim, messages: &self.messages, expires: self.expires, now: self.now }
    }
}

/// One message at noon.
pub fn of(message: Vec<u8>) -> Case {
    Case { messages: vec![message], ..Case::default() }
}

pub fn clock(now: Option<u64>) -> Case {
    Case { now, ..of(super::bytes(&super::transfer())) }
}

pub fn with(mut asset: PbAsset, change: impl Fn(&mut PbAsset, &mut PbWallet)) -> Vec<u8> {
    let Some(Payload::Wallet(mut wallet)) = asset.payload.take() else { panic!("no wallet") };
    change(&mut asset, &mut wallet);
    asset.payload = Some(Payload::Wallet(wallet));
    super::bytes(&asset)
}

/// Five units to each, without fees.
pub fn moving(currency: i64, inside: &[&[u8]], outside: &[&str]) -> Vec<u8> {
    let kind = if outside.is_empty() { transfer_type::TRANSFER_PUSH } else { transfer_type::SETTLE_PUSH };
    with(super::wallet(kind, &[], &[]), |_, wallet| {
        wallet.currency = currency;
        let to = |to: &&[u8]| PbWalletTransfer { to: to.to_vec(), amount: 5, asset_id: vec![] };
        wallet.transfers = inside.iter().map(to).collect();
        let settlement = |to: &&str| PbSettlement { amount: 5, destination: (*to).into(), fee_like: 0 };
        wallet.settlements = outside.iter().map(settlement).collect();
    })
}

/// Settlements with these fees.
pub fn paying(currency: i64, fees: &[i64]) -> Vec<u8> {
    with(super::wallet(transfer_type::SETTLE_PUSH, &[], &[]), |_, wallet| {
        wallet.currency = currency;
        let settlement = |fee: &i64| PbSettlement { amount: 5, destination: "0xab".into(), fee_like: *fee };
        wallet.settlements = fees.iter().map(settlement).collect();
    })
}
