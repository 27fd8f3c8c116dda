//! Registration (protocol.md §2). Until the backend's answer is checked the new keys are in memory alone; then they are
//! sealed, recorded as `finishing`, and only then is `finish` sent. An interrupted one is taken up again or forgotten whole.

mod import;
mod reply;

use crate::agent::{self, Agent, Secrets};
use crate::clock;
use crate::deed::{Deed, Registered};
use crate::errands::{Job, TIMEOUT};
use crate::files;
use crate::ledger::{Phase, RegistrationRow, audit};
use crate::outcome::{self, Said};
use crate::partner_key;
use crate::reply::Reply;
use crate::room::Room;
use crate::rsa::RequestKey;
use crate::vault::Vault;
use config::seams::crash_point;
use ipc::{Answer, GoAgent, ImportOptions, Method, Outcome, Place, Refusal, Registration, Secret};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::Instant;
use std::{fmt, thread};

/// Registers on a thread of its own; one registration at a time.
pub fn register(room: &Arc<Room>, registration: Registration, reply: Reply) {
    begin(room, reply, |attempt| {
        attempt.register(registration).map(|agent_id| {
            tracing::info!(agent_id, "registered");
            partner_key::remove(attempt.room, attempt.vault);
            Answer::Registered { agent_id }
        })
    });
}

/// Takes an agent of Qredo's Go program over, on a thread of its own; that is this vault's registration.
pub fn import(room: &Arc<Room>, agent: GoAgent, options: ImportOptions, reply: Reply) {
    if let Err(refusal) = partner_key::may_register(room) {
        return reply.refuse(refusal);
    }
    begin(room, reply, move |attempt| attempt.import(&agent, options).map(Answer::Imported));
}

fn begin<W>(room: &Arc<Room>, reply: Reply, work: W)
where
    W: FnOnce(&mut Attempt<'_>) -> Result<Answer, Refusal> + Send + 'static,
{
    let vault = match room.vault() {
        Ok(vault) => vault,
        Err(refusal) => return reply.refuse(refusal),
    };
    if vault.registering.swap(true, Ordering::SeqCst) {
        let registered = vault.agent().is_some();
        return reply.refuse(if registered { Refusal::AlreadyRegistered } else { Refusal::RegistrationBusy });
    }
    // Asked with the flag held: a registration that has just ended is seen.
    if vault.agent().is_some() {
        vault.registering.store(false, Ordering::SeqCst);
        return reply.refuse(Refusal::AlreadyRegistered);
    }
    let room = room.clone();
    thread::spawn(move || {
        let mut attempt = Attempt { room: &room, vault: &vault, secrets_left: false };
        let result = work(&mut attempt);
        if attempt.secrets_left {
            room.errands.retire_courier();
        }
        vault.registering.store(false, Ordering::SeqCst);
        match result {
            Ok(answer) => reply.send(answer),
            Err(refusal) => {
                tracing::warn!(?refusal, "not registered");
                reply.refuse(refusal);
            }
        }
        room.answer_tickets();
    });
}

struct Attempt<'a> {
    room: &'a Arc<Room>,
    vault: &'a Arc<Vault>,
    /// Secrets went through the courier.
    secrets_left: bool,
}

