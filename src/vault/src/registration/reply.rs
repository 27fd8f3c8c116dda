//! The backend's answer to `init`, believed only where it agrees with itself and with what was sent (protocol.md §2.4, §2.6).

use ipc::Secret;
use milagro::mpin::ClientSecret;
use policy::Decoded;
use serde::Deserialize;
use zeroize::Zeroizing;

/// What the IDDoc must say.
pub struct Expected<'a> {
    pub name: &'a str,
    /// 192 octets.
    pub bls: &'a [u8],
    /// 65 octets.
    pub ec: &'a [u8],
}

/// A checked answer.
pub struct Checked {
    /// The accountCode.
    pub agent_id: String,
    /// The M-Pin identity's octets.
    pub identity: Vec<u8>,
    pub client_secret: ClientSecret,
    pub iddoc: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    id: String,
    #[serde(rename = "clientID")]
    client_id: String,
    client_secret: Secret,
    account_code: String,
    id_doc: String,
}

/// What the M-Pin identity's JSON says.
#[derive(Deserialize)]
struct Identity {
    id: String,
    curve: Option<String>,
}

/// Takes the answer's octets and wipes them. The error says what is wrong, without a secret.
pub fn check(body: Vec<u8>, expected: &Expected<'_>) -> Result<Checked, String> {
    let body = Zeroizing::new(body);
    let reply: Reply = serde_json::from_slice(&body)
        .map_err(|_| "the answer to init is no JSON object with id, clientID, clientSecret, accountCode and idDoc")?;
    let identity = hex::decode(&reply.client_id).map_err(|_| "clientID is no hex")?;
    let said: Identity = serde_json::from_slice(&identity).map_err(|_| "clientID is no identity")?;
    if said.curve.is_some_and(|curve| curve != "BLS381") {
        return Err("the identity is of another curve than BLS381".into());
    }
    let iddoc = hex::decode(&reply.id_doc).map_err(|_| "idDoc is no hex")?;
    let asset_id = check_iddoc(&iddoc, expected)?;
    let ids = [&reply.id, &reply.account_code, &said.id];
    if ids.iter().any(|id| **id != asset_id) {
        return Err("id, accountCode, the identity's id and the IDDoc's ID do not agree".into());
    }
    let mut secret = Zeroizing::new(vec![0; reply.client_secret.expose().len() / 2]);
    hex::decode_to_slice(reply.client_secret.expose().as_bytes(), &mut secret).map_err(|_| "clientSecret is no hex")?;
    let client_secret = ClientSecret::from_bytes(&secret).map_err(|e| format!("clientSecret is no point: {e}"))?;
    Ok(Checked { agent_id: reply.account_code, identity, client_secret, iddoc })
}

