//! The runner of cases: it says what came, refuses what it does not know, and builds what the facts say.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::sample;
use policy::cases::{Error, Outcome, Source, Suite};
use policy::{Decoded, Verdict, decode};

const POLICY: &str = r#"
policy_text = """
[[rule]]
name = "inside"
verdict = "approve"
unlimited = true
action_types = ["ApproveTransfer"]
[[rule]]
name = "no withdrawals"
verdict = "deny"
action_types = ["ApproveWithdraw"]
"""
"#;

fn run(cases: &str) -> Result<Vec<Outcome>, Error> {
    let text = format!("{POLICY}\n{cases}");
    let suite = Suite::parse(&text)?;
    let Source::Text(policy) = suite.source() else { panic!("{:?}", suite.source()) };
    suite.run(policy)
}

/// The one case's mismatches, as `what: expected / came`.
fn mismatches(case: &str) -> Vec<String> {
    let outcomes = run(&format!("[[case]]\nname = \"it\"\n{case}")).unwrap();
    let [outcome] = &outcomes[..] else { panic!("{outcomes:?}") };
    outcome.mismatches.iter().map(|m| format!("{}: {} / {}", m.what, m.expected, m.came)).collect()
}

/// `LINE:COLUMN: words`, the lines counted from the cases on.
fn refusal(cases: &str) -> String {
    match run(cases) {
        Err(Error::Cases(mut fault)) => {
            fault.line -= POLICY.lines().count() + 1;
            fault.to_string()
        }
        other => panic!("{other:?}"),
    }
}

const INSIDE: &str = r#"facts = { currency = 4, transfers = [{ to = "0707", amount = 5 }] }"#;

#[test]
fn a_case_that_comes_out_as_expected_says_nothing() {
    let expect = r#"expect = { verdict = "approve", rule = "inside", why = "by rule", release = "client", contradiction = false }"#;
    assert_eq!(mismatches(&format!("type = \"ApproveTransfer\"\n{INSIDE}\n{expect}")), [""; 0]);
    let denied = r#"
facts = { settlements = [{ to = "0xab", amount = 5, fee = 1 }] }
expect = { verdict = "deny", rule = "no withdrawals", failed = { inside = "" } }
type = "ApproveWithdraw""#;
    assert_eq!(mismatches(denied), [""; 0]);
}