impl Attempt<'_> {
    fn register(&mut self, registration: Registration) -> Result<String, Refusal> {
        let key = RequestKey::read(registration.private_key().expose()).map_err(Refusal::PrivateKey)?;
        if let Some(row) = self.earlier()? {
            if row.name != registration.name() && self.may_be_known(&row) {
                return Err(Refusal::NotReady(format!(
                    "a registration of {:?} has no known outcome: register by that name again to go on with it. {}",
                    row.name,
                    way_out(&row)
                )));
            }
            match self.resume(row, registration.name())? {
                Ok(agent) => return self.finish(agent),
                Err(why) => {
                    tracing::warn!("an interrupted registration is forgotten: {why}");
                    self.forget()?;
                }
            }
        }
        let pending = self.init(&registration, key)?;
        drop(registration);
        self.finish(pending)
    }

    /// What an interrupted one left, of which nothing is known to be complete.
    fn earlier(&self) -> Result<Option<RegistrationRow>, Refusal> {
        match self.vault.ledger.call(RegistrationRow::read).map_err(internal)? {
            Some(RegistrationRow { phase: Phase::Registered, .. }) => {
                Err(Refusal::NotReady("the registration is complete: restart the agent to load it".into()))
            }
            earlier => Ok(earlier),
        }
    }

    /// Sends `init` and checks its answer; what comes back is sealed and recorded.
    fn init(&mut self, registration: &Registration, key: RequestKey) -> Result<Pending, Refusal> {
        let secret = agent::new_key(&self.vault.token).map_err(internal)?;
        let bls = secret.public_key().to_bytes();
        let url = self.room.config.backend.endpoint("init");
        let body = init_body(registration.name(), &bls, &self.vault.keys.identity).map_err(internal)?;
        let timestamp = clock::now().to_string();
        let sign = key.sign(&timestamp, &url, &body).ok_or_else(|| internal("the request could not be signed"))?;
        drop(key);
        let headers = vec![
            ("x-api-key".to_owned(), registration.api_key().clone()),
            ("x-timestamp".to_owned(), Secret::new(timestamp)),
            ("x-sign".to_owned(), Secret::new(sign)),
        ];
        self.secrets_left = true;
        let answer = match self.ask(Method::Post, "init", headers, body, None) {
            Said::Yes(body) => body,
            Said::No { status, words } => return Err(backend(status, &words, registration)),
            Said::Perhaps { refusal: Refusal::Backend { status, words }, .. } => {
                return Err(backend(status, &words, registration));
            }
            Said::Perhaps { refusal, .. } => return Err(refusal),
        };

        crash_point("registration.init-answered");
        let expected = reply::Expected { name: registration.name(), bls: &bls, ec: &self.vault.keys.identity };
        let reply = reply::check(answer, &expected).map_err(|why| {
            tracing::error!("the backend's answer to init is refused: {why}");
            Refusal::Malformed(why)
        })?;
        let pin = self.pin()?;
        let token = reply.client_secret.take_pin(&reply.identity, pin);
        let row = RegistrationRow {
            phase: Phase::Finishing,
            name: registration.name().to_owned(),
            agent_id: reply.agent_id,
            identity: reply.identity,
            bls_public: bls.to_vec(),
            iddoc: reply.iddoc,
            feed_url: None,
            registered_at: None,
        };
        let secrets = Arc::new(Secrets::new(secret, token).map_err(internal)?);
        // The row first: there is never a sealed key of which no row speaks.
        let recorded = row.clone();
        self.vault.ledger.call(move |t| recorded.write_finishing(t)).map_err(internal)?;
        crash_point("registration.row-written");
        if let Err(why) = self.store(&secrets) {
            self.forget()?;
            return Err(internal(why));
        }
        Ok(Pending { row, secrets, pin, doubt: false })
    }

    /// Signs the IDDoc and sends `finish`. A no forgets everything, unless an earlier `finish` may have arrived: then the keys may
    /// be those of an agent that the backend knows. An unknown outcome keeps it for the next attempt.
    fn finish(&mut self, pending: Pending) -> Result<String, Refusal> {
        let Pending { row, secrets, pin, doubt } = pending;
        let signature = hex::encode(secrets.sign(&row.iddoc).map_err(internal)?);
        let body = serde_json::json!({ "idDocSignatureHex": signature }).to_string().into_bytes();
        crash_point("registration.before-finish");
        let applicant = Arc::new(agent_of(&row, secrets.clone(), pin, String::new(), 0));
        let mut said = self.ask(Method::Post, "finish", Vec::new(), body.clone(), Some(applicant.clone()));
        if matches!(said, Said::Perhaps { refusal: Refusal::Backend { status: 401, .. }, .. }) {
            // The pass may have been a second late.
            tracing::warn!(
                agent_id = row.agent_id,
                "the backend does not believe the pass (401): once more, with a fresh one"
            );
            said = self.ask(Method::Post, "finish", Vec::new(), body, Some(applicant));
        }
        let answer = match said {
            Said::Yes(answer) => answer,
            Said::No { status, words }
            | Said::Perhaps { refusal: Refusal::Backend { status: status @ 401, words }, .. } => {
                if doubt {
                    let what = "the backend refuses a registration's finish, and an earlier one may have arrived";
                    self.vault.alarm(None, &format!("{what} ({status}): its keys are kept. {}", way_out(&row)));
                    return Err(Refusal::Backend { status, words });
                }
                tracing::error!(agent_id = row.agent_id, status, "the backend refuses finish; its keys are forgotten");
                self.forget()?;
                return Err(Refusal::Backend { status, words });
            }
            Said::Perhaps { refusal, .. } => return Err(refusal),
        };
        crash_point("registration.finish-answered");
        // It is not known to be done: the next attempt sends the same finish again.
        if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&answer).is_err() {
            return Err(Refusal::Malformed("the answer to finish is no JSON object".into()));
        }
        let feed_url = self.feed_url(&answer);
        self.is_the_agent(&row, secrets, pin, feed_url)?;
        Ok(row.agent_id)
    }

    /// From here on this agent is the vault's: the deed names it, and the ledger has it as registered.
    fn is_the_agent(
        &self,
        row: &RegistrationRow,
        secrets: Arc<Secrets>,
        pin: u32,
        feed_url: String,
    ) -> Result<(), Refusal> {
        let named = Registered {
            agent_id: row.agent_id.clone(),
            name: row.name.clone(),
            bls_key: hex::encode(secrets.bls_public()),
        };
        let deed = self.vault.deed(Some(named));
        deed.write(&self.room.config.state.deed(), &self.vault.token).map_err(internal)?;
        crash_point("registration.deed-written");
        let (now, kept) = (clock::now(), feed_url.clone());
        self.vault.ledger.call(move |t| RegistrationRow::write_registered(t, &kept, now)).map_err(internal)?;
        crash_point("registration.registered");
        self.vault.set_agent(agent_of(row, secrets, pin, feed_url, now));
        Ok(())
    }

    /// An earlier registration whose `finish` has no known outcome; or why it is not gone on with.
    fn resume(&self, row: RegistrationRow, name: &str) -> Result<Result<Pending, String>, Refusal> {
        if row.is_imported() {
            return Ok(Err("it was an import".into()));
        }
        if row.name != name {
            return Ok(Err(format!("it was of another name than {name:?}")));
        }
        let state = &self.room.config.state;
        let secrets = match Secrets::open(&self.vault.token, &state.bls_sealed(), &state.mpin_sealed()) {
            Ok(secrets) if secrets.bls_public().as_slice() == row.bls_public => secrets,
            Ok(_) => return Ok(Err("the sealed BLS key is another than the one that was registered".into())),
            Err(e) if e.is_for_good() => return Ok(Err(e.to_string())),
            Err(e) => return Err(internal(e)),
        };
        let pin = self.pin()?;
        tracing::info!(agent_id = row.agent_id, "an interrupted registration goes on");
        Ok(Ok(Pending { row, secrets: Arc::new(secrets), pin, doubt: true }))
    }

    /// Its `finish` may have been sent: that happens only once both sealed files are there.
    fn may_be_known(&self, row: &RegistrationRow) -> bool {
        let state = &self.room.config.state;
        !row.is_imported() && state.bls_sealed().exists() && state.mpin_sealed().exists()
    }

    fn pin(&self) -> Result<u32, Refusal> {
        self.room.config.backend.read_pin().map_err(|e| Refusal::NotReady(e.to_string()))
    }

    fn store(&self, secrets: &Secrets) -> Result<(), String> {
        let state = &self.room.config.state;
        let [bls, mpin] = secrets.seal(&self.vault.recipients).map_err(|e| e.to_string())?;
        let written = files::write(&state.bls_sealed(), &bls).and_then(|()| {
            crash_point("registration.bls-written");
            files::write(&state.mpin_sealed(), &mpin)
        });
        crash_point("registration.mpin-written");
        written.map_err(|e| format!("the sealed keys cannot be written: {e}"))
    }

    /// No key stays behind, nor a deed that names it.
    fn forget(&self) -> Result<(), Refusal> {
        let path = self.room.config.state.deed();
        if Deed::read(&path, &self.vault.keys).map_err(internal)?.agent.is_some() {
            let deed = self.vault.deed(None);
            deed.write(&path, &self.vault.token).map_err(internal)?;
        }
        crash_point("registration.forgetting");
        let state = &self.room.config.state;
        files::remove(&state.bls_sealed()).map_err(internal)?;
        crash_point("registration.bls-removed");
        files::remove(&state.mpin_sealed()).map_err(internal)?;
        crash_point("registration.mpin-removed");
        self.vault.ledger.call(RegistrationRow::discard).map_err(internal)
    }

    /// The feed's URL out of `finish`; the configured one wins (protocol.md §1), and one that is none is not taken.
    fn feed_url(&self, answer: &[u8]) -> String {
        #[derive(serde::Deserialize)]
        struct Finished {
            feed: String,
        }
        let own = self.room.config.backend.feed();
        let Ok(Finished { feed }) = serde_json::from_slice(answer) else {
            tracing::warn!("the backend's answer to finish names no feed; {own} is used");
            return own;
        };
        match config::backend_feed_url(&feed) {
            Err(why) => tracing::warn!("the feed URL of the backend is not used: {why}"),
            Ok(url) if self.room.config.backend.feed_url.is_none() => return url.to_string(),
            Ok(url) if url.as_str() != own => {
                tracing::warn!("the backend names the feed {url}; the configured {own} is used")
            }
            Ok(_) => {}
        }
        own
    }

    fn ask(
        &self,
        method: Method,
        tail: &str,
        headers: Vec<(String, Secret)>,
        body: Vec<u8>,
        pass: Option<Arc<Agent>>,
    ) -> Said {
        let (tell, told) = channel();
        let noted = tail.to_owned();
        if let Err(e) = self.vault.ledger.call(move |t| audit::errand(t, method, &noted)) {
            return Said::Perhaps { refusal: internal(e), wait: None, acted: false };
        }
        self.room.errands.add(Job {
            place: Place::Backend,
            method,
            tail: tail.to_owned(),
            headers,
            body,
            timeout: TIMEOUT,
            pass,
            until: Some(Instant::now() + TIMEOUT),
            may_go: None,
            pauses: false,
            done: Box::new(move |outcome| drop(tell.send(outcome))),
        });
        // Late errands end themselves: this covers the wait for a courier and the request.
        let outcome = told.recv_timeout(TIMEOUT * 3);
        outcome::read(outcome.unwrap_or(Outcome::Failed(ipc::Failure::Timeout)))
    }
}

