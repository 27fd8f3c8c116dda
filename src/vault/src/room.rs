//! The room: what the lanes' asks meet. It stands whether the vault can work or not, for the operator must be able to ask why.

use crate::agent::{Agent, Secrets};
use crate::clock::{Clock, backoff};
use crate::deed::Deed;
use crate::errands::Errands;
use crate::gate::Lane;
use crate::ledger::{Ledger, Phase, RegistrationRow};
use crate::pool::Pool;
use crate::relay::Relay;
use crate::reply::Reply;
use crate::waiting::Waiting;
use crate::{decide, feed, init, registration, status};
use config::Config;
use hsm::{PublicKeys, Token};
use ipc::{Answer, Ask, FeedState, Refusal};
use policy::Policy;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// Why the vault cannot work, in words for the operator.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub words: String,
    /// It may pass by itself: the opening is tried again.
    pub passing: bool,
}

impl Trouble {
    pub fn lasting(words: impl ToString) -> Self {
        Self { words: words.to_string(), passing: false }
    }
}

pub struct Room {
    /// Where `config` was read.
    pub config_path: PathBuf,
    pub config: Config,
    pub policy: Policy,
    pub relay: Relay,
    pub errands: Errands,
    pub clock: Clock,
    pub pool: Pool,
    work: RwLock<Result<Arc<Vault>, Trouble>>,
    /// One `init` or opening at a time.
    pub opening: Mutex<()>,
    doors: Mutex<Doors>,
}

/// What the doors' connections are at.
#[derive(Default)]
struct Doors {
    api: Option<u64>,
    courier: Option<u64>,
    feed: Option<FeedState>,
    tickets: Vec<Reply>,
}

/// What there is once token, deed, ledger and sealed keys agree.
pub struct Vault {
    pub token: Token,
    pub keys: PublicKeys,
    /// The token's own age recipient, then those for recovery.
    pub recipients: Vec<String>,
    pub ledger: Ledger,
    pub waiting: Waiting,
    pub registering: AtomicBool,
    agent: RwLock<Option<Arc<Agent>>>,
    _alone: File,
}

/// The policy that the configuration names; everything is held where it names none.
pub fn load_policy(config: &Config) -> Result<Policy, String> {
    let Some(path) = &config.policy.file else { return Ok(Policy::hold_all()) };
    let text = std::fs::read_to_string(path).map_err(|e| format!("[policy] file {}: {e}", path.display()))?;
    Policy::parse(&text).map_err(|e| format!("{}:{e}", path.display()))
}

impl Room {
    /// Opens the vault, where it can be; otherwise the room says why until that passes or the operator acts.
    pub fn open(config_path: PathBuf, config: Config, policy: Policy) -> Arc<Self> {
        let (clock, pool) = (Clock::start(), Pool::start(Pool::size()));
        let room = Arc::new(Self {
            config_path,
            config,
            policy,
            relay: Relay::default(),
            errands: Errands::new(clock.clone(), pool.clone()),
            clock,
            pool,
            work: RwLock::new(Err(Trouble::lasting("starting"))),
            opening: Mutex::default(),
            doors: Mutex::default(),
        });
        room.try_open(0);
        room
    }

    fn try_open(self: &Arc<Self>, attempt: u32) {
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.vault().is_ok() {
            return;
        }
        match init::open(&self.config) {
            Ok(vault) => self.begin(vault),
            Err(trouble) => {
                if self.config.state.deed().exists() {
                    tracing::error!("{}", trouble.words);
                } else {
                    tracing::info!("{}", trouble.words);
                }
                if trouble.passing {
                    let again = self.clone();
                    let wait =
                        Duration::from_secs(1) + backoff(attempt, Duration::from_secs(1), Duration::from_secs(30));
                    self.clock.after(wait, move || {
                        let opening = again.clone();
                        again.pool.spawn(move || opening.try_open(attempt + 1));
                    });
                }
                *self.work.write().unwrap_or_else(PoisonError::into_inner) = Err(trouble);
            }
        }
    }

    /// The vault can work from now on.
    pub fn begin(self: &Arc<Self>, vault: Vault) {
        let vault = Arc::new(vault);
        // First, for a client's word on one of these must find it under way.
        decide::resume(self, &vault);
        *self.work.write().unwrap_or_else(PoisonError::into_inner) = Ok(vault.clone());
        tracing::info!(registered = vault.agent().is_some(), "ready");
        decide::sweep(self.clone(), vault);
        self.answer_tickets();
    }

    pub fn vault(&self) -> Result<Arc<Vault>, Refusal> {
        self.trouble_or_vault().map_err(|trouble| Refusal::NotReady(ipc::bounded(&trouble.words)))
    }

