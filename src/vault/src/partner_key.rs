//! The RSA key that registers an agent whose operator has no partner app (protocol.md §2). It is made here, kept as an age file
//! alone, used for a registration, and removed once one succeeded; each step is on record. Its private half never leaves this room.

use crate::files;
use crate::ledger::{audit, registration_window};
use crate::registration;
use crate::reply::Reply;
use crate::room::Room;
use crate::rsa::{self, PublicHalf};
use crate::vault::Vault;
use config::Config;
use hsm::{Token, seal};
use ipc::{AccessFault, Answer, PartnerKey, Refusal, Registration, Secret};
use serde_json::json;
use std::sync::{Arc, PoisonError};
use std::{fmt, thread};
use zeroize::Zeroizing;

/// Tells its public half, on a thread of its own, for it waits for the token.
pub fn on_ask(room: &Arc<Room>, make: bool, reply: Reply) {
    let room = room.clone();
    thread::spawn(move || match tell(&room, make, &reply.who()) {
        Ok(key) => reply.send(Answer::PartnerKey(key)),
        Err(refusal) => reply.refuse(refusal),
    });
}

/// Registers with the key that was brought (PEM, or base64 of it), else with the sealed one.
pub fn register(room: &Arc<Room>, name: String, api_key: Secret, private_key: Option<Secret>, reply: Reply) {
    let room = room.clone();
    thread::spawn(move || {
        let key = may_register(&room).and_then(|()| match private_key {
            Some(brought) => Ok(rsa::base64_of(&brought)),
            None => sealed(&room, &reply.who()),
        });
        let registration = key.and_then(|key| {
            Registration::new(&name, api_key.expose(), &key).map_err(|field| {
                Refusal::Init(format!("{field} is blank or too long: it is not what the custody console gave out"))
            })
        });
        match registration {
            Ok(registration) => registration::register(&room, registration, reply),
            Err(refusal) => reply.refuse(refusal),
        }
    });
}

/// The agent is registered: nothing is left for the key to do.
pub fn remove(room: &Room, vault: &Vault) {
    let path = room.config.state.partner_key_sealed();
    if !path.exists() {
        return;
    }
    let noted = files::remove(&path).map_err(|e| e.to_string()).and_then(|()| {
        let fields = json!({ "step": "removed" });
        vault.ledger.call(move |t| audit::append(t, "partner-key", &fields)).map_err(|e| e.to_string())
    });
    match noted {
        Ok(()) => tracing::info!("the partner key has done its work, and is removed"),
        Err(e) => vault.alarm(None, &ipc::bounded(&format!("the used partner key {} stays: {e}", path.display()))),
    }
}

/// Where the recipients changed: the old ones open it no longer.
pub fn seal_anew(config: &Config, token: &Token, recipients: &[String]) -> Result<(), String> {
    let path = config.state.partner_key_sealed();
    if !path.exists() {
        return Ok(());
    }
    let plain = open(config, token).map_err(|e| format!("the partner key: {e}"))?;
    let sealed = seal::seal(&plain, recipients).map_err(|e| e.to_string())?;
    files::write(&path, &sealed).map_err(|e| format!("{}: {e}", path.display()))
}

fn tell(room: &Room, make: bool, who: &str) -> Result<PartnerKey, Refusal> {
    let vault = room.vault()?;
    // Of two that make one at once, both are told the same.
    let _one = room.opening.lock().unwrap_or_else(PoisonError::into_inner);
    if room.config.state.partner_key_sealed().exists() {
        let PublicHalf { pem, fingerprint } = read(room, &vault)?.1;
        return Ok(PartnerKey { public: pem, fingerprint, made: false });
    }
    if vault.agent().is_some() {
        return Err(Refusal::AlreadyRegistered);
    }
    if !make {
        return Err(none());
    }
    let plain = rsa::make().ok_or_else(|| internal("no key was made"))?;
    let PublicHalf { pem, fingerprint } =
        rsa::public_half(&plain).ok_or_else(|| internal("what was made is no key"))?;
    let sealed = seal::seal(&plain, &vault.recipients).map_err(internal)?;
    let fields = json!({ "step": "made", "fingerprint": fingerprint, "by": who });
    // The record first: there is never a key of which none speaks.
    vault.ledger.call(move |t| audit::append(t, "partner-key", &fields)).map_err(internal)?;
    files::write(&room.config.state.partner_key_sealed(), &sealed).map_err(internal)?;
    if vault.agent().is_some() {
        // It was registered meanwhile, by its partner app.
        remove(room, &vault);
        return Err(Refusal::AlreadyRegistered);
    }
    tracing::info!(fingerprint, "a partner key was made");
    Ok(PartnerKey { public: pem, fingerprint, made: true })
}

/// The operator too opens a window for it first: that is a change, which people may have to sign.
pub fn may_register(room: &Room) -> Result<(), Refusal> {
    let vault = room.vault()?;
    if vault.agent().is_some() {
        return Err(Refusal::AlreadyRegistered);
    }
    match vault.ledger.call(registration_window::left).map_err(internal)? {
        Some(_) => Ok(()),
        None => Err(Refusal::Access(AccessFault::RegistrationClosed)),
    }
}

/// The sealed key as a registration takes it; that it is used is on record first.
fn sealed(room: &Room, who: &str) -> Result<Zeroizing<String>, Refusal> {
    let vault = room.vault()?;
    if !room.config.state.partner_key_sealed().exists() {
        return Err(none());
    }
    let (plain, PublicHalf { fingerprint, .. }) = read(room, &vault)?;
    let fields = json!({ "step": "used", "fingerprint": fingerprint, "by": who });
    vault.ledger.call(move |t| audit::append(t, "partner-key", &fields)).map_err(internal)?;
    Ok(rsa::base64_of_pem(&plain))
}

fn read(room: &Room, vault: &Vault) -> Result<(Zeroizing<Vec<u8>>, PublicHalf), Refusal> {
    let refuse = |e: &dyn fmt::Display| {
        let path = room.config.state.partner_key_sealed();
        let words = format!("{}: {e}; to have another one made, move it away", path.display());
        Refusal::NotReady(ipc::bounded(&words))
    };
    let plain = open(&room.config, &vault.token).map_err(|e| refuse(&e))?;
    let public = rsa::public_half(&plain).ok_or_else(|| refuse(&"it is not an RSA key"))?;
    Ok((plain, public))
}

fn open(config: &Config, token: &Token) -> Result<Zeroizing<Vec<u8>>, String> {
    let sealed = std::fs::read(config.state.partner_key_sealed()).map_err(|e| e.to_string())?;
    seal::open(token, &sealed).map_err(|e| e.to_string())
}

fn none() -> Refusal {
    Refusal::NotReady("there is no partner key: `signing-agent partner-key new` makes one".into())
}

fn internal(cause: impl fmt::Display) -> Refusal {
    tracing::error!("partner key: {cause}");
    Refusal::Internal
}