/// The IDDoc's ID in base58, where it is this agent's own.
fn check_iddoc(octets: &[u8], expected: &Expected<'_>) -> Result<String, String> {
    let Decoded::IdDoc(doc) = policy::decode(octets) else {
        return Err("idDoc is no IDDoc: an asset of type 2 with payload 17 alone, nothing unknown in it".into());
    };
    let reference = &doc.authentication_reference;
    match () {
        () if doc.bls_public_key != expected.bls => {
            Err("the IDDoc has another BLS public key than this agent's".into())
        }
        () if doc.ec_public_key != expected.ec => Err("the IDDoc has another EC public key than this agent's".into()),
        () if doc.name != expected.name => Err("the IDDoc has another name than this agent's".into()),
        () if !reference.is_empty() && reference != expected.name => {
            Err("the IDDoc's authentication reference is another than this agent's name".into())
        }
        () if doc.id.is_empty() => Err("the IDDoc has no ID".into()),
        () => Ok(bs58::encode(&doc.id).into_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use milagro::mpin::MasterSecret;
    use policy::wire::{Message, Payload, PbAsset, PbIdDoc, PbWallet, asset_type};
    use serde_json::{Value, json};

    const EXPECTED: Expected<'_> = Expected { name: "agent-1", bls: &[1; 192], ec: &[4; 65] };

    fn asset() -> PbAsset {
        let doc = PbIdDoc {
            authentication_reference: "agent-1".into(),
            bls_public_key: EXPECTED.bls.to_vec(),
            ec_public_key: EXPECTED.ec.to_vec(),
            ..PbIdDoc::default()
        };
        let payload = Some(Payload::IdDoc(doc));
        PbAsset { kind: asset_type::IDDOC, id: vec![7; 32], name: "agent-1".into(), payload, ..PbAsset::default() }
    }

    fn doc(asset: &mut PbAsset) -> &mut PbIdDoc {
        let Some(Payload::IdDoc(doc)) = &mut asset.payload else { panic!("an IDDoc") };
        doc
    }

    fn reply(asset: &PbAsset) -> Value {
        let id = bs58::encode([7; 32]).into_string();
        let identity = json!({"id": id, "curve": "BLS381", "created": 1}).to_string();
        let master = MasterSecret::from_entropy(&[5; 64]).unwrap();
        json!({
            "id": id, "accountCode": id, "timestamp": 1,
            "clientID": hex::encode(&identity),
            "clientSecret": hex::encode(*master.client_secret(identity.as_bytes()).to_bytes()),
            "idDoc": hex::encode(asset.encode_to_vec()),
        })
    }

    fn refusal(reply: &Value) -> String {
        check(reply.to_string().into_bytes(), &EXPECTED).err().unwrap_or_default()
    }

    #[test]
    fn an_answer_that_agrees_with_itself_and_with_us_is_taken() {
        let checked = check(reply(&asset()).to_string().into_bytes(), &EXPECTED).unwrap();
        assert_eq!(checked.agent_id, bs58::encode([7; 32]).into_string());
        assert_eq!(checked.iddoc, asset().encode_to_vec());
    }

    #[test]
    fn an_iddoc_that_is_not_this_agents_is_refused() {
        type Spoil = fn(&mut PbAsset);
        let cases: [(&str, Spoil); 9] = [
            ("another BLS", |a| doc(a).bls_public_key[0] ^= 1),
            ("another BLS", |a| doc(a).bls_public_key.clear()),
            ("another EC", |a| doc(a).ec_public_key[64] ^= 1),
            ("another name", |a| a.name = "agent-2".into()),
            ("another name", |a| a.name.clear()),
            ("reference", |a| doc(a).authentication_reference = "agent-2".into()),
            ("do not agree", |a| a.id = vec![8; 32]),
            ("no ID", |a| a.id.clear()),
            ("no IDDoc", |a| {
                (a.kind, a.payload) = (asset_type::WALLET, Some(Payload::Wallet(PbWallet::default())));
            }),
        ];
        for (words, spoil) in cases {
            let mut spoiled = asset();
            spoil(&mut spoiled);
            assert!(refusal(&reply(&spoiled)).contains(words), "{words}: {}", refusal(&reply(&spoiled)));
        }
        let mut unknown = reply(&asset());
        let more = [asset().encode_to_vec(), vec![0x9a, 0x06, 1, 0]].concat();
        unknown["idDoc"] = json!(hex::encode(more));
        assert!(refusal(&unknown).contains("no IDDoc"));
    }

    #[test]
    fn ids_that_disagree_and_values_that_are_none_are_refused() {
        let other = bs58::encode([8; 32]).into_string();
        let secret = reply(&asset())["clientSecret"].as_str().unwrap().replace("04", "05");
        let identity = |text: &str| json!(hex::encode(text));
        let cases = [
            ("id", json!(other), "do not agree"),
            ("accountCode", json!(other), "do not agree"),
            ("clientID", identity(&format!(r#"{{"id":"{other}","curve":"BLS381"}}"#)), "do not agree"),
            ("clientID", identity(r#"{"id":"x","curve":"BN254"}"#), "another curve"),
            ("clientID", identity("[]"), "no identity"),
            ("clientID", json!("xy"), "clientID is no hex"),
            ("clientSecret", json!(secret), "clientSecret"),
            ("clientSecret", json!("abc"), "clientSecret is no hex"),
            ("clientSecret", json!(""), "clientSecret"),
            ("idDoc", json!("0"), "idDoc is no hex"),
            ("idDoc", Value::Null, "no JSON object"),
        ];
        for (field, value, words) in cases {
            let mut spoiled = reply(&asset());
            spoiled[field] = value;
            let said = refusal(&spoiled);
            assert!(said.contains(words), "{field}: {said:?}");
            assert!(!said.contains(reply(&asset())["clientSecret"].as_str().unwrap()));
        }
    }
}
