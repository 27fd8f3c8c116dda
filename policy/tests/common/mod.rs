//! Messages to judge.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod conditions;
pub mod generate;

use policy::wire::{Message, Payload, PbAsset, PbIdDoc, PbSettlement, PbWallet, PbWalletTransfer};
use policy::wire::{asset_type, transfer_type};
use policy::{Action, Judgement, Policy};
use proptest::test_runner::Config as ProptestConfig;

pub fn sample(name: &str) -> (Vec<u8>, serde_json::Value) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/qredochain-samples.json");
    let samples: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    (hex::decode(samples[name]["hex"].as_str().unwrap()).unwrap(), samples[name]["expect"].clone())
}

pub fn wallet(transfer_type: i64, transfers: &[i64], settlements: &[i64]) -> PbAsset {
    let transfers = transfers.iter().map(|&amount| PbWalletTransfer { to: vec![7; 32], amount, asset_id: vec![8; 32] });
    let settlements =
        settlements.iter().map(|&amount| PbSettlement { amount, destination: "0xab".into(), fee_like: 1 });
    PbAsset {
        kind: asset_type::WALLET,
        id: vec![1; 32],
        transfer_type,
        payload: Some(Payload::Wallet(PbWallet {
            currency: 4,
            transfers: transfers.collect(),
            settlements: settlements.collect(),
            ..PbWallet::default()
        })),
        ..PbAsset::default()
    }
}

pub fn transfer() -> PbAsset {
    wallet(transfer_type::TRANSFER_PUSH, &[5], &[])
}

pub fn withdrawal() -> PbAsset {
    wallet(transfer_type::SETTLE_PUSH, &[], &[5])
}

pub fn iddoc() -> PbAsset {
    PbAsset {
        kind: asset_type::IDDOC,
        id: vec![1; 32],
        payload: Some(Payload::IdDoc(PbIdDoc { bls_public_key: vec![2; 192], ..PbIdDoc::default() })),
        ..PbAsset::default()
    }
}

pub fn bytes(asset: &PbAsset) -> Vec<u8> {
    asset.encode_to_vec()
}

/// The most generous policy that can be written.
pub fn generous() -> Policy {
    policy("[[rule]]\nname = \"all\"\nverdict = \"approve\"\nunlimited = true\nallow_opaque = true\n")
}

pub fn policy(text: &str) -> Policy {
    Policy::parse(text).expect("a good policy")
}

pub fn judge(policy: &Policy, claimed_type: Option<&str>, messages: &[Vec<u8>]) -> Judgement {
    policy.judge(&action(claimed_type, messages))
}

/// At noon of Wednesday, 2 December 2026, UTC, an hour before it expires.
pub fn action<'a>(claimed_type: Option<&'a str>, messages: &'a [Vec<u8>]) -> Action<'a> {
    Action { claimed_type, messages, expires: Some(NOON + 3600), now: Some(NOON) }
}

pub const NOON: u64 = 1_796_212_800;

/// So many cases of each law, unless `PROPTEST_CASES` says how many (`make mutants` says fewer).
pub fn cases(usual: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
