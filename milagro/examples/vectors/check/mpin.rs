use milagro::mpin::vectors::{challenge, one_pass_with_x};
use milagro::mpin::{ClientSecret, MasterSecret, Pass, ServerSecret, Token, hashed_identity};

use super::case::{Case, Fault, refused, same};

pub fn check(case: &Case) -> Result<(), Fault> {
    issue(case)?;
    client(case)?;
    server(case)
}

/// What the authority makes of the master secret.
fn issue(case: &Case) -> Result<(), Fault> {
    let identity = case.text("identity")?;
    if let (Some(identity), Some(hashed)) = (identity, case.hex("hashed_identity")?) {
        same(&hashed_identity(identity.as_bytes()), hashed, "hashed_identity")?;
    }
    let Some(master) = case.hex("master_secret")? else { return Ok(()) };
    let master = MasterSecret::from_bytes(&master)?;
    if let Some(server) = case.hex("server_secret")? {
        same(&master.server_secret().to_bytes(), server, "server_secret")?;
    }
    if let (Some(identity), Some(client)) = (identity, case.hex("client_secret")?) {
        same(&*master.client_secret(identity.as_bytes()).to_bytes(), client, "client_secret")?;
    }
    Ok(())
}

/// What the client makes of its secret.
fn client(case: &Case) -> Result<(), Fault> {
    let identity = case.text("identity")?.map(str::as_bytes);
    let pin = case.number("pin")?.map(|pin| refused(u32::try_from(pin), "pin")).transpose()?;
    let secret = case.hex("client_secret")?.map(|secret| ClientSecret::from_bytes(&secret)).transpose()?;
    let token = case.hex("token")?.map(|token| Token::from_bytes(&token)).transpose()?;
    let (Some(identity), Some(pin), Some(token)) = (identity, pin, token) else { return Ok(()) };
    if let Some(secret) = secret {
        same(&*secret.take_pin(identity, pin).to_bytes(), *token.to_bytes(), "token")?;
    }
    let (Some(time), Some(x)) = (case.number("timestamp")?, case.hex("x")?) else { return Ok(()) };
    let x = refused(x.as_slice().try_into(), "x")?;
    let pass = one_pass_with_x(identity, &token, pin, time, x)?;
    case.hex("u")?.map_or(Ok(()), |u| same(&pass.u, u, "u"))?;
    case.hex("y")?.map_or(Ok(()), |y| same(&challenge(pass.et, &pass.u), y, "y"))?;
    case.hex("v")?.map_or(Ok(()), |v| same(&pass.v, v, "v"))?;
    case.text("x_api_zkp")?.map_or(Ok(()), |header| same(&pass.header(), header, "x_api_zkp"))
}

/// What the server makes of a pass, out of its parts and out of the header.
fn server(case: &Case) -> Result<(), Fault> {
    let Some(server) = case.hex("server_secret")? else { return Ok(()) };
    let server = ServerSecret::from_bytes(&server)?;
    let header = case.text("x_api_zkp")?.map(Pass::parse).transpose()?;
    header.as_ref().map_or(Ok(()), |pass| server.verify(pass))?;
    let parts = (case.text("identity")?, case.number("timestamp")?, case.hex("u")?, case.hex("v")?);
    let (Some(identity), Some(time), Some(u), Some(v)) = parts else { return Ok(()) };
    let pass = Pass {
        et: refused(u32::try_from(time), "timestamp")?,
        u: refused(<[u8; 97]>::try_from(u.as_slice()), "u")?,
        v: refused(<[u8; 97]>::try_from(v.as_slice()), "v")?,
        identity: identity.as_bytes().to_vec(),
    };
    server.verify(&pass)?;
    match header {
        Some(header) if header != pass => Err(Fault::Refused("x_api_zkp is another pass".into())),
        _ => Ok(()),
    }
}
