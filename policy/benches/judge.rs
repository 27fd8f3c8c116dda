//! Judging one message by 200 rules, with lists of 100, 10,000 and 100,000 addresses; beside it what reading the message and
//! hashing it costs. The ratios at the end are of batches that took turns.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use policy::{Action, Policy, Verdict, decode};
use sha2::{Digest, Sha256};

const RULES: usize = 200;
const LISTS: usize = 20;
const SIZES: [usize; 3] = [100, 10_000, 100_000];
/// Noon of Wednesday, 2 December 2026, UTC.
const NOON: u64 = 1_796_212_800;

/// The real withdrawal of 2022.
fn message() -> Vec<u8> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/qredochain-samples.json");
    let samples: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    hex::decode(samples["withdraw_message"]["hex"].as_str().unwrap()).unwrap()
}

/// The dearest for a message that is approved: every rule is looked at, and all but one fail at their last condition.
fn policy(addresses: usize) -> Policy {
    let mut text = String::from(
        "release = \"token\"\n[currencies]\nETH = { code = 4, decimals = 9, addresses = \"any-case\" }\n[lists]\n",
    );
    for list in 0..LISTS {
        let entries: Vec<String> = (0..addresses / LISTS).map(|n| format!("0x{list:08x}{n:032x}")).collect();
        // The destination is in every other list.
        let ours = if list % 2 == 0 { "0xa2Ba79B953cC51a781A7620c23e0AD28abb769c8" } else { "0x00" };
        writeln!(text, "l{list} = {:?}", [entries, vec![ours.into()]].concat()).unwrap();
    }
    for rule in 0..RULES {
        let (list, other) = (rule % LISTS / 2 * 2, rule % LISTS / 2 * 2 + 1);
        writeln!(text, "[[rule]]\nname = \"r{rule}\"").unwrap();
        match rule % 10 {
            0 => writeln!(text, "verdict = \"deny\"\ndestinations = [\"l{other}\"]"),
            1 => writeln!(text, "verdict = \"hold\"\nmin_amount_per_action = \"{rule} ETH\""),
            last => {
                // One of them is about noon.
                let hours = if rule == RULES - 1 { "11:00-13:00".into() } else { format!("13:0{last}-14:00") };
                writeln!(
                    text,
                    "verdict = \"approve\"\naction_types = [\"ApproveWithdraw\"]\nkinds = [\"wallet\"]\n\
                     transfer_types = [\"settle-push\"]\ncurrencies = [\"ETH\"]\ndestinations = [\"l{list}\"]\n\
                     destinations_not = [\"l{other}\"]\nmax_amount_per_transfer = \"1 ETH\"\nmax_amount_per_action = \"1 ETH\"\n\
                     max_fee = \"0.1 ETH\"\nexpressions = [\"t1 > 0\"]\n\
                     participants = [\"c6e194bd4e2af25d200680555196df700577be01328719085d2bcd0f61efc57b\", \"9d57f713d4b3ae8881ef1609d3a2c74ad3936827464a3ade0ab03fe58a86abf2\"]\n\
                     days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\nhours = \"{hours}\""
                )
            }
        }
        .unwrap();
    }
    Policy::parse(&text).unwrap()
}

fn main() {
    let messages = [message()];
    let action = Action {
        claimed_type: Some("ApproveWithdraw"),
        messages: &messages,
        expires: Some(NOON + 3600),
        now: Some(NOON),
    };
    let policies = SIZES.map(|size| (size, policy(size)));
    for (_, policy) in &policies {
        let judgement = policy.judge(&action);
        assert_eq!((judgement.verdict, judgement.rule.as_deref()), (Verdict::Approve, Some("r199")));
    }
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("judge a message, 200 rules");
    group.bench_function("decode and hash alone", |b| {
        b.iter(|| (decode(black_box(&messages[0])), Sha256::digest(black_box(&messages[0]))));
    });
    for (size, policy) in &policies {
        group.bench_function(format!("{size} addresses"), |b| b.iter(|| policy.judge(black_box(&action))));
    }
    group.finish();
    criterion.final_summary();
    if !std::env::args().any(|argument| argument == "--test") {
        ratios(&policies, &action);
    }
}

/// What grows with the number of addresses shows as a ratio beside 1.
fn ratios(policies: &[(usize, Policy)], action: &Action<'_>) {
    const BATCHES: usize = 301;
    const BATCH: u32 = 100;
    let mut costs: Vec<Vec<Duration>> = vec![Vec::with_capacity(BATCHES); policies.len()];
    for _ in 0..BATCHES {
        for ((_, policy), costs) in policies.iter().zip(&mut costs) {
            let start = Instant::now();
            (0..BATCH).for_each(|_| drop(black_box(policy.judge(black_box(action)))));
            costs.push(start.elapsed() / BATCH);
        }
    }
    let medians: Vec<Duration> = costs
        .into_iter()
        .map(|mut costs| {
            costs.sort();
            costs[BATCHES / 2]
        })
        .collect();
    for ((size, _), median) in policies.iter().zip(&medians) {
        let ratio = median.as_nanos() as f64 / medians[0].as_nanos() as f64;
        println!("{size} addresses: {median:?} a message, {ratio:.2} of what 100 addresses cost");
    }
}
