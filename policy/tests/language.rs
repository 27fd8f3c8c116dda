//! What a policy may say, and how it is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::policy;
use policy::{Approvers, Policy};
use std::collections::BTreeSet;

/// Everything that the language has.
const WHOLE: &str = include_str!("whole.toml");

fn refused(text: &str, words: &str) {
    let said = Policy::parse(text).expect_err("this must be refused").to_string();
    assert!(said.contains(words), "{said:?} lacks {words:?}");
}

/// The whole policy with something else in the place of the first line that begins so.
fn refused_with(line: &str, instead: &str, words: &str) {
    let (before, rest) = WHOLE.split_once(&format!("\n{line}")).unwrap_or_else(|| {
        assert!(WHOLE.starts_with(line), "there is no line {line:?}");
        ("", WHOLE)
    });
    let (_, after) = rest.split_once('\n').unwrap();
    let before = if before.is_empty() { String::new() } else { format!("{before}\n") };
    refused(&format!("{before}{instead}\n{after}"), words);
}

#[test]
fn all_of_it_is_understood() {
    let policy = policy(WHOLE);
    assert_eq!((policy.serial(), policy.len(), policy.is_empty()), (Some(7), 3, false));
    assert_eq!(policy.approvers(), BTreeSet::from(["alice", "bob", "carol"].map(str::to_owned)));
    assert_eq!(policy.warnings(), []);
    assert_eq!((Policy::hold_all().len(), Policy::hold_all().is_empty()), (0, true));
}

#[test]
fn a_value_that_is_not_of_its_kind_is_refused_where_it_stands() {
    refused_with("serial", "serial = 0", "1:10: serial must be a whole number from 1 to 9223372036854775807");
    refused_with("timezone", "timezone = \"Mars/Base\"", "2:12: timezone: \"Mars/Base\" is no time zone");
    refused_with("release = \"token\"", "release = \"tokn\"", "3:11: release: \"tokn\" is not");
    refused_with("ETH = ", "ETH = { code = 0, decimals = 18 }", "code must be a whole number from 1 to 2147483647");
    refused_with("ETH = ", "ETH = { code = 2147483648, decimals = 18 }", "code must be");
    refused_with("ETH = ", "ETH = { code = 1, decimals = 18 }", "have the same code");
    refused_with("ETH = ", "ETH = { code = 4, decimals = 31 }", "decimals must be a whole number from 0 to 30");
    refused_with("ETH = ", "ETH = { code = 4, decimals = 1.5 }", "wrong type");
    refused_with(
        "ETH = ",
        "ETH = { code = 4, decimals = 18, addresses = \"any\" }",
        "addresses: \"any\" is not one of",
    );
    for name in ["", "E TH", "SEVENTEENLETTERSX", "Ä"] {
        refused_with("ETH = ", &format!("{name:?} = {{ code = 4, decimals = 18 }}"), "is no currency's name");
    }
    refused_with("ETH = ", "ETH = { code = 4, decimals = 18, case = true }", "unknown key \"case\"");
    refused_with("exchanges", "exchanges = [\"0x a\"]", "is no destination");
    refused_with("swiss", "swiss = [\"2026-02-30\"]", "is no date");
}

#[test]
fn a_window_says_exactly_what_it_counts() {
    refused_with("period", "period = \"1w\"", "no length of time");
    refused_with("max_amount = ", "max_amount = \"10\"", "window \"a day's ETH\": \"10\" is no amount");
    refused_with("max_amount = ", "max_amount = \"10 DOGE\"", "\"DOGE\" is not in [currencies]");
    refused_with(
        "per = \"wallet\"",
        "per = \"walet\"",
        "per: \"walet\" is not one of \"all\", \"currency\", \"wallet\", \"destination\"; did you mean \"wallet\"?",
    );
    refused_with("per = \"wallet\"", "currencies = [\"BTC\"]", "an amount is of one currency");
    refused_with("max_count = 50", "", "it limits nothing");
    refused_with(
        "max_count = 50",
        "max_count = 50\ncurrencies = [\"ETH\", \"BTC\"]",
        "several currencies cannot be counted together",
    );
    refused_with("max_count = 50", "max_count = -1", "max_count must be a whole number");
    refused_with("rules = ", "rules = [\"smal\"]", "\"smal\" is not in [rule]; did you mean \"small\"?");
    refused_with("max_count = 50", "max_count = 50\nwallets = [\"01\", \"02\"]", "say so with per = \"wallet\"");
    refused(
        &format!("{WHOLE}\n[[window]]\nname = \"count\"\nperiod = \"1h\"\nmax_count = 1\n"),
        "two windows are named \"count\"",
    );
}

