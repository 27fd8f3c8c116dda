//! `GET /metrics`: what is given out, and that the page, the dashboard and the alerts speak of it and of nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod logs;
mod traces;

use ipc::{FAMILIES, Family, Kind};
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What moves elsewhere: in a test that makes its condition, and looks at the number there.
const ELSEWHERE: [(&str, &str); 10] = [
    ("signing_agent_alarms", "audit/witness.rs"),
    ("signing_agent_token_logins_total", "token/table.rs"),
    ("signing_agent_unwritten_events", "disk/full.rs"),
    ("signing_agent_clock_stepped", "windows/clock.rs"),
    ("signing_agent_ledger_well", "disk/full.rs"),
    ("signing_agent_token_failures_total", "token/table.rs"),
    ("signing_agent_token_longest_call_seconds", "token/table.rs"),
    ("signing_agent_checkpoint_overdue", "token/table.rs"),
    ("signing_agent_witnesses_behind", "audit/witness.rs"),
    ("signing_agent_certificate_expiry_timestamp_seconds", "tls/main.rs"),
];

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

/// A string of a JSON document.
fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The family that a name in an expression is of.
fn family(name: &str) -> Option<&'static str> {
    let own = |family: &&Family| {
        let rest = name.strip_prefix(family.name)?;
        let histogram = ["_bucket", "_sum", "_count"].contains(&rest) && family.kind == Kind::Histogram;
        (rest.is_empty() && family.kind != Kind::Histogram || histogram).then_some(())
    };
    FAMILIES.iter().find(|family| own(family).is_some()).map(|family| family.name)
}

/// Names of this program's metrics in an expression.
fn names(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("signing_agent_")).map(str::to_owned).collect()
}

/// What the alerts and the dashboard look at.
fn looked_at() -> BTreeSet<&'static str> {
    let alerts = fs::read_to_string(docs("prometheus/alerts.yml")).unwrap();
    let dashboard = fs::read_to_string(docs("grafana/signing-agent.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let expressions = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ").map(str::to_owned));
    let expressions: Vec<String> =
        expressions.chain(targets.map(|target| target["expr"].as_str().unwrap().to_owned())).collect();
    assert!(expressions.len() > 40, "{}", expressions.len());
    let mut all = BTreeSet::new();
    for expression in &expressions {
        for name in names(expression) {
            all.insert(family(&name).unwrap_or_else(|| panic!("{name} is given out by nobody: {expression}")));
        }
    }
    all
}

#[test]
fn the_page_has_each_metric_as_it_is_given_out() {
    let mut table = String::from("\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for Family { name, kind, labels, help } in &FAMILIES {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        table += &format!("| `{name}` | {} | {} | {help} |\n", kind.as_str(), labels.join(", "));
    }
    table += "\n";
    let page = fs::read_to_string(docs("metrics.md")).unwrap();
    let (head, rest) = page.split_once("UPDATE_DOCS=1 -->\n").unwrap();
    let (found, tail) = rest.split_once("<!-- end -->").unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(docs("metrics.md"), format!("{head}UPDATE_DOCS=1 -->\n{table}<!-- end -->{tail}")).unwrap();
    } else {
        assert_eq!(found, table, "UPDATE_DOCS=1 writes it anew");
    }
}

#[test]
fn what_is_looked_at_and_moves_elsewhere_is_looked_at_there() {
    for (name, file) in ELSEWHERE {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file)).unwrap();
        assert!(text.contains(name), "{file} does not look at {name}");
    }
}

