//! What holds for any input.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{action, bytes, iddoc, sample, transfer, wallet, withdrawal};
use policy::wire::{Message, PbAsset};
use policy::{Decoded, Policy, Verdict, decode};
use proptest::prelude::*;

/// Verdict, action types, allow_opaque.
type Said = (&'static str, Option<Vec<&'static str>>, bool);

fn rule() -> impl Strategy<Value = Said> {
    let types = prop::sample::subsequence(vec!["ApproveTransfer", "ApproveWithdraw", "ApproveSwap"], 1..=3);
    (prop::sample::select(vec!["approve", "hold", "deny"]), prop::option::of(types), any::<bool>())
}

fn text(rules: &[(usize, Said)]) -> String {
    let mut text = String::new();
    for (name, (verdict, types, opaque)) in rules {
        text += &format!("[[rule]]\nname = \"r{name}\"\nverdict = \"{verdict}\"\n");
        if let Some(types) = types {
            text += &format!("action_types = {types:?}\n");
        }
        if *verdict == "approve" {
            text += &format!("unlimited = true\nallow_opaque = {opaque}\n");
        }
    }
    text
}

fn claim() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(vec!["ApproveTransfer", "ApproveWithdraw", "ApproveSwap"]))
}

/// Good ones, good ones with some bytes changed, and noise.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let good = vec![
        bytes(&transfer()),
        bytes(&withdrawal()),
        bytes(&iddoc()),
        bytes(&wallet(6, &[1], &[])),
        bytes(&wallet(4, &[1], &[1])),
        sample("withdraw_message").0,
        sample("iddoc").0,
        b"opaque".to_vec(),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    let changed = (prop::sample::select(good.clone()), changes).prop_map(|(mut message, changes)| {
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        message
    });
    prop_oneof![prop::sample::select(good), changed, prop::collection::vec(any::<u8>(), 0..80)]
}

proptest! {
    #![proptest_config(common::cases(2000))]

    #[test]
    fn no_input_panics_and_what_is_understood_is_canonical(message in message()) {
        let decoded = decode(&message);
        prop_assert!(decoded.summary(&message).chars().count() < 600);
        if matches!(decoded, Decoded::Wallet(_) | Decoded::IdDoc(_) | Decoded::Other { .. }) {
            prop_assert_eq!(PbAsset::decode(&message[..]).unwrap().encode_to_vec(), message);
        }
    }

    #[test]
    fn whatever_prost_would_read_as_an_asset_is_not_opaque(message in message()) {
        if PbAsset::decode(&message[..]).is_ok_and(|asset| asset.kind != 0 || asset.payload.is_some()) {
            prop_assert_ne!(decode(&message), Decoded::Opaque);
        }
    }

    #[test]
    fn no_text_panics(text in "(\\[\\[rule\\]\\]\n)?[a-z_ =\"\n\\[\\]ä]{0,60}") {
        if let Err(error) = Policy::parse(&text) {
            prop_assert!(error.to_string().contains(": "));
        }
    }

    #[test]
    fn the_order_of_the_rules_never_matters(
        (rules, shuffled) in prop::collection::vec(rule(), 0..6).prop_map(|rules| rules.into_iter().enumerate().collect::<Vec<_>>())
            .prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
        claimed_type in claim(),
        messages in prop::collection::vec(message(), 0..3),
    ) {
        let action = action(claimed_type, &messages);
        let one = Policy::parse(&text(&rules)).unwrap().judge(&action);
        prop_assert_eq!(one, Policy::parse(&text(&shuffled)).unwrap().judge(&action));
    }

    #[test]
    fn another_deny_or_hold_rule_never_loosens_a_verdict(
        rules in prop::collection::vec(rule(), 0..5),
        added in rule().prop_filter("no approval", |(verdict, ..)| *verdict != "approve"),
        claimed_type in claim(),
        messages in prop::collection::vec(message(), 0..3),
    ) {
        let mut rules: Vec<_> = rules.into_iter().enumerate().collect();
        let action = action(claimed_type, &messages);
        let before = Policy::parse(&text(&rules)).unwrap().judge(&action).verdict;
        rules.push((rules.len(), added));
        prop_assert!(Policy::parse(&text(&rules)).unwrap().judge(&action).verdict >= before);
    }

    #[test]
    fn no_claim_and_no_rule_approves_what_is_no_wallet_or_allowed_opaque(
        rules in prop::collection::vec(rule(), 0..5),
        claimed_type in claim(),
        message in message(),
    ) {
        let rules: Vec<_> = rules.into_iter().enumerate().collect();
        let messages = [message];
        let verdict = Policy::parse(&text(&rules)).unwrap().judge(&action(claimed_type, &messages)).verdict;
        let allows = rules.iter().any(|(_, (verdict, _, opaque))| *verdict == "approve" && *opaque);
        match decode(&messages[0]) {
            Decoded::Wallet(_) => {}
            Decoded::Opaque => prop_assert!(verdict > Verdict::Approve || (allows && !messages[0].is_empty())),
            Decoded::IdDoc(_) | Decoded::Malformed { iddoc_like: true, .. } => prop_assert_eq!(verdict, Verdict::Deny),
            Decoded::Other { .. } | Decoded::Malformed { .. } => prop_assert!(verdict > Verdict::Approve),
        }
    }
}
