//! A captured courier answers a registration as it likes: nothing is signed that is not this agent's own IDDoc, no key stays
//! behind, and the honest backend can be registered with afterwards.

use crate::door::{Captured, Door, house_stands, pid, status};
use crate::outside::replied;
use ipc::{Answer, Ask, Errand, Failure, Method, Outcome};
use milagro::mpin::MasterSecret;
use policy::wire::{Message, Payload, PbAsset, PbIdDoc, PbWallet, asset_type};
use serde_json::{Value, json};
use signing_agent_tests::{House, Reply, Settings, call, until};
use std::thread::{self, JoinHandle};

const NAME: &str = "test-agent";

/// The partner app registers; what it is told comes later.
fn register(house: &mut House) -> JoinHandle<Reply> {
    let partner = house.partner();
    let body = json!({"name": NAME, "APIKey": partner["apiKey"], "Base64PrivateKey": partner["base64PrivateKey"]});
    let url = house.url("/api/v1/register");
    thread::spawn(move || call("POST", &url, &[], body.to_string().as_bytes()).expect("the api answers"))
}

fn errand(courier: &mut Door, tail: &str) -> Errand {
    loop {
        match courier.ask(&Ask::NextErrand) {
            Answer::Errand(errand) => {
                assert_eq!((errand.method, errand.tail.as_str()), (Method::Post, tail));
                return errand;
            }
            // After each answer that had secrets in it; a captured one does not end itself.
            Answer::Retire => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The IDDoc that this `init` asks for.
fn iddoc(init: &Errand) -> PbAsset {
    let asked: Value = serde_json::from_slice(&init.body).unwrap();
    let key = |name: &str| hex::decode(asked[name].as_str().unwrap()).unwrap();
    let doc = PbIdDoc {
        bls_public_key: key("blsPublicKey"),
        ec_public_key: key("ecPublicKey"),
        timestamp: 1,
        ..PbIdDoc::default()
    };
    let payload = Some(Payload::IdDoc(doc));
    PbAsset { kind: asset_type::IDDOC, id: vec![7; 32], name: NAME.into(), payload, ..PbAsset::default() }
}

fn answer(octets: &[u8]) -> Value {
    let id = bs58::encode([7; 32]).into_string();
    let identity = json!({"id": id, "curve": "BLS381", "created": 1}).to_string();
    let master = MasterSecret::from_entropy(&[5; 64]).unwrap();
    json!({
        "id": id, "accountCode": id, "timestamp": 1, "clientID": hex::encode(&identity),
        "clientSecret": hex::encode(*master.client_secret(identity.as_bytes()).to_bytes()),
        "idDoc": hex::encode(octets),
    })
}

/// What it answers `init` with, and what each is.
fn forgeries(init: &Errand) -> Vec<(&'static str, Outcome)> {
    let good = iddoc(init);
    let spoiled = |spoil: fn(&mut PbAsset)| {
        let mut asset = good.clone();
        spoil(&mut asset);
        replied(200, &answer(&asset.encode_to_vec()).to_string())
    };
    fn doc(asset: &mut PbAsset) -> &mut PbIdDoc {
        let Some(Payload::IdDoc(doc)) = &mut asset.payload else { panic!("an IDDoc") };
        doc
    }
    let mut foreign = answer(&good.encode_to_vec());
    foreign["accountCode"] = json!(bs58::encode([8; 32]).into_string());
    let mut keyless = answer(&good.encode_to_vec());
    keyless["clientSecret"] = json!("");
    vec![
        (
            "a payment in the IDDoc's place",
            spoiled(|asset| {
                asset.kind = asset_type::WALLET;
                asset.payload = Some(Payload::Wallet(PbWallet::default()));
            }),
        ),
        ("a payment beside the IDDoc", {
            let payment = PbAsset { payload: Some(Payload::Wallet(PbWallet::default())), ..PbAsset::default() };
            replied(200, &answer(&[good.encode_to_vec(), payment.encode_to_vec()].concat()).to_string())
        }),
        (
            "somebody else's BLS key",
            spoiled(|asset| {
                let other = milagro::SecretKey::from_entropy(&[9; 64]).unwrap();
                doc(asset).bls_public_key = other.public_key().to_bytes().to_vec();
            }),
        ),
        ("another EC key", spoiled(|asset| doc(asset).ec_public_key[64] ^= 1)),
        ("another name", spoiled(|asset| asset.name = "somebody else".into())),
        ("another account", replied(200, &foreign.to_string())),
        ("no client secret", replied(200, &keyless.to_string())),
        ("no IDDoc but a digest", replied(200, &answer(&[0x5a; 32]).to_string())),
        ("garbage", replied(200, "garbage")),
        ("an error", replied(500, "")),
        ("nothing", Outcome::Failed(Failure::Timeout)),
    ]
}

fn unregistered(house: &House) {
    assert_eq!(status(house)["agent"], json!(null));
    for name in ["bls.age", "mpin.age"] {
        assert!(!house.state().join(name).exists(), "{name} was left behind");
    }
}

#[test]
fn a_forged_registration_gets_no_signature_and_leaves_no_key() {
    let mut house = House::start(Settings::default());
    let vault = pid(&house, "vault");
    let captured = Captured::room(&house, "courier");
    let mut courier = Door::connect(&house, "courier.sock");
    // Nobody asked for one: an answer to it means nothing.
    let unasked = Ask::ErrandDone { errand: 1, outcome: replied(200, &answer(&[0x5a; 32]).to_string()) };
    assert_eq!(courier.ask(&unasked), Answer::Noted);
    let mut keys = Vec::new();
    for n in 0.. {
        let app = register(&mut house);
        let init = errand(&mut courier, "init");
        // It keeps the API key that passes it, and nothing of the key that signed the request.
        let headers: Vec<&str> = init.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(headers, ["x-api-key", "x-timestamp", "x-sign"]);
        keys.push(serde_json::from_slice::<Value>(&init.body).unwrap()["blsPublicKey"].clone());
        let mut forgeries = forgeries(&init);
        if n == forgeries.len() {
            // The one that agrees with what was asked is the one whose IDDoc is signed; that is what it is for.
            let outcome = replied(200, &answer(&iddoc(&init).encode_to_vec()).to_string());
            courier.ask(&Ask::ErrandDone { errand: init.id, outcome });
            let finish = errand(&mut courier, "finish");
            courier.ask(&Ask::ErrandDone { errand: finish.id, outcome: replied(403, "forged to the end") });
            assert_eq!(app.join().unwrap().status, 502);
            break;
        }
        let (what, outcome) = forgeries.swap_remove(n);
        for _ in 0..2 {
            let done = Ask::ErrandDone { errand: init.id, outcome: outcome.clone() };
            assert_eq!(courier.ask(&done), Answer::Noted);
        }
        let told = app.join().unwrap();
        assert!(told.status >= 500, "{what}: {}", told.status);
        unregistered(&house);
    }
    assert!(!keys[1..].contains(&keys[0]), "each attempt has a key of its own");
    unregistered(&house);
    assert_eq!(house.log().matches("tail=\"finish\"").count(), 1, "{}", house.log());
    drop((courier, captured));
    house_stands(&house, vault);
    // Without the lie, this house registers.
    let registered = house.register(NAME);
    assert_eq!(registered.status, 200, "{}\n{}", registered.json(), house.log());
    until("its feed is open", || house.stats()["feeds"] == 1, || house.log());
}
