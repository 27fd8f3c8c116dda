//! What a tolerant reader could take for an asset is never approved by rule, and for an IDDoc never at all, not even by a
//! rule that approves whatever is opaque.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{bytes, generous, iddoc, judge, transfer, wallet, withdrawal};
use policy::wire::{BytesEntry, Message, Payload, PbSettlement, PbTransfer, PbWallet, TransferEntry, transfer_type};
use policy::{Decoded, Verdict, decode};

fn verdict(message: Vec<u8>) -> Verdict {
    judge(&generous(), None, &[message]).verdict
}

fn denied(message: impl Into<Vec<u8>>) {
    let message = message.into();
    assert_eq!(verdict(message.clone()), Verdict::Deny, "{} {:?}", hex::encode(&message), decode(&message));
}

fn held(message: impl Into<Vec<u8>>) {
    let message = message.into();
    assert!(matches!(decode(&message), Decoded::Malformed { iddoc_like: false, .. }), "{:?}", decode(&message));
    assert_eq!(verdict(message.clone()), Verdict::Hold, "{}", hex::encode(&message));
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn the_generous_policy_approves_what_is_well_made_or_opaque() {
    for message in [bytes(&transfer()), bytes(&withdrawal()), b"not protobuf at all".to_vec(), vec![0xff; 32]] {
        assert_eq!(verdict(message), Verdict::Approve);
    }
}

#[test]
fn an_iddoc_is_denied_in_every_dress() {
    let plain = bytes(&iddoc());
    let rest = &plain[2..];
    assert_eq!(plain[..2], [8, 2]);
    denied(plain.clone());
    denied(joined(&[&[0x08, 0x82, 0x00], rest])); // a 2 in two bytes
    denied(joined(&[&[0x88, 0x00, 0x02], rest])); // the tag in two bytes
    denied(joined(&[&[0x08, 0x82, 0x80, 0x80, 0x80, 0x10], rest])); // 2 + 2³², narrowed by an int32
    denied(joined(&[&[0x88, 0x80, 0x80, 0x80, 0x80, 0x01, 0x02], rest])); // the tag + 2³⁵
    denied(joined(&[&[0x08, 0x05], &plain])); // the last of two types wins
    denied(joined(&[&plain, &[0x08, 0x05]])); // the first wins
    denied(joined(&[&bytes(&transfer()), rest])); // the last of two payloads wins
    denied(joined(&[rest, &bytes(&transfer())]));
    denied(joined(&[&plain, &[0xa0, 0x06, 0x01]])); // an unknown field 100
    denied(joined(&[&[0xa0, 0x06, 0x01], &plain]));
    denied(joined(&[&plain, &[0x20, 0x00]])); // an explicit zero
    denied(rest); // no type
    denied([0x08, 0x02]); // no payload
    denied(joined(&[&[0x0b], &plain, &[0x0c]])); // inside a group
    denied(&plain[..plain.len() - 1]); // cut short: what was read stays in Go's message
    denied(joined(&[&plain, &[0xff; 12]])); // garbage behind it
    denied([0x08, 0x05, 0x8a, 0x01, 0x00]); // type and payload at odds
    denied([0x8a, 0x01, 0x00]); // the payload alone
    denied([0x0a, 0x00, 0x08, 0x02]); // the type alone, behind a field 1 that is none
    denied([0x08, 0x82, 0x80, 0x80, 0x80, 0x10]); // 2 + 2³² and nothing else
    denied([0x8a, 0x81, 0x80, 0x80, 0x10, 0x00]); // field 17's tag + 2³² and nothing else
}

#[test]
fn what_a_length_beyond_32_bits_hides_is_seen() {
    // 2³², which no message fits in: who reads it in 64 bits stops, who narrows it skips nothing and goes on.
    let skipped = [0x12, 0x80, 0x80, 0x80, 0x80, 0x10];
    denied(joined(&[&skipped, &[0x08, 0x02, 0x8a, 0x01, 0x00]]));
    denied(joined(&[&skipped, &[0x8a, 0x01, 0x00]]));
    held(joined(&[&skipped, &[0x08, 0x05, 0x7a, 0x00]]));
    // 2³² + 2: two bytes are skipped, not none.
    let skipped = [0x12, 0x82, 0x80, 0x80, 0x80, 0x10, 0xff, 0xff];
    denied(joined(&[&skipped, &[0x08, 0x02, 0x8a, 0x01, 0x00]]));
    held(joined(&[&skipped, &[0x08, 0x05, 0x7a, 0x00]]));
}

#[test]
fn a_field_17_that_cannot_hold_an_iddoc_is_held_and_not_denied() {
    held([0x88, 0x01, 0x00]);
    held([0x89, 0x01, 0, 0, 0, 0, 0, 0, 0, 0]);
    held([0x8b, 0x01, 0x8c, 0x01]);
    held([0x8d, 0x01, 0, 0, 0, 0]);
    held([0x8f, 0x01]);
}

#[test]
fn a_wallet_asset_that_is_not_canonical_is_never_approved_by_rule() {
    let plain = bytes(&transfer());
    held(joined(&[&[0x08, 0x85, 0x00], &plain[2..]]));
    held(joined(&[&[0x88, 0x00, 0x05], &plain[2..]]));
    held(joined(&[&plain, &[0x08, 0x05]]));
    held(joined(&[&plain, &[0xa0, 0x06, 0x01]]));
    held(joined(&[&plain, &[0x42, 0x00]])); // field 8 is not known
    held(joined(&[&[0x20, 0x00], &plain]));
    held(joined(&[&plain[2..], &plain[..2]]));
    held(&plain[2..]);
    held([0x08, 0x05]);
    held(&plain[..plain.len() - 1]);
    held([0x08]);
    held([0x08, 0x07, 0x7a, 0x00]);
    held([0x08, 0x04, 0x7a, 0x00]);
    // Twice the payload: prost would merge them into one.
    let payload = Payload::Wallet(PbWallet { currency: 9, ..PbWallet::default() });
    let mut second = Vec::new();
    payload.encode(&mut second);
    held(joined(&[&plain, &second]));
    // An unknown field inside the payload.
    let mut inner = PbWallet { currency: 4, ..PbWallet::default() }.encode_to_vec();
    inner.extend([0x28, 0x01]);
    held(joined(&[&[0x08, 0x05, 0x7a, inner.len() as u8], &inner]));
    // A text that is no text.
    held([0x08, 0x05, 0x5a, 0x01, 0xff, 0x7a, 0x00]);
}

#[test]
fn a_transfer_type_out_of_the_schema_is_never_approved_by_rule() {
    held(bytes(&wallet(9, &[5], &[])));
    held(bytes(&wallet(-1, &[5], &[])));
    held(bytes(&wallet(transfer_type::TRANSFER_PUSH + (1 << 32), &[5], &[])));
}

#[test]
fn an_enumeration_that_32_bits_do_not_hold_is_never_approved_by_rule() {
    let with_currency = |currency| {
        let mut asset = transfer();
        let Some(Payload::Wallet(wallet)) = &mut asset.payload else { unreachable!() };
        wallet.currency = currency;
        bytes(&asset)
    };
    for currency in [1, 4, i64::from(i32::MAX), i64::from(i32::MIN)] {
        assert!(matches!(decode(&with_currency(currency)), Decoded::Wallet(_)));
    }
    // The first is 1, Bitcoin, to who reads it in 32 bits.
    for currency in [(1 << 32) + 1, i64::from(i32::MAX) + 1, i64::from(i32::MIN) - 1, i64::MAX, i64::MIN] {
        held(with_currency(currency));
    }

    let with_condition = |kind| {
        let mut asset = transfer();
        let value = Some(PbTransfer { kind, ..PbTransfer::default() });
        asset.transferlist = vec![TransferEntry { key: Some("x".into()), value }];
        bytes(&asset)
    };
    assert!(matches!(decode(&with_condition(transfer_type::TRANSFER_PUSH)), Decoded::Wallet(_)));
    held(with_condition((1 << 32) + transfer_type::TRANSFER_PUSH));

    let mut asset = transfer();
    asset.kind += 1 << 32;
    held(bytes(&asset));
}

#[test]
fn a_map_with_a_key_twice_is_never_approved_by_rule() {
    let entry = |key: Option<&str>| BytesEntry { key: key.map(str::to_owned), value: Some(vec![1]) };
    let mut asset = transfer();
    asset.tags = vec![entry(Some("a")), entry(Some("b")), entry(None)];
    assert!(matches!(decode(&bytes(&asset)), Decoded::Wallet(_)));
    asset.tags = vec![entry(Some("a")), entry(Some("b")), entry(Some("a"))];
    held(bytes(&asset));
    asset.tags = vec![entry(Some("")), entry(None)];
    held(bytes(&asset));

    let mut asset = transfer();
    let condition = PbTransfer { participants: vec![entry(Some("a")), entry(Some("a"))], ..PbTransfer::default() };
    asset.transferlist = vec![TransferEntry { key: Some("x".into()), value: Some(condition) }];
    held(bytes(&asset));
    let empty = TransferEntry { key: Some("x".into()), value: Some(PbTransfer::default()) };
    asset.transferlist = vec![empty.clone(), empty.clone()];
    held(bytes(&asset));
    asset.transferlist = vec![empty];
    assert!(matches!(decode(&bytes(&asset)), Decoded::Wallet(_)), "Go writes empty map values");
}

#[test]
fn other_assets_are_never_approved_by_rule() {
    let payloads = [
        (1, Payload::Group(vec![])),
        (3, Payload::Underlying(vec![1])),
        (4, Payload::KeyValue(vec![1])),
        (6, Payload::Mpc(vec![1])),
    ];
    for (kind, payload) in payloads {
        let mut asset = transfer();
        (asset.kind, asset.payload) = (kind, Some(payload));
        assert!(matches!(decode(&bytes(&asset)), Decoded::Other { .. }));
        assert_eq!(verdict(bytes(&asset)), Verdict::Hold);
        assert!(judge(&generous(), None, &[bytes(&asset)]).may_release());
        asset.kind = 5;
        held(bytes(&asset));
    }
}

#[test]
fn a_negative_amount_is_never_approved_by_rule() {
    for asset in [
        wallet(transfer_type::TRANSFER_PUSH, &[5, -1], &[]),
        wallet(transfer_type::SETTLE_PUSH, &[], &[i64::MIN]),
        {
            let mut asset = withdrawal();
            let Some(Payload::Wallet(wallet)) = &mut asset.payload else { unreachable!() };
            wallet.settlements[0].fee_like = -1;
            asset
        },
        {
            let mut asset = transfer();
            let Some(Payload::Wallet(wallet)) = &mut asset.payload else { unreachable!() };
            wallet.spent_balance = -1;
            asset
        },
    ] {
        assert!(matches!(decode(&bytes(&asset)), Decoded::Wallet(_)));
        let judgement = judge(&generous(), None, &[bytes(&asset)]);
        assert_eq!(judgement.verdict, Verdict::Hold);
        assert!(judgement.why.contains("negative"));
    }
}

#[test]
fn foreign_text_is_safe_to_print() {
    let mut asset = withdrawal();
    let Some(Payload::Wallet(wallet)) = &mut asset.payload else { unreachable!() };
    wallet.settlements[0].destination = "\x1b[2J\n\u{202e}0x12345678901234567890".into();
    let facts = judge(&generous(), Some("\x1b]0;\u{202e}"), &[bytes(&asset)]);
    for text in facts.facts.iter().chain([&facts.why]) {
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
    let Some(Payload::Wallet(wallet)) = &mut asset.payload else { unreachable!() };
    wallet.settlements = vec![wallet.settlements[0].clone(); 1000];
    let facts = judge(&generous(), None, &[bytes(&asset)]).facts;
    assert!(facts[0].len() < 500 && facts[0].contains("and 997 more"), "{facts:?}");
}

#[test]
fn foreign_text_shows_no_letter_that_is_not_ascii() {
    // Hebrew and Arabic turn the direction; a Cyrillic a looks like ours; a Hangul filler is a letter that shows nothing.
    for (foreign, shown) in [
        ("\u{5d0}\u{5d1}", "\\u{5d0}\\u{5d1}"),
        ("\u{627}", "\\u{627}"),
        ("0x\u{430}", "0x\\u{430}"),
        ("\u{3164}", "\\u{3164}"),
        ("0x\u{e9}", "0x\\u{e9}"),
    ] {
        let mut asset = withdrawal();
        let Some(Payload::Wallet(wallet)) = &mut asset.payload else { unreachable!() };
        wallet.settlements[0].destination = foreign.into();
        let judgement = judge(&generous(), Some(foreign), &[bytes(&asset)]);
        assert!(judgement.facts[0].contains(shown), "{:?}", judgement.facts);
        assert!(judgement.why.contains(shown) && judgement.why.is_ascii(), "{:?}", judgement.why);
        let mut asset = iddoc();
        asset.name = foreign.into();
        let summary = decode(&bytes(&asset)).summary(&[]);
        assert!(summary.contains(shown) && summary.is_ascii(), "{summary:?}");
    }
}

#[test]
fn a_fee_is_shown_wherever_there_is_one() {
    let mut asset = withdrawal();
    let Some(Payload::Wallet(wallet)) = &mut asset.payload else { unreachable!() };
    wallet.settlements =
        [0, 3150000, -1].map(|fee_like| PbSettlement { amount: 5, destination: "0xab".into(), fee_like }).into();
    let moved = "5 of currency 4 → 0xab";
    let expected = format!("{moved}, {moved} fee 3150000, {moved} fee -1 (settle-push)");
    assert_eq!(decode(&bytes(&asset)).summary(&[]), expected);
}