/// A registration that the backend has not confirmed.
struct Pending {
    row: RegistrationRow,
    secrets: Arc<Secrets>,
    pin: u32,
    /// An earlier `finish` may have reached the backend.
    doubt: bool,
}

/// What the operator does about a registration of which the backend does not say what became.
fn way_out(row: &RegistrationRow) -> String {
    format!(
        "Ask the backend whether it knows agent {}: if it does, have it take finish again; if it does not, move bls.age and \
         mpin.age out of the state directory and register anew",
        row.agent_id
    )
}

pub fn agent_of(row: &RegistrationRow, secrets: Arc<Secrets>, pin: u32, feed_url: String, registered_at: u64) -> Agent {
    let (id, name, identity) = (row.agent_id.clone(), row.name.clone(), row.identity.clone());
    Agent { id, name, identity, pin, feed_url, registered_at, secrets }
}

fn init_body(name: &str, bls: &[u8; 192], ec: &[u8; 65]) -> serde_json::Result<Vec<u8>> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        name: &'a str,
        bls_public_key: String,
        ec_public_key: String,
    }
    serde_json::to_vec(&Body { name, bls_public_key: hex::encode(bls), ec_public_key: hex::encode(ec) })
}

/// The backend's words on `init` go to the log and to the partner app, unless they quote the API key.
fn backend(status: u16, words: &str, registration: &Registration) -> Refusal {
    let quotes = words.contains(registration.api_key().expose());
    let words = if quotes { "(its words quote the API key)" } else { words };
    Refusal::Backend { status, words: words.to_owned() }
}

fn internal(cause: impl fmt::Display) -> Refusal {
    tracing::error!("registration: {cause}");
    Refusal::Internal
}
