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