#[test]
fn whatever_does_not_come_out_as_expected_is_said() {
    let all = [
        (r#"{ verdict = "deny" }"#, "verdict: deny / approve (approved by rule \"inside\")"),
        (r#"{ verdict = "approve", rule = "other" }"#, "rule: \"other\" / \"inside\""),
        (r#"{ verdict = "approve", rule = "" }"#, "rule: no rule / \"inside\""),
        (r#"{ verdict = "approve", why = "window" }"#, "why: …window… / approved by rule \"inside\""),
        (r#"{ verdict = "approve", release = "token" }"#, "release: a client with a token / any client"),
        (
            r#"{ verdict = "approve", release = ["token", { approvers = 1, of = ["bob", "al"] }] }"#,
            "release: a client with a token, and 1 of al, bob / any client",
        ),
        (r#"{ verdict = "approve", contradiction = true }"#, "contradiction: true / false"),
        (r#"{ verdict = "approve", window = "a day" }"#, "window: a day / all have room"),
        (r#"{ verdict = "approve", failed = { inside = "x" } }"#, "failed \"inside\": …x… / the rule is met"),
        (r#"{ verdict = "approve", failed = { in = "x" } }"#, "failed \"in\": …x… / there is no such rule"),
    ];
    for (expect, said) in all {
        let case = format!("type = \"ApproveTransfer\"\n{INSIDE}\nexpect = {expect}");
        assert_eq!(mismatches(&case), [said], "{expect}");
    }
}

#[test]
fn what_a_file_may_not_say_is_refused_with_its_place() {
    let case = |more: &str| format!("[[case]]\nname = \"it\"\nexpect = {{ verdict = \"hold\" }}\n{more}");
    let all = [
        (case("fact = {}"), "4:1: unknown key \"fact\" in [[case]]; did you mean \"facts\"?"),
        (
            case("facts = { wallets = \"01\" }"),
            "4:11: unknown key \"wallets\" in [case.facts]; did you mean \"wallet\"?",
        ),
        (case("facts = { transfers = [{ to = \"xy\", amount = 1 }] }"), "4:31: must be hex, two digits an octet"),
        (case("facts = { currency = \"ETH\" }"), "4:22: the policy's [currencies] has no \"ETH\"; give its code"),
        (case("facts = { other_fields = [\"tag\"] }"), "4:27: no such field; there are: index, tags, "),
        (case("facts = { transfer_type = \"push\" }"), "4:27: no transfer type; there are: none, settle-push"),
        (case("facts = { kind = \"wallat\" }"), "4:9: these facts are no message of kind \"wallat\""),
        (
            case("facts = { kind = \"opaque\", text = \"\\b\\u0001\" }"),
            "4:9: these facts are no message of kind \"opaque\"",
        ),
        (case("message = \"00\"\nfacts = {}"), "1:1: a case has one of message"),
        (case(""), "1:1: a case has one of message"),
        (case("message = \"0\""), "4:11: must be hex"),
        (case("facts = {}\ntime = \"noon\""), "5:8: must be a time"),
        (case("facts = {}\nexpires_in = \"5\""), "5:14: \"5\" is no length of time"),
        (case("facts = {}\nledger = [{ ago = \"1x\" }]"), "5:19: \"1x\" is no length of time"),
        (case("facts = {}\nledger = [{ ago = \"1h\", amount = -1 }]"), "5:34: must not be negative"),
        ("[[case]]\nname = \"a\"\nfacts = {}\nexpect = { verdict = \"perhaps\" }".into(), "4:22: unknown variant"),
        (String::new(), "there is no [[case]]"),
        (format!("{}\n{}", case("facts = {}"), case("facts = {}")), "6:8: each case needs a name of its own"),
    ];
    for (cases, said) in all {
        let refused = refusal(&cases);
        assert!(refused.contains(said), "{cases}\n{refused}");
    }
    assert!(Suite::parse("[[case]]\nname = \"a\"\nfacts = {}\nexpect = { verdict = \"hold\" }").is_err(), "no policy");
    assert!(Suite::parse(POLICY).is_err(), "no case");
    let two = format!(
        "policy = \"p.toml\"\n{POLICY}[[case]]\nname = \"a\"\nfacts = {{}}\nexpect = {{ verdict = \"hold\" }}\n"
    );
    let refused = Suite::parse(&two).err().unwrap().to_string();
    assert!(refused.contains("exclude each other"), "{refused}");
}

#[test]
fn a_fault_in_the_policy_is_the_policys() {
    let text = "policy = \"p.toml\"\n[[case]]\nname = \"a\"\nfacts = {}\nexpect = { verdict = \"hold\" }";
    let suite = Suite::parse(text).unwrap();
    assert_eq!(suite.source(), Source::File("p.toml"));
    let error = suite.run("rules = 1").unwrap_err();
    assert!(
        matches!(error, Error::Policy(_)) && error.to_string().starts_with("1:1: unknown key \"rules\""),
        "{error}"
    );
}

#[test]
fn facts_become_the_message_that_says_them() {
    let kinds = ["wallet", "iddoc", "group", "underlying", "key-value", "MPC", "malformed", "opaque"];
    for kind in kinds {
        let denied = kind == "iddoc";
        let expect = if denied { "deny" } else { "hold" };
        let case = format!(
            "type = \"ApproveTransfer\"\nfacts = {{ kind = \"{kind}\" }}\nexpect = {{ verdict = \"{expect}\", rule = \"\" }}"
        );
        assert_eq!(mismatches(&case), [""; 0], "{kind}");
    }
    // The published sample, said by its facts, is the sample.
    let (bytes, _) = sample("withdraw_message");
    let Decoded::Wallet(wallet) = decode(&bytes) else { panic!() };
    let settlement = &wallet.settlements[0];
    let facts = format!(
        "facts = {{ currency = {}, wallet = \"{}\", settlements = [{{ to = \"{}\", amount = {}, fee = {} }}] }}",
        wallet.currency,
        hex::encode(&wallet.id),
        settlement.destination,
        settlement.amount,
        settlement.fee
    );
    let judged =
        |case: &str| run(&format!("[[case]]\nname = \"it\"\n{case}\nexpect = {{ verdict = \"deny\" }}")).unwrap();
    let mut said = judged(&facts);
    let mut sampled = judged(&format!("message = \"{}\"", hex::encode(&bytes)));
    assert_eq!((said.remove(0).why, said.len()), (sampled.remove(0).why, 0));
}

#[test]
fn defaults_are_what_a_case_does_not_say() {
    let cases = format!(
        "[defaults]\ntype = \"ApproveTransfer\"\n\
         [[case]]\nname = \"a\"\n{INSIDE}\nexpect = {{ verdict = \"approve\" }}\n\
         [[case]]\nname = \"b\"\ntype = \"\"\n{INSIDE}\nexpect = {{ verdict = \"hold\" }}\n"
    );
    let outcomes = run(&cases).unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.mismatches.is_empty()), "{outcomes:?}");
    let lines: Vec<usize> = outcomes.iter().map(|outcome| outcome.line - POLICY.lines().count() - 1).collect();
    assert_eq!((lines, outcomes[1].verdict), (vec![4, 8], Verdict::Hold));
}
