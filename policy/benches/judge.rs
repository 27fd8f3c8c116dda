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

/// What the rules that are not met fail at.
#[derive(Clone, Copy, PartialEq)]
enum Fail {
    /// Each at another condition, as rules do.
    Anywhere,
    /// All at their last, the dearest that there is.
    Last,
}

/// Every rule is looked at, and one of 200 is met.
fn policy(addresses: usize, fail: Fail) -> Policy {
    let mut text = String::from(
        "release = \"token\"\n[currencies]\nBTC = { code = 1, decimals = 8 }\nETH = { code = 4, decimals = 9, addresses = \"any-case\" }\n[lists]\n",
    );
    for list in 0..LISTS {
        let mut entries: Vec<String> = (0..addresses / LISTS).map(|n| format!("0x{list:08x}{n:032x}")).collect();
        if list < 2 {
            entries.push("0xa2Ba79B953cC51a781A7620c23e0AD28abb769c8".into());
        }
        writeln!(text, "l{list} = {entries:?}").unwrap();
    }
    for rule in 0..RULES {
        writeln!(text, "[[rule]]\nname = \"r{rule}\"").unwrap();
        match rule % 10 {
            0 => writeln!(text, "verdict = \"deny\"\ndestinations = [\"l{}\", \"l{}\"]", 2 + rule % 18, 2 + (rule + 1) % 18),
            1 => writeln!(text, "verdict = \"hold\"\nmin_amount_per_action = \"{rule} ETH\""),
            at => {
                let is_met = rule == RULES - 1;
                let fails = |place: usize| !is_met && fail == Fail::Anywhere && at == place;
                let or = |fails: bool, odd: &'static str, good: &'static str| if fails { odd } else { good };
                let action = or(fails(2), "ApproveTransfer", "ApproveWithdraw");
                let currency = or(fails(3), "BTC", "ETH");
                let lists = or(fails(4) || fails(5), "\"l4\", \"l5\", \"l6\"", "\"l1\", \"l5\", \"l6\"");
                let amount = or(fails(6) || fails(7), "0.000001 ETH", "1 ETH");
                let who = or(fails(8), "00", "c6e194bd4e2af25d200680555196df700577be01328719085d2bcd0f61efc57b");
                let hours = if is_met { "11:00-13:00".into() } else { format!("13:{:02}-14:00", rule % 60) };
                writeln!(
                    text,
                    "verdict = \"approve\"\naction_types = [{action:?}]\nkinds = [\"wallet\"]\n\
                     transfer_types = [\"settle-push\"]\ncurrencies = [{currency:?}]\ndestinations = [{lists}]\n\
                     destinations_not = [\"l7\", \"l8\"]\nmax_amount_per_transfer = {amount:?}\nmax_amount_per_action = {amount:?}\n\
                     max_fee = \"0.1 ETH\"\nexpressions = [\"t1 > 0\"]\n\
                     participants = [{who:?}, \"9d57f713d4b3ae8881ef1609d3a2c74ad3936827464a3ade0ab03fe58a86abf2\"]\n\
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
    let mut policies: Vec<(String, Policy)> =
        SIZES.iter().map(|size| (format!("{size} addresses"), policy(*size, Fail::Anywhere))).collect();
    policies.push(("10000 addresses, the dearest rules".into(), policy(10_000, Fail::Last)));
    for (_, policy) in &policies {
        let judgement = policy.judge(&action);
        assert_eq!((judgement.verdict, judgement.rule.as_deref()), (Verdict::Approve, Some("r199")));
    }
    let reference = || (decode(black_box(&messages[0])), Sha256::digest(black_box(&messages[0])));
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("judge a message by 200 rules");
    group.bench_function("decode and hash it alone", |b| b.iter(reference));
    for (name, policy) in &policies {
        group.bench_function(name, |b| b.iter(|| policy.judge(black_box(&action))));
    }
    group.finish();
    criterion.final_summary();
    if !std::env::args().any(|argument| argument == "--test") {
        let mut works: Vec<Work<'_>> = vec![("decode and hash it alone", Box::new(|| drop(black_box(reference()))))];
        for (name, policy) in &policies {
            works.push((name, Box::new(|| drop(black_box(policy.judge(black_box(&action)))))));
        }
        in_turn(&works);
    }
}

/// Its name, and what it does.
type Work<'w> = (&'w str, Box<dyn Fn() + 'w>);

/// Batches that take turns, so that what else the machine does meets all alike; of each the quietest batch and the middle one.
/// What grows with the number of addresses shows beside 1.
fn in_turn(works: &[Work<'_>]) {
    const BATCHES: usize = 2001;
    const BATCH: u32 = 20;
    let mut costs: Vec<Vec<Duration>> = vec![Vec::with_capacity(BATCHES); works.len()];
    for _ in 0..BATCHES {
        for ((_, work), costs) in works.iter().zip(&mut costs) {
            let start = Instant::now();
            (0..BATCH).for_each(|_| work());
            costs.push(start.elapsed() / BATCH);
        }
    }
    costs.iter_mut().for_each(|costs| costs.sort());
    for ((name, _), of_it) in works.iter().zip(&costs) {
        let ratio = |place: usize| of_it[place].as_nanos() as f64 / costs[1][place].as_nanos() as f64;
        let (least, middle) = (ratio(0), ratio(BATCHES / 2));
        println!(
            "{name}: quietest {:?}, {least:.2} of what 100 addresses cost; middle {:?}, {middle:.2}",
            of_it[0],
            of_it[BATCHES / 2]
        );
    }
}
