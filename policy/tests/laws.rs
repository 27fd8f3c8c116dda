//! What holds for any input, in the whole language.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::conditions::Case;
use common::generate::{LISTS, RuleText, Said, asset, case, message, narrowing, rule, rules, text, windows};
use policy::wire::{Message, Payload, PbAsset, PbWallet};
use policy::{Decoded, Judgement, Policy, Verdict, decode};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn judge(rules: &[RuleText], case: &Case) -> Judgement {
    Policy::parse(&text(rules, &[], 0)).expect("a good policy").judge(&case.action())
}

/// The wallet asset, as prost reads it: nothing of ours.
fn on_the_wire(message: &[u8]) -> Option<(PbAsset, PbWallet)> {
    let asset = PbAsset::decode(message).ok()?;
    let Some(Payload::Wallet(wallet)) = asset.payload.clone() else { return None };
    Some((asset, wallet))
}

/// Amount by currency's name out of `["4 ETH", "3 BTC"]`, by its code.
fn limits(values: &[&str]) -> BTreeMap<i64, i128> {
    let one = |text: &&str| {
        let (number, name) = text.split_once(' ').unwrap();
        (if name == "ETH" { 4 } else { 1 }, number.parse().unwrap())
    };
    values.iter().map(one).collect()
}

/// Whether an approval of these messages by this rule keeps to what the rule says, counted anew from the wire.
fn keeps_to(rule: &RuleText, messages: &[Vec<u8>], message: &[u8]) -> Result<(), String> {
    let Some((asset, wallet)) = on_the_wire(message) else {
        let opaque = rule.opaque && matches!(decode(message), Decoded::Opaque);
        return if opaque { Ok(()) } else { Err("no wallet".into()) };
    };
    let code = wallet.currency;
    let amounts = |wallet: &PbWallet| -> Vec<i128> {
        let settled = wallet.settlements.iter().map(|s| i128::from(s.amount));
        settled.chain(wallet.transfers.iter().map(|t| i128::from(t.amount))).collect()
    };
    let fees = |wallet: &PbWallet| wallet.settlements.iter().map(|s| i128::from(s.fee_like)).sum::<i128>();
    let mut total = (0, 0);
    for other in messages.iter().filter_map(|message| on_the_wire(message)).filter(|(_, other)| other.currency == code)
    {
        total = (total.0 + amounts(&other.1).iter().sum::<i128>(), total.1 + fees(&other.1));
    }
    let within = |key: &str, value: i128| match rule.says(key).map(limits) {
        Some(limits) if limits.get(&code).is_none_or(|most| value > *most) => Err(format!("{key}: {value}")),
        _ => Ok(()),
    };
    amounts(&wallet).into_iter().try_for_each(|amount| within("max_amount_per_transfer", amount))?;
    within("max_amount_per_action", total.0)?;
    within("max_fee", total.1)?;
    if !rule.unlimited && rule.says("max_fee").is_none() && fees(&wallet) != 0 {
        return Err("a fee".into());
    }
    let listed = |to: &str, key: &str| {
        let same = |entry: &&str| if code == 4 { entry.eq_ignore_ascii_case(to) } else { *entry == to };
        let named = |name: &&str| LISTS.iter().any(|(list, entries)| list == name && entries.iter().any(same));
        rule.says(key).map(|names| names.iter().any(named))
    };
    let inside = wallet.transfers.iter().map(|t| format!("wallet:{}", hex::encode(&t.to)));
    for to in wallet.settlements.iter().map(|s| s.destination.clone()).chain(inside) {
        if listed(&to, "destinations") == Some(false) || listed(&to, "destinations_not") == Some(true) {
            return Err(format!("a destination: {to}"));
        }
    }
    for entry in asset.transferlist.iter().map(|entry| entry.value.clone().unwrap_or_default()) {
        let said = |key: &str, value: &str| match rule.says(key) {
            Some(values) if values.contains(&value) => Ok(()),
            None if rule.unlimited => Ok(()),
            _ => Err(format!("{key}: {value}")),
        };
        said("expressions", &entry.expression)?;
        for participant in entry.participants {
            said("participants", &hex::encode(participant.value.unwrap_or_default()))?;
        }
    }
    let set =
        [(asset.index != 0, "index"), (!asset.tags.is_empty(), "tags"), (!wallet.creditor.is_empty(), "creditor")];
    let named = |field| rule.says("other_fields").is_some_and(|fields| fields.contains(&field));
    match set.into_iter().find(|(set, field)| *set && !rule.unlimited && !named(field)) {
        Some((_, field)) => Err(field.into()),
        None => Ok(()),
    }
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
    fn no_text_panics(text in "(\\[\\[rule\\]\\]\n|\\[\\[window\\]\\]\n|\\[currencies\\]\n)?[a-z_ =\"\n\\[\\]{}0-9ä]{0,60}") {
        if let Err(error) = Policy::parse(&text) {
            prop_assert!(error.to_string().contains(": "));
        }
    }

    #[test]
    fn a_good_text_with_something_changed_never_panics(
        rules in rules(3, 6), windows in windows(), at in any::<prop::sample::Index>(), instead in "[ -~ä\n]{0,3}", cut in 0usize..4,
    ) {
        let mut text: Vec<char> = text(&rules, &windows, 0).chars().collect();
        let at = at.index(text.len());
        text.splice(at..(at + cut).min(text.len()), instead.chars());
        if let Err(error) = Policy::parse(&text.into_iter().collect::<String>()) {
            prop_assert!(error.to_string().contains(": "));
        }
    }

    #[test]
    fn the_order_of_rules_windows_and_lists_never_matters(
        (rules, shuffled) in rules(5, 4).prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
        (windows, turned) in windows().prop_flat_map(|windows| (Just(windows.clone()), Just(windows).prop_shuffle())),
        turn in 0usize..3,
        case in case(),
    ) {
        let sorted = |text: &str| {
            let mut explained = Policy::parse(text).unwrap().explain(&case.action());
            explained.judgement.demands.sort_by(|a, b| a.window.cmp(&b.window));
            explained
        };
        prop_assert_eq!(sorted(&text(&rules, &windows, 0)), sorted(&text(&shuffled, &turned, turn)));
    }

    #[test]
    fn another_deny_or_hold_rule_never_loosens_a_verdict(
        mut rules in rules(4, 3),
        added in rule(3).prop_filter("no approval", |rule| rule.verdict != "approve"),
        case in case(),
    ) {
        let before = judge(&rules, &case).verdict;
        rules.push(RuleText { name: rules.len(), ..added });
        prop_assert!(judge(&rules, &case).verdict >= before);
    }

    #[test]
    fn another_condition_never_widens_an_approve_and_never_narrows_what_an_approve_is_held_against(
        others in rules(2, 2), one in rule(3), added in narrowing(), case in case(),
    ) {
        prop_assume!(one.says(added.key).is_none());
        let one = RuleText { name: 99, ..one };
        let mut more = one.clone();
        more.conditions.push(added);
        let (without, with) = ([&others[..], std::slice::from_ref(&one)].concat(), [&others[..], &[more]].concat());
        let (without, with) = (judge(&without, &case).verdict, judge(&with, &case).verdict);
        match one.verdict {
            "approve" => prop_assert!(with >= without),
            _ => prop_assert!(with <= without),
        }
    }

    #[test]
    fn a_narrower_limit_or_list_never_widens_an_approve(mut one in rule(3), case in case(), at in any::<prop::sample::Index>()) {
        one.verdict = "approve";
        let before = judge(std::slice::from_ref(&one), &case).verdict;
        let mut shorter = one.clone();
        let several = |said: &&mut Said| said.values.len() > 1 && said.key != "destinations_not" && said.key != "not_on_holidays";
        let mut lists: Vec<&mut Said> = shorter.conditions.iter_mut().filter(several).collect();
        prop_assume!(!lists.is_empty());
        let at = at.index(lists.len());
        lists[at].values.pop();
        prop_assert!(judge(&[shorter], &case).verdict >= before);
    }

    #[test]
    fn what_a_rule_approves_keeps_to_all_that_the_rule_says(rules in rules(4, 3), case in case()) {
        for message in &case.messages {
            // Alone among its kind, the rule that decides on this message is known.
            let judgement = judge(&rules, &case);
            if judgement.verdict == Verdict::Approve {
                prop_assert!(case.now.is_some());
                let met = |rule: &&RuleText| rule.verdict == "approve" && keeps_to(rule, &case.messages, message).is_ok();
                prop_assert!(rules.iter().any(|rule| met(&rule)), "{:?}", judgement);
            }
        }
    }

    #[test]
    fn what_one_rule_approves_keeps_to_it(one in rule(3), assets in prop::collection::vec(asset(), 1..3)) {
        let one = RuleText { verdict: "approve", ..one };
        let case = Case { messages: assets.iter().map(common::bytes).collect(), ..Case::default() };
        if judge(std::slice::from_ref(&one), &case).verdict == Verdict::Approve {
            for message in &case.messages {
                prop_assert_eq!(keeps_to(&one, &case.messages, message), Ok(()));
            }
        }
    }

    #[test]
    fn the_explanation_agrees_with_the_judgement(rules in rules(5, 3), windows in windows(), case in case()) {
        let policy = Policy::parse(&text(&rules, &windows, 0)).unwrap();
        let explained = policy.explain(&case.action());
        prop_assert_eq!(&explained.judgement, &policy.judge(&case.action()));
        prop_assert_eq!(explained.messages.len(), case.messages.len());
        let met = |place: usize, verdict| {
            explained.rules.iter().any(|rule| rule.verdict == verdict && rule.failed[place].is_none())
        };
        let each = (0..case.messages.len()).filter(|place| !case.messages[*place].is_empty());
        let said = &explained.judgement;
        for place in each.clone() {
            if met(place, Verdict::Deny) {
                prop_assert_eq!(said.verdict, Verdict::Deny);
            }
            if met(place, Verdict::Hold) {
                prop_assert!(said.verdict >= Verdict::Hold);
            }
            if said.verdict == Verdict::Approve {
                prop_assert!(met(place, Verdict::Approve));
                prop_assert!(matches!(explained.messages[place].kind, "wallet" | "opaque"));
            }
        }
        // Which rule it was, its own line says too.
        if let Some(name) = &said.rule {
            let rule = explained.rules.iter().find(|rule| rule.name == *name).unwrap();
            prop_assert_eq!(rule.verdict, said.verdict);
            prop_assert!(each.clone().any(|place| rule.failed[place].is_none()));
        }
        // What every rule would let go, and nothing built in holds, is approved.
        let free = case.now.is_some() && case.claim.is_none() && each.clone().count() == case.messages.len();
        let approved = |place| {
            met(place, Verdict::Approve)
                && !said.facts[place].contains('-')
                && explained.rules.iter().filter(|rule| rule.verdict > Verdict::Approve).all(|rule| {
                    rule.failed[place].as_ref().is_some_and(|words| !words.ends_with("which is not to be relied on"))
                })
        };
        let negative = |place: usize| {
            let wallet = explained.messages[place].wallet.as_ref();
            wallet.is_some_and(|wallet| wallet.total.is_none())
        };
        if free && !case.messages.is_empty() && each.clone().all(|place| approved(place) && !negative(place)) {
            prop_assert_eq!(said.verdict, Verdict::Approve);
        }
        for words in explained.rules.iter().flat_map(|rule| rule.failed.iter().flatten()).chain([&said.why]) {
            prop_assert!(!words.contains(char::is_control));
        }
    }

    #[test]
    fn what_an_approval_lets_go_is_what_the_wire_says(assets in prop::collection::vec(asset(), 1..3)) {
        let case = Case { messages: assets.iter().map(common::bytes).collect(), ..Case::default() };
        let judgement = common::generous().judge(&case.action());
        if judgement.verdict == Verdict::Approve {
            let amounts = |(_, wallet): (PbAsset, PbWallet)| {
                let settled: i128 = wallet.settlements.iter().map(|s| i128::from(s.amount) + i128::from(s.fee_like)).sum();
                settled + wallet.transfers.iter().map(|t| i128::from(t.amount)).sum::<i128>()
            };
            let wired: i128 = case.messages.iter().filter_map(|message| on_the_wire(message)).map(amounts).sum();
            prop_assert_eq!(judgement.movements.iter().map(|one| i128::from(one.amount)).sum::<i128>(), wired);
        }
    }

    #[test]
    fn no_claim_and_no_rule_approves_what_is_no_wallet_or_allowed_opaque(rules in rules(4, 2), case in case(), message in message()) {
        let case = Case { messages: vec![message], ..case };
        let verdict = judge(&rules, &case).verdict;
        let allows = rules.iter().any(|rule| rule.verdict == "approve" && rule.opaque);
        match decode(&case.messages[0]) {
            Decoded::Wallet(_) => {}
            Decoded::Opaque => prop_assert!(verdict > Verdict::Approve || (allows && !case.messages[0].is_empty())),
            Decoded::IdDoc(_) | Decoded::Malformed { iddoc_like: true, .. } => prop_assert_eq!(verdict, Verdict::Deny),
            Decoded::Other { .. } | Decoded::Malformed { .. } => prop_assert!(verdict > Verdict::Approve),
        }
    }
}
