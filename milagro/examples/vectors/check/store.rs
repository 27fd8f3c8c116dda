use milagro::mpin::{ServerSecret, Token, one_pass};
use serde_json::Value;

use super::bls::{key_of_seed, secp256k1_key_of_seed};
use super::case::{Case, Fault, refused, same};

pub fn check(case: &Case) -> Result<(), Fault> {
    let pin = case.number("pin")?.map(|pin| refused(u32::try_from(pin), "pin")).transpose()?;
    let (Some(store), Some(expect)) = (case.nested("store")?, case.nested("expect")?) else { return Ok(()) };
    // What is inside a store is whole or the store is refused: nothing may be missing, and what is amiss is no case's
    // lack of form.
    match agent(&Case { complete: true, ..store }, &expect, pin) {
        Err(Fault::Malformed(why)) => Err(Fault::Refused(why)),
        outcome => outcome,
    }
}

fn agent(store: &Case, expect: &Case, pin: Option<u32>) -> Result<(), Fault> {
    let Some(code) = store.base64("AgentID")? else { return Ok(()) };
    let code = refused(String::from_utf8(code), "AgentID")?;
    let Some(agent) = store.base64(&code)? else { return Ok(()) };
    let agent: Value = refused(serde_json::from_slice(&agent), "agent")?;
    let Some(fields) = agent.as_object() else { return Err(Fault::Refused("the agent is no JSON object".into())) };
    let agent = Case { fields, complete: true };

    for name in ["id", "account_code"] {
        agent.text(name)?.map_or(Ok(()), |id| same(id, &code, name))?;
    }
    expect.text("agent_id")?.map_or(Ok(()), |id| same(&code, id, "agent_id"))?;
    keys(&agent, expect)?;
    let (Some(identity), Some(token)) = (agent.base64("zkpid")?, agent.base64("zkptoken")?) else { return Ok(()) };
    expect.hex("zkp_token")?.map_or(Ok(()), |expected| same(&token, expected, "zkp_token"))?;
    let token = Token::from_bytes(&token)?;
    if let (Some(server), Some(pin)) = (expect.hex("server_secret")?, pin) {
        let pass = one_pass(&identity, &token, pin, 1_700_000_000, &[7; 32])?;
        ServerSecret::from_bytes(&server)?.verify(&pass)?;
    }
    Ok(())
}

fn keys(agent: &Case, expect: &Case) -> Result<(), Fault> {
    let Some(seed) = agent.base64("bls_seed")? else { return Ok(()) };
    let key = key_of_seed(&seed)?;
    expect.hex("bls_secret_key")?.map_or(Ok(()), |secret| same(&*key.to_bytes(), secret, "bls_secret_key"))?;
    let public = key.public_key().to_bytes();
    expect.hex("bls_public_key")?.map_or(Ok(()), |expected| same(&public, expected, "bls_public_key"))?;
    expect.hex("secp256k1_public_key")?.map_or(Ok(()), |public| secp256k1_key_of_seed(&seed, &public))
}