    pub fn trouble_or_vault(&self) -> Result<Arc<Vault>, Trouble> {
        self.work.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks that the gate let in.
    pub fn answer(self: &Arc<Self>, lane: Lane, ask: Ask, reply: Reply) {
        tracing::trace!(?lane, "asked");
        match ask {
            Ask::Register(registration) => registration::register(self, registration, reply),
            Ask::Client => match self.vault() {
                Ok(vault) => reply.send(Answer::Client { agent_id: vault.agent().map(|agent| agent.id.clone()) }),
                Err(refusal) => reply.refuse(refusal),
            },
            Ask::Decide { action, verb } => decide::decide(self, action, verb, reply),
            Ask::FeedAfter { sequence } => self.relay.after(sequence, reply),
            Ask::Health => reply.send(Answer::Health(status::health(self))),
            Ask::NextErrand => self.errands.ask(reply),
            Ask::ErrandDone { errand, outcome } => {
                self.errands.done(reply.connection(), errand, outcome);
                reply.send(Answer::Noted);
            }
            Ask::FeedTicket => {
                self.doors().tickets.push(reply);
                self.answer_tickets();
            }
            Ask::FeedState(mut state) => {
                if let FeedState::Closed { why, .. } = &mut state {
                    *why = ipc::bounded(why);
                }
                tracing::info!(?state, "feed");
                self.doors().feed = Some(state);
                reply.send(Answer::Noted);
            }
            Ask::FeedMessage(message) if message.len() <= ipc::MAX_FEED_MESSAGE => feed::receive(self, message, reply),
            Ask::FeedMessage(_) => reply.refuse(Refusal::Malformed("a feed message that is too long".into())),
            Ask::Status => reply.send(Answer::Status(Box::new(status::status(self)))),
            Ask::Init(options) => {
                let room = self.clone();
                std::thread::spawn(move || match init::init(&room, options) {
                    Ok(report) => reply.send(Answer::Initialised(report)),
                    Err(words) => reply.refuse(Refusal::Init(words)),
                });
            }
        }
    }

    /// Tickets wait until the agent is registered; a courier that is to end itself gets none.
    pub fn answer_tickets(self: &Arc<Self>) {
        let Some(agent) = self.vault().ok().and_then(|vault| vault.agent()) else { return };
        if self.errands.is_retiring() {
            return;
        }
        let tickets = std::mem::take(&mut self.doors().tickets);
        for reply in tickets {
            if !self.errands.may_pass() {
                reply.refuse(Refusal::Busy);
                continue;
            }
            let agent = agent.clone();
            self.pool.spawn(move || match agent.pass() {
                Ok(pass) => reply.send(Answer::FeedTicket { url: agent.feed_url.clone(), pass }),
                Err(e) => {
                    tracing::error!("no one pass could be made: {e}");
                    reply.refuse(Refusal::Internal);
                }
            });
        }
    }

    pub fn lane_opened(&self, lane: Lane, connection: u64) {
        let mut doors = self.doors();
        match lane {
            Lane::Api => doors.api = Some(connection),
            Lane::Courier => (doors.courier, doors.feed) = (Some(connection), None),
            Lane::Admin => {}
        }
    }

    pub fn lane_ended(&self, lane: Lane, connection: u64) {
        let mut doors = self.doors();
        match lane {
            Lane::Api => doors.api = doors.api.filter(|current| *current != connection),
            Lane::Courier => {
                doors.courier = doors.courier.filter(|current| *current != connection);
                if doors.courier.is_none() {
                    doors.feed = None;
                }
                doors.tickets.retain(|reply| reply.connection() != connection);
                drop(doors);
                self.errands.lane_ended(connection);
            }
            Lane::Admin => {}
        }
    }

    pub fn feed_state(&self) -> FeedState {
        self.doors().feed.clone().unwrap_or(FeedState::Idle)
    }

    /// Whether the api and the courier are connected.
    pub fn doors_open(&self) -> (bool, bool) {
        let doors = self.doors();
        (doors.api.is_some(), doors.courier.is_some())
    }

    /// All that was taken in is on disk when this returns.
    pub fn close(&self) {
        if let Ok(vault) = self.vault() {
            vault.ledger.close();
        }
    }

    fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault {
    /// Takes what agrees; unseals the keys of a registered agent and checks them against the deed.
    pub fn new(
        config: &Config,
        token: Token,
        keys: PublicKeys,
        deed: &Deed,
        ledger: Ledger,
        alone: File,
    ) -> Result<Self, Trouble> {
        let row = ledger.call(RegistrationRow::read).map_err(Trouble::lasting)?;
        let vault = Self {
            token,
            keys,
            recipients: deed.recipients.clone(),
            ledger,
            waiting: Waiting::default(),
            registering: AtomicBool::new(false),
            agent: RwLock::default(),
            _alone: alone,
        };
        match row {
            Some(row) if row.phase == Phase::Registered => {
                vault.set_agent(unseal(config, &vault, deed, row)?);
            }
            Some(_) => tracing::warn!("a registration was interrupted: register again to go on with it"),
            None if deed.agent.is_some() => {
                let words = "the deed names an agent that the ledger does not know: restore both from one backup";
                return Err(Trouble::lasting(words));
            }
            None if config.state.bls_sealed().exists() => {
                let words = "there are sealed keys (bls.age) that the ledger knows no registration of: restore the ledger \
                             and the deed that belong to them, or move them away";
                return Err(Trouble::lasting(words));
            }
            None => {}
        }
        Ok(vault)
    }

    pub fn agent(&self) -> Option<Arc<Agent>> {
        self.agent.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_agent(&self, agent: Agent) {
        *self.agent.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(agent));
    }
}

fn unseal(config: &Config, vault: &Vault, deed: &Deed, row: RegistrationRow) -> Result<Agent, Trouble> {
    let pin = config.backend.read_pin().map_err(Trouble::lasting)?;
    let secrets = Secrets::open(&vault.token, &config.state.bls_sealed(), &config.state.mpin_sealed());
    let secrets = secrets.map_err(|e| Trouble::lasting(format!("the agent's keys cannot be unsealed: {e}")))?;
    let named = deed
        .agent
        .as_ref()
        .filter(|named| named.agent_id == row.agent_id && named.bls_key == hex::encode(secrets.bls_public()));
    if named.is_none() || secrets.bls_public().as_slice() != row.bls_public {
        let words = "the sealed BLS key is not the one that the deed names: restore the state directory from a backup";
        return Err(Trouble::lasting(words));
    }
    let feed_url = match (&config.backend.feed_url, &row.feed_url) {
        (None, Some(named)) => named.clone(),
        _ => config.backend.feed(),
    };
    let registered_at = row.registered_at.unwrap_or_default();
    Ok(registration::agent_of(&row, Arc::new(secrets), pin, feed_url, registered_at))
}