#[test]
fn a_rule_names_what_is_there() {
    refused_with(
        "currencies = [\"ETH\"]",
        "currencies = [\"eth\"]",
        "\"eth\" is not in [currencies]; did you mean \"ETH\"?",
    );
    refused_with(
        "destinations = ",
        "destinations = [\"exchange\"]",
        "\"exchange\" is not in [lists]; did you mean \"exchanges\"?",
    );
    refused_with("destinations_not", "destinations_not = []", "destinations_not names nothing");
    refused_with(
        "not_on_holidays",
        "not_on_holidays = [\"swis\"]",
        "\"swis\" is not in [holidays]; did you mean \"swiss\"?",
    );
    refused_with("kinds", "kinds = [\"group\"]", "no rule approves \"group\"");
    refused_with("kinds", "kinds = [\"walet\"]", "did you mean \"wallet\"?");
    refused_with("transfer_types", "transfer_types = [\"settle\"]", "transfer_types: \"settle\" is not one of");
    refused_with("wallets", "wallets = [\"0X01\"]", "wallets: \"0X01\" is no ID");
    refused_with("owners", "owners = [\"02\", \"02\"]", "owners has \"02\" twice");
    refused_with("participants", "participants = [\"xyz\"]", "participants: \"xyz\" is no ID");
    refused_with("other_fields", "other_fields = [\"tag\"]", "did you mean \"tags\"?");
    refused_with("days", "days = [\"monday\"]", "days: \"monday\" is no day");
    refused_with("hours", "hours = []", "hours names nothing");
    refused_with("hours", "hours = \"9-17\"", "hours: \"9-17\" are no hours");
    refused_with("min_time", "min_time_to_expiry = \"0s\"", "min_time_to_expiry: \"0s\" is no length of time");
}

#[test]
fn amounts_are_of_currencies_that_are_there_and_each_once() {
    for key in ["max_amount_per_transfer", "min_amount_per_transfer", "max_amount_per_action", "max_fee"] {
        refused_with(key, &format!("{key} = \"1 eth\""), &format!("{key}: \"1 eth\": \"eth\" is not in [currencies]"));
        refused_with(
            key,
            &format!("{key} = [\"1 ETH\", \"2 ETH\"]"),
            &format!("{key} has two amounts of one currency"),
        );
        refused_with(key, &format!("{key} = []"), &format!("{key} names nothing"));
        refused_with(key, &format!("{key} = 1.5"), "wrong type: expected a string or a list of strings");
        refused_with(key, &format!("{key} = \"0.0000000000000000001 ETH\""), "is finer than the 18 decimals of ETH");
    }
}

#[test]
fn only_a_hold_says_who_releases_and_how_many_is_possible() {
    let rule = |verdict: &str, release: &str| {
        format!("[[rule]]\nname = \"r\"\nverdict = \"{verdict}\"\nrelease = {release}\n")
    };
    for verdict in ["approve", "deny"] {
        refused(&rule(verdict, "\"token\""), "4:11: rule \"r\": release is for hold rules alone");
    }
    refused(&rule("hold", "{ approvers = 3, of = [\"a\", \"b\"] }"), "3 approvers are wanted, 2 named");
    refused(&rule("hold", "{ approvers = 0, of = [\"a\"] }"), "approvers must be 1 or more");
    refused(&rule("hold", "{ approvers = 1, of = [\"a\", \"a\"] }"), "a name is there twice");
    refused(&rule("hold", "{ approvers = 1, of = [\"A b\"] }"), "\"A b\" is no name");
    refused(&rule("hold", "{ approvers = 1 }"), "missing field `of`");
    refused(&rule("hold", "{ approvers = 1, of = [\"a\"], token = true }"), "unknown key \"token\"");
    refused(&rule("hold", "2"), "wrong type");
}

