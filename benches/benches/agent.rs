//! Approvals a second through the whole agent: feed, fetch, judge, record, sign, submit, settle, over loopback, against the
//! simulator, which verifies every pass and every signature, on the same cores.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use criterion::{Criterion, Throughput};
use serde_json::json;
use signing_agent_benches::cpu;
use signing_agent_tests::{APPROVE_ALL, House, Settings};
use std::time::{Duration, Instant};

const BURST: u64 = 500;

fn main() {
    let mut settings = Settings::with_policy(APPROVE_ALL);
    settings.log_level = "warn";
    let house = House::registered(settings);
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("whole agent");
    group.sample_size(10).measurement_time(Duration::from_secs(20)).throughput(Throughput::Elements(BURST));
    let mut settled = 0;
    let before = cpu(&house);
    group.bench_function("approvals in a burst of 500", |b| {
        b.iter_custom(|bursts| {
            let start = Instant::now();
            for _ in 0..bursts {
                house.order(json!({"kind": "transfer", "count": BURST}));
                settled += BURST;
                house.wait(&format!("settled={settled}"));
            }
            start.elapsed()
        });
    });
    group.finish();
    criterion.final_summary();
    if settled > 0 {
        let spent = cpu(&house) - before;
        println!("CPU time of the three rooms: {:.2} ms an approval", spent.as_secs_f64() * 1e3 / settled as f64);
    }
    let stats = house.stats();
    assert_eq!((&stats["approved"], &stats["refusalsTotal"]), (&json!(settled), &json!(0)), "{stats}");
}