/// The values that each family had, one scrape after the other.
#[derive(Default)]
struct Seen(BTreeMap<&'static str, BTreeSet<String>>);

impl Seen {
    fn look(&mut self, house: &House) -> BTreeMap<String, f64> {
        let now = house.metrics();
        let mut of: BTreeMap<&'static str, String> = BTreeMap::new();
        for (name, value) in &now {
            let bare = name.split('{').next().unwrap();
            let own = family(bare).unwrap_or_else(|| panic!("{name} is in no table"));
            *of.entry(own).or_default() += &format!("{name}={value};");
        }
        for family in &FAMILIES {
            self.0.entry(family.name).or_default().insert(of.remove(family.name).unwrap_or_default());
        }
        now
    }
}

/// Prometheus's own tool takes what is given out, and finds nothing to say of it.
fn said_well_of(promtool: &Path, house: &House) {
    let page = house.dir.path().join("metrics.txt");
    fs::write(&page, house.ask("GET", "/metrics", "").body).unwrap();
    let mut check = std::process::Command::new(promtool);
    let output = check.args(["check", "metrics"]).stdin(fs::File::open(page).unwrap()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn every_metric_of_the_dashboard_and_the_alerts_moves() {
    let recovery = age::x25519::Identity::generate();
    let settings = Settings {
        recovery: vec![recovery.to_public().to_string()],
        ..Settings::with_policy(
            "[[rule]]\nname = \"transfers\"\nverdict = \"approve\"\naction_types = [\"ApproveTransfer\"]\nunlimited = true\n",
        )
    };
    let mut house = House::start(settings.clone());
    let mut seen = Seen::default();
    seen.look(&house);
    assert_eq!(house.register("agent").status, 200);
    house.wait("feeds=1");
    seen.look(&house);
    for _ in 0..3 {
        house.order(json!({"kind": "transfer"}));
    }
    house.wait("approved=3");
    let held = house.order(json!({"kind": "withdraw", "expiresIn": 3600})).remove(0);
    until("it is held", || house.metrics().get("signing_agent_actions{state=\"held\"}") == Some(&1.0), || house.log());
    let now = seen.look(&house);
    let of = |name: &str| now.get(name).copied().unwrap_or_else(|| panic!("{name}: {now:#?}"));
    assert_eq!(of("signing_agent_decisions_total{type=\"ApproveTransfer\",verdict=\"approving\"}"), 3.0);
    assert_eq!(of("signing_agent_decisions_total{type=\"ApproveWithdraw\",verdict=\"held\"}"), 1.0);
    assert_eq!(of("signing_agent_settled_total{type=\"ApproveTransfer\",outcome=\"approved\"}"), 3.0);
    for stage in ["judged", "signed", "settled"] {
        assert_eq!(
            of(&format!("signing_agent_stage_seconds_count{{stage=\"{stage}\"}}")),
            3.0 + f64::from(u8::from(stage == "judged"))
        );
        assert!(of(&format!("signing_agent_stage_seconds_sum{{stage=\"{stage}\"}}")) > 0.0, "{stage}");
    }
    assert!(of("signing_agent_pending_expiry_timestamp_seconds") > 1.7e9 && of("signing_agent_ready") == 1.0);
    assert_eq!(house.reject(&held).status, 200);
    // A stranger's page, a reload, a freeze, a feed that is lost, a room that dies, a client of the feed.
    let page = house.settings.client.with_header("Origin", "https://elsewhere.example");
    house.ask_as(&page, "GET", "/api/v1/client", "");
    let strangers = || house.metrics().keys().any(|name| name.starts_with("signing_agent_refused_calls_total"));
    until("the stranger is counted", strangers, || house.log());
    assert!(house.output(&["token", "add", "short", "--scope", "read", "--expires", "1h"]).status.success());
    let client = house.ask("GET", "/api/v1/client", "").json();
    let (mut feed, _) = tungstenite::connect(client["feedURL"].as_str().unwrap()).unwrap();
    until("a client hears the feed", || house.metric("signing_agent_feed_clients") == Some(1.0), || house.log());
    house.put_policy(&format!("serial = 7\n{APPROVE_ALL}"));
    assert!(house.output(&["policy", "reload"]).status.success());
    let ready = |house: &House| {
        let told = ["/readyz", "/api/v1/healthcheck/ready"].map(|path| house.ask("GET", path, "").status);
        let trouble = house.output(&["status"]).status.code();
        (told, house.metric("signing_agent_ready"), trouble)
    };
    assert_eq!(ready(&house), ([200, 200], Some(1.0), Some(0)), "one truth");
    assert!(house.output(&["freeze"]).status.success());
    assert_eq!(ready(&house), ([503, 503], Some(0.0), Some(1)), "one truth");
    let alive = house.ask("GET", "/healthz", "");
    assert_eq!((alive.status, alive.body.as_slice()), (200, &b"ok\n"[..]));
    seen.look(&house);
    feed.close(None).unwrap();
    assert!(house.output(&["unfreeze"]).status.success());
    seen.look(&house);
    let courier = house.rooms().into_iter().find(|(name, _)| name.contains("courier")).unwrap().1;
    signing_agent_tests::signal(courier, rustix::process::Signal::KILL);
    until(
        "it is gone",
        || house.metrics().get("signing_agent_door_connected{door=\"courier\"}") == Some(&0.0),
        || house.log(),
    );
    seen.look(&house);
    house.wait("feeds=1");
    seen.look(&house);

    let backup = house.dir.path().join("b.age");
    let identity = house.dir.path().join("recovery.txt");
    let secret = recovery.to_string();
    fs::write(&identity, age::secrecy::ExposeSecret::expose_secret(&secret)).unwrap();
    let made = house.output(&["--json", "backup", "create", backup.to_str().unwrap()]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let mut restored = House::empty(settings);
    let done = restored.output(&[
        "backup",
        "restore",
        backup.to_str().unwrap(),
        "--identity",
        identity.to_str().unwrap(),
        "--public-key",
        made["key"].as_str().unwrap(),
    ]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    restored.run_unready();
    until("it answers", || restored.metrics().contains_key("signing_agent_windows_full"), || restored.log());
    assert_eq!(seen.look(&restored)["signing_agent_windows_full"], 1.0);

    if let Some(promtool) = std::env::var_os("PROMTOOL") {
        said_well_of(Path::new(&promtool), &house);
    }

    let still: Vec<&str> = looked_at()
        .into_iter()
        .filter(|name| seen.0[name].len() < 2 && !ELSEWHERE.iter().any(|(elsewhere, _)| elsewhere == name))
        .collect();
    // It does not change while this program runs.
    assert_eq!(still, ["signing_agent_build_info"], "{:#?}", seen.0);
    house.assert_no_panic();
}
