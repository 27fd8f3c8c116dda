//! What the backend asks to be signed is written by hand here and read by the agent's own code there: they must agree.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Agent, Control, start};
use policy::{Decoded, WalletAsset, decode};
use serde_json::{Value, json};

fn ordered(control: &Control, order: Value) -> Decoded {
    let made = control.post("/actions", order);
    decode(&hex::decode(made["actions"][0]["messages"][0].as_str().unwrap()).unwrap())
}

fn wallet(control: &Control, order: Value) -> WalletAsset {
    let Decoded::Wallet(wallet) = ordered(control, order) else { panic!("no wallet asset") };
    wallet
}

#[test]
fn every_kind_of_message_is_read_by_the_agents_code_as_what_it_was_ordered_as() {
    let simulator = start();
    let control = Control::of(&simulator);
    let agent = Agent::registered(&simulator);
    let Decoded::IdDoc(iddoc) = decode(&agent.iddoc) else { panic!("no IDDoc") };
    assert_eq!(bs58::encode(&iddoc.id).into_string(), agent.account);
    assert_eq!((&*iddoc.name, &*iddoc.authentication_reference), ("an agent", "an agent"));
    assert_eq!(iddoc.bls_public_key, agent.bls.public_key().to_bytes());
    assert_eq!(iddoc.ec_public_key.len(), 65);

    let push = wallet(&control, json!({"amount": 77, "currency": 1, "destination": "0102", "description": "rent"}));
    assert_eq!((push.transfer_type, push.currency, &*push.description), (4, 1, "rent"));
    assert_eq!((push.transfers[0].amount, &*push.transfers[0].to, push.settlements.len()), (77, [1, 2].as_slice(), 0));
    let settle = wallet(&control, json!({"kind": "withdraw", "amount": 78, "destination": "0xabc"}));
    assert_eq!((settle.transfer_type, settle.transfers.len()), (2, 0));
    assert_eq!((settle.settlements[0].amount, &*settle.settlements[0].destination), (78, "0xabc"));
    for amount in [0, -5] {
        assert_eq!(wallet(&control, json!({"amount": amount, "description": ""})).transfers[0].amount, amount);
    }

    assert!(matches!(ordered(&control, json!({"kind": "iddoc"})), Decoded::IdDoc(_)));
    for (kind, read) in [("group", "group"), ("underlying", "underlying"), ("keyvalue", "key-value"), ("mpc", "MPC")] {
        assert_eq!(ordered(&control, json!({"kind": kind})), Decoded::Other { kind: read });
    }
    assert!(matches!(ordered(&control, json!({"kind": "opaque"})), Decoded::Malformed { iddoc_like: false, .. }));
    assert_eq!(ordered(&control, json!({"kind": "junk"})), Decoded::Opaque);
}