#[test]
fn an_approve_has_a_limit_or_says_that_it_has_none() {
    let money = "[currencies]\nETH = { code = 4, decimals = 18 }\nBTC = { code = 1, decimals = 8 }\n";
    let window = "[[window]]\nname = \"w\"\nperiod = \"1h\"\nmax_amount = \"1 ETH\"\n";
    let rule = "[[rule]]\nname = \"a\"\nverdict = \"approve\"\n";
    let none = "rule \"a\" approves without a limit";
    for text in [
        format!("{money}{rule}"),
        format!("{money}{rule}max_fee = \"1 ETH\"\n"),
        format!("{money}{rule}min_amount_per_action = \"1 ETH\"\n"),
        // The window is about one currency, the rule about all, or about another besides.
        format!("{money}{window}{rule}"),
        format!("{money}{window}{rule}currencies = [\"ETH\", \"BTC\"]\n"),
        format!("{money}{window}wallets = [\"01\"]\n{rule}currencies = [\"ETH\"]\n"),
        format!("{money}[[window]]\nname = \"w\"\nperiod = \"1h\"\nmax_count = 1\n{rule}currencies = [\"ETH\"]\n"),
        // As many wallets, or destinations, as the backend likes.
        format!("{money}{window}per = \"wallet\"\n{rule}currencies = [\"ETH\"]\n"),
        format!("{money}{window}per = \"destination\"\n{rule}currencies = [\"ETH\"]\n"),
        format!("{money}{window}per = \"destination\"\n{rule}currencies = [\"ETH\"]\nwallets = [\"01\"]\n"),
        format!(
            "{money}{window}rules = [\"b\"]\n{rule}currencies = [\"ETH\"]\n[[rule]]\nname = \"b\"\nverdict = \"hold\"\n"
        ),
    ] {
        refused(&text, none);
    }
    for text in [
        format!("{money}{rule}max_amount_per_transfer = \"1 ETH\"\n"),
        format!("{money}{rule}max_amount_per_action = \"1 ETH\"\n"),
        format!("{money}{window}{rule}currencies = [\"ETH\"]\n"),
        format!("{money}{window}per = \"wallet\"\n{rule}currencies = [\"ETH\"]\nwallets = [\"01\"]\n"),
        format!(
            "{money}[lists]\nl = [\"a\"]\n{window}per = \"destination\"\n{rule}currencies = [\"ETH\"]\ndestinations = [\"l\"]\n"
        ),
        format!("{money}{window}rules = [\"a\"]\n{rule}currencies = [\"ETH\"]\n"),
        format!("{money}{rule}unlimited = true\n"),
    ] {
        policy(&text);
    }
    refused(&format!("{money}{rule}unlimited = true\nmax_amount_per_action = \"1 ETH\"\n"), "and has a limit");
    refused(
        &format!("{money}{rule}unlimited = true\nother_fields = [\"tags\"]\n"),
        "for approve rules with limits alone",
    );
}

#[test]
fn a_hold_wants_what_the_file_wants_where_it_says_nothing() {
    let people = Approvers { needed: 2, of: BTreeSet::from(["a".to_owned(), "b".to_owned()]) };
    let hold = "[[rule]]\nname = \"h\"\nverdict = \"hold\"\n";
    let judged = |text: &str| common::judge(&policy(text), None, &[b"opaque".to_vec()]).release;
    assert_eq!((judged(hold).token, judged(hold).approvers.len()), (false, 0));
    assert!(judged(&format!("release = \"token\"\n{hold}")).token);
    assert!(judged("release = \"token\"\n").token);
    let both = format!(
        "release = \"token\"\n{hold}release = {{ approvers = 2, of = [\"b\", \"a\"] }}\n[[rule]]\nname = \"i\"\nverdict = \"hold\"\n"
    );
    let release = judged(&both);
    assert!(release.token && release.approvers == BTreeSet::from([people]));
    let laxer = format!("release = \"token\"\n{hold}release = \"client\"\n");
    assert!(!judged(&laxer).token, "the rule's own word counts");
}

fn warned(text: &str, words: &str) {
    let said = policy(text).warnings();
    assert!(said.iter().any(|warning| warning.words.contains(words)), "{said:?} lacks {words:?}");
}

