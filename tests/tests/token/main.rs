//! A token that fails under a running agent, by every fault that a module can be given: what is told meanwhile, and how
//! soon after its end all is well again. `docs/token-faults.md` has the table that this prints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod table;

use std::time::{Duration, Instant};

use pkcs11_shim::{Control, ENV_CONTROL, ENV_MODULE};
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};

/// A registered agent that approves everything, with a module that fails where it is told to.
fn house(hsm: &str) -> (House, Control) {
    let (mut house, control) = unregistered(hsm);
    let reply = house.register("test-agent");
    assert_eq!(reply.status, 200, "{}\n{}", String::from_utf8_lossy(&reply.body), house.log());
    house.wait("feeds=1");
    (house, control)
}

/// Each record is put under a checkpoint at once, so that the token is always needed.
fn unregistered(hsm: &str) -> (House, Control) {
    let mut house =
        House::empty(Settings { hsm: hsm.to_owned(), log_level: "info", ..Settings::with_policy(APPROVE_ALL) });
    let control = Control::new(&house.dir.path().join("token/faults"));
    house.settings.module = Some(Control::module());
    house.settings.hsm += &format!("\nwritable = [{:?}]\n", house.dir.path().join("token"));
    house.settings.environment =
        vec![(ENV_MODULE, house.token.module.clone()), (ENV_CONTROL, control.path().to_owned())];
    house.write_config();
    let init = house.output(&["init"]);
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    house.run();
    (house, control)
}

/// What `signing-agent status` says is the matter, if anything; also where nobody answers.
fn trouble(house: &House) -> Option<String> {
    let output = house.output(&["status", "--json"]);
    if output.status.success() {
        return None;
    }
    let said: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let told = said.and_then(|status| status["trouble"].as_str().map(str::to_owned));
    Some(told.unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Until `status` has no trouble; how long that took.
fn recovered(house: &House) -> Duration {
    let begun = Instant::now();
    until("the trouble is over", || trouble(house).is_none(), || format!("{:?}\n{}", trouble(house), house.log()));
    begun.elapsed()
}

fn vault(house: &House) -> Option<u32> {
    house.rooms().into_iter().find(|(name, _)| name == "vault").map(|(_, pid)| pid)
}

fn order(house: &House) -> String {
    house.order(json!({})).remove(0)
}

/// The backend took one approval of each, and nothing else.
fn approved_once(house: &House, ids: &[String]) {
    let stats = house.wait(&format!("settled={}", ids.len()));
    assert_eq!(stats["refusals"], json!([]), "{stats}");
    for id in ids {
        let action = house.action(id);
        assert_eq!((&action["status"], &action["approvals"]), (&json!("approved"), &json!(1)), "{action}");
    }
    house.assert_no_panic();
}
