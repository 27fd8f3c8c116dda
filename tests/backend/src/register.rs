//! Registration: init and finish.

use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256K1_SHA256_ASN1, ParsedPublicKey};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use milagro::{PublicKey, Signature};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::actions::lower_hex;
use crate::answer::answer;
use crate::faults::{Endpoint, Fault, ReplyFault};
use crate::iddoc::{IdDoc, IdDocFault};
use crate::line::Cut;
use crate::pass::{self, WINDOW, header};
use crate::refusal::Refusal;
use crate::state::{State, away, now, random};
use crate::store::Agent;

/// Longest name of an agent, in characters.
const LONGEST_NAME: usize = 256;

/// `{"name","blsPublicKey","ecPublicKey"}`, signed with the partner's RSA key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Init {
    name: String,
    bls_public_key: String,
    ec_public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Finish {
    id_doc_signature_hex: String,
}

pub(crate) async fn init(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let signed = async { signed_by_partner(&state, &uri, &headers, &body) };
    answer(&state, &cut, Endpoint::Init, signed, async |(), fault| {
        let Init { name, bls_public_key, ec_public_key } = body_of(&body)?;
        if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(Refusal::Body("name must have 1 to 256 characters".into()));
        }
        let bls = lower_hex(&bls_public_key, "blsPublicKey")?;
        let bls = away(move || PublicKey::from_bytes(&bls)).await?.map_err(Refusal::BlsKey)?;
        let ec = ec_point(&lower_hex(&ec_public_key, "ecPublicKey")?)?;
        let maker = Arc::clone(&state);
        let reply = away(move || admit(&maker, name, bls, ec, &fault)).await??;
        state.count(|stats| stats.init_ok += 1);
        Ok(Json(reply).into_response())
    })
    .await
}

pub(crate) async fn finish(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&state, &cut, Endpoint::Finish, pass::presented(&state, &headers), async |agent, _| {
        let Finish { id_doc_signature_hex } = body_of(&body)?;
        let octets = lower_hex(&id_doc_signature_hex, "idDocSignatureHex")?;
        let signer = Arc::clone(&agent);
        away(move || Signature::from_bytes(&octets).and_then(|s| signer.bls.verify(&signer.iddoc, &s)))
            .await?
            .map_err(Refusal::IdDocSignature)?;
        // A BLS signature has one form, so this is the same finish again, or the first.
        if state.store().finish_agent(&agent) {
            state.count(|stats| stats.finish_ok += 1);
        }
        let host = header(&headers, "host")?;
        let feed = format!("ws://{host}{}/{}/feed", state.options.base, state.options.resource);
        Ok(Json(json!({"feed": feed})).into_response())
    })
    .await
}

/// A body's JSON, or a refusal that says where it is wrong.
pub(crate) fn body_of<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|wrong| Refusal::Body(wrong.to_string()))
}

fn signed_by_partner(state: &State, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let key = state.partner(header(headers, "x-api-key")?).ok_or(Refusal::ApiKey)?;
    let timestamp = header(headers, "x-timestamp")?;
    let decimal = !timestamp.is_empty() && timestamp.bytes().all(|c| c.is_ascii_digit());
    let time = timestamp.parse::<i64>().ok().filter(|_| decimal).ok_or(Refusal::TimestampUnreadable)?;
    let off = time.saturating_sub(now());
    if off.abs() > WINDOW {
        return Err(Refusal::TimestampFar(off));
    }
    let sign = URL_SAFE_NO_PAD.decode(header(headers, "x-sign")?).map_err(|_| Refusal::SignUnreadable)?;
    // The URL as the client wrote it: this server has no other name for itself than the Host that it was called.
    let url = format!("http://{}{uri}", header(headers, "host")?);
    let message = [timestamp.as_bytes(), url.as_bytes(), body].concat();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key).verify(&message, &sign).map_err(|_| Refusal::Sign(url))
}

fn ec_point(octets: &[u8]) -> Result<[u8; 65], Refusal> {
    let point = <[u8; 65]>::try_from(octets).map_err(|_| Refusal::EcKey)?;
    let on_curve = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).is_ok()
        || ParsedPublicKey::new(&ECDSA_P256K1_SHA256_ASN1, point).is_ok();
    if point[0] == 4 && on_curve { Ok(point) } else { Err(Refusal::EcKey) }
}

/// Makes identity, client secret and IDDoc, with what the fault spoils, and remembers the agent.
fn admit(state: &State, name: String, bls: PublicKey, ec: [u8; 65], fault: &Fault) -> Result<Value, Refusal> {
    let fail = |error: std::io::Error| Refusal::Internal(error.to_string());
    let id: [u8; 32] = random().map_err(fail)?;
    let timestamp = now();
    let account = bs58::encode(id).into_string();
    let identity = json_identity(&account, timestamp);
    let secret_of =
        if fault.reply == Some(ReplyFault::OtherClientSecret) { b"somebody else".as_slice() } else { &identity };
    let mut secret = *state.master.client_secret(secret_of).to_bytes();
    if fault.reply == Some(ReplyFault::BadClientSecret) {
        secret[96] ^= 1;
    }
    let fields =
        IdDoc { id, name: &name, bls: bls.to_bytes(), ec, timestamp: u64::try_from(timestamp).unwrap_or_default() };
    let iddoc = match fault.iddoc {
        // s · G2 is a point of the right group and nobody's key.
        Some(wrong) => fields.write_wrong(wrong, state.server.to_bytes()),
        None => fields.write(),
    };
    let mut reply = json!({
        "id": account,
        "clientID": hex::encode(&identity),
        "clientSecret": hex::encode(secret),
        "accountCode": account,
        "idDoc": hex::encode(&iddoc),
        "timestamp": timestamp,
    });
    if fault.iddoc == Some(IdDocFault::NotHex) {
        reply["idDoc"] = "this is not hex".into();
    }
    match (fault.reply, reply.as_object_mut()) {
        (Some(ReplyFault::MissingField), Some(fields)) => drop(fields.remove("idDoc")),
        (Some(ReplyFault::MismatchedIds), Some(fields)) => {
            let other: [u8; 32] = random().map_err(fail)?;
            fields.insert("id".into(), bs58::encode(other).into_string().into());
        }
        _ => {}
    }
    state.store().add_agent(Agent::new(account, name, identity, bls, iddoc));
    Ok(reply)
}

/// As in the published sample; its octets are the M-Pin identity.
fn json_identity(id: &str, created: i64) -> Vec<u8> {
    format!(r#"{{"id":"{id}","curve":"BLS381","created":{created}}}"#).into_bytes()
}
