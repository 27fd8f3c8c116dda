//! The two messages that the world has published.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{generous, judge, sample};
use policy::wire::{Message, PbAsset};
use policy::{ActionKind, Decoded, Verdict, decode};

#[test]
fn the_withdrawal_says_what_it_moves_where() {
    let (bytes, expect) = sample("withdraw_message");
    let Decoded::Wallet(wallet) = decode(&bytes) else { panic!("{:?}", decode(&bytes)) };
    assert_eq!(hex::encode(&wallet.id), expect["id"].as_str().unwrap());
    assert_eq!(wallet.currency, expect["currency"].as_i64().unwrap());
    assert_eq!(wallet.description, expect["description"].as_str().unwrap());
    let [settlement] = &wallet.settlements[..] else { panic!("{wallet:?}") };
    assert_eq!(settlement.amount, expect["amount"].as_i64().unwrap());
    assert_eq!(settlement.destination, expect["destination"].as_str().unwrap());
    assert_eq!(settlement.fee, expect["fee_like"].as_i64().unwrap());
    assert_eq!(wallet.action_kind(), Some(ActionKind::Withdraw));
    assert_eq!(wallet.summary(), "6400 of currency 4 → 0xa2Ba…69c8 fee 3150000 (settle-push)");
    assert_eq!(PbAsset::decode(&bytes[..]).unwrap().encode_to_vec(), bytes);
    assert_eq!(judge(&generous(), Some("ApproveWithdraw"), &[bytes]).verdict, Verdict::Approve);
}

#[test]
fn the_iddoc_names_its_keys_and_is_never_an_action() {
    let (bytes, expect) = sample("iddoc");
    let Decoded::IdDoc(iddoc) = decode(&bytes) else { panic!("{:?}", decode(&bytes)) };
    assert_eq!(iddoc.name, expect["name"].as_str().unwrap());
    assert_eq!(iddoc.authentication_reference, iddoc.name);
    assert_eq!(iddoc.bls_public_key.len() as u64, expect["bls_public_key_len"].as_u64().unwrap());
    assert_eq!(iddoc.ec_public_key.len(), 65);
    assert!(hex::encode(&iddoc.ec_public_key).starts_with(expect["ec_public_key_prefix"].as_str().unwrap()));
    assert_eq!(PbAsset::decode(&bytes[..]).unwrap().encode_to_vec(), bytes);
    let judgement = judge(&generous(), Some("ApproveTransfer"), &[bytes]);
    assert_eq!((judgement.verdict, judgement.rule.as_deref()), (Verdict::Deny, None));
    assert!(judgement.why.contains("IDDoc") && !judgement.may_release());
}