#[test]
fn what_can_hardly_be_meant_is_warned_of() {
    let money = "[currencies]\nETH = { code = 4, decimals = 18 }\nBTC = { code = 1, decimals = 8 }\n";
    let approve = format!("{money}[[rule]]\nname = \"a\"\nverdict = \"approve\"\n");
    let limited = format!("{approve}max_amount_per_action = \"1 ETH\"\n");
    warned("[[rule]]\nname = \"a\"\nverdict = \"approve\"\nunlimited = true\n", "approves without any limit");
    warned(
        &format!("{limited}[[rule]]\nname = \"d\"\nverdict = \"deny\"\n"),
        "rule \"a\": it can never decide: rule \"d\" (deny)",
    );
    warned(
        &format!("{limited}[[rule]]\nname = \"h\"\nverdict = \"hold\"\n"),
        "rule \"a\": it can never decide: rule \"h\" (hold)",
    );
    warned(&format!("{limited}kinds = [\"opaque\"]\n"), "allow_opaque is not set");
    warned(&format!("{limited}kinds = [\"opaque\"]\nallow_opaque = true\n"), "what is opaque has no such facts");
    warned(&format!("{limited}allow_opaque = true\n"), "allow_opaque helps nothing");
    warned(&format!("{limited}min_amount_per_action = \"2 ETH\"\n"), "its least amount is more than its greatest");
    warned(&format!("{limited}min_amount_per_action = \"1 BTC\"\n"), "no currency in common");
    warned(&format!("{limited}currencies = [\"BTC\"]\n"), "max_amount_per_action is of other currencies");
    warned(
        &format!("{limited}min_time_to_expiry = \"2h\"\nmax_time_to_expiry = \"1h\"\n"),
        "is more than max_time_to_expiry",
    );
    warned(&format!("{limited}action_types = [\"ApproveSwap\"]\n"), "show no other type than");
    warned(
        &format!("{limited}action_types = [\"ApproveTransfer\"]\ntransfer_types = [\"settle-push\"]\n"),
        "its action_types and its transfer_types have nothing in common",
    );
    warned(&limited, "[currencies] \"BTC\": no rule and no window uses it");
    warned(&format!("{limited}[lists]\nx = [\"a\"]\n[holidays]\ny = []\n"), "[lists] \"x\": no rule");
    warned(&format!("{limited}[lists]\nx = [\"a\"]\n[holidays]\ny = []\n"), "[holidays] \"y\": no rule");
    warned(&limited, "release is not stated");
    warned(&limited, "but not how many of them: a window does (there is none for ETH)");
    let two = limited.replace("\"1 ETH\"", "[\"1 ETH\", \"1 BTC\"]");
    let window = |more: &str| format!("{two}[[window]]\nname = \"w\"\nperiod = \"1h\"\n{more}\n");
    warned(&window("max_amount = \"1 ETH\""), "a window does (there is none for BTC)");
    warned(
        &window("max_count = 1\nrules = [\"b\"]\n[[rule]]\nname = \"b\"\nverdict = \"hold\""),
        "(there is none for BTC, ETH)",
    );
    for enough in ["max_count = 1", "max_count = 1\nrules = [\"a\"]"] {
        let said = policy(&window(enough)).warnings();
        assert!(!said.iter().any(|warning| warning.words.contains("a window does")), "{said:?}");
    }
    warned(&format!("{approve}max_amount_per_transfer = \"1 ETH\"\n"), "neither an action of many");
    let least = format!(
        "{limited}min_amount_per_action = \"1 ETH\"\nmin_time_to_expiry = \"1h\"\nmax_time_to_expiry = \"1h\"\n"
    );
    assert!(!policy(&least).warnings().iter().any(|warning| warning.words.contains("never decide")));
}

#[test]
fn a_warning_says_where_and_only_what_is_so() {
    let text = "release = \"token\"\n[lists]\nx = [\"a\"]\n[[rule]]\nname = \"a\"\nverdict = \"approve\"\nunlimited = true\nallow_opaque = true\n";
    let said = policy(text).warnings();
    let lines: Vec<usize> = said.iter().map(|warning| warning.line).collect();
    assert_eq!(lines, [3, 5], "{said:?}");
    // What is asked of no wallet asset an opaque message can meet.
    let more = "action_types = [\"ApproveTransfer\"]\nkinds = [\"opaque\"]\ndays = [\"mon\"]\nhours = \"09:00-10:00\"\nmin_time_to_expiry = \"1m\"\n";
    assert_eq!(policy(&format!("{text}{more}")).warnings(), said);
    for needs in [
        "transfer_types = [\"swap\"]",
        "wallets = [\"01\"]",
        "owners = [\"01\"]",
        "participants = [\"01\"]",
        "expressions = [\"t\"]",
        "destinations = [\"x\"]",
        "destinations_not = [\"x\"]",
    ] {
        warned(&format!("{text}{needs}\n"), "allow_opaque helps nothing");
    }
}

#[test]
fn ten_thousand_rules_are_taken_and_not_one_more() {
    let rules = |many: usize| {
        let mut text = String::from("[[rule]]\nname = \"\"\nverdict = \"deny\"\n");
        (1..many).for_each(|n| text += &format!("[[rule]]\nname = \"{n}\"\nverdict = \"deny\"\n"));
        text
    };
    refused(&rules(10_001), "1:1: there are 10001 rules; at most 10000 are taken");
    refused(&rules(10_000), "2:8: a rule needs a name");
}

#[test]
fn names_are_as_long_as_is_said_and_no_longer() {
    let rule = |length: usize| format!("[[rule]]\nname = {:?}\nverdict = \"deny\"\n", "x".repeat(length));
    policy(&rule(100));
    refused(&rule(101), "a rule needs a name of 1 to 100 bytes");
    let currency = |length: usize| format!("[currencies]\n{} = {{ code = 4, decimals = 18 }}\n", "X".repeat(length));
    policy(&currency(16));
    refused(&currency(17), "is no currency's name");
}
