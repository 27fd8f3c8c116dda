//! The room: what the lanes' asks meet. It stands whether the vault can work or not, for the operator must be able to ask why.

use crate::agent::{Agent, Secrets};
use crate::alarms::Alarms;
use crate::clock::{Clock, backoff};
use crate::deed::Deed;
use crate::errands::Errands;
use crate::gate::Lane;
use crate::init::Opened;
use crate::ledger::{Busy, Condition, Ledger, Phase, RegistrationRow, audit};
use crate::notary::Notary;
use crate::pool::Pool;
use crate::relay::Relay;
use crate::reply::Reply;
use crate::retry::Retries;
use crate::waiting::Waiting;
use crate::witness::Witnesses;
use crate::{decide, feed, init, operator, registration, settle, status, watchdog};
use config::Config;
use config::seams::crash_point;
use hsm::{PublicKeys, Token};
use ipc::{ActionId, Answer, Ask, FeedState, Method, Refusal};
use policy::Policy;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Why the vault cannot work, in words for the operator.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub words: String,
    /// It may pass by itself: the opening is tried again.
    pub passing: bool,
    /// The ledger is not the one that the token remembers: the operator may accept that.
    pub rollback: bool,
}

/// What is said where nothing is signed because an operator stopped it.
pub const FROZEN: &str = "the agent is frozen: nothing is signed until `signing-agent unfreeze`";

impl Trouble {
    pub fn lasting(words: impl ToString) -> Self {
        Self { words: words.to_string(), passing: false, rollback: false }
    }
    pub fn passing(words: impl ToString) -> Self {
        Self { passing: true, ..Self::lasting(words) }
    }
    pub fn rollback(words: impl ToString) -> Self {
        Self { rollback: true, ..Self::lasting(words) }
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
    pub witnesses: Witnesses,
    /// What the token and the ledger's disk are at.
    pub token_watch: hsm::Watch,
    pub ledger_busy: Busy,
    /// How many events wait to be written.
    pub unseen: AtomicUsize,
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
    /// When it was last heard of.
    feed_heard: Option<Instant>,
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
    pub retries: Retries,
    pub notary: Notary,
    pub registering: AtomicBool,
    pub frozen: AtomicBool,
    pub alarms: Alarms,
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
        let witnesses = Witnesses::new(config.audit.witnesses.len());
        let room = Arc::new(Self {
            config_path,
            config,
            policy,
            relay: Relay::default(),
            errands: Errands::new(clock.clone(), pool.clone()),
            clock,
            pool,
            witnesses,
            token_watch: hsm::Watch::default(),
            ledger_busy: Busy::default(),
            unseen: AtomicUsize::new(0),
            work: RwLock::new(Err(Trouble::lasting("starting"))),
            opening: Mutex::default(),
            doors: Mutex::default(),
        });
        watchdog::start(room.token_watch.clone(), room.config.hsm.call_deadline, room.ledger_busy.clone());
        room.try_open(0);
        room
    }

    fn try_open(self: &Arc<Self>, attempt: u32) {
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.vault().is_ok() {
            return;
        }
        match init::open(self, None) {
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
                self.in_trouble(trouble);
            }
        }
    }

    /// The vault cannot work; its words.
    pub fn in_trouble(&self, trouble: Trouble) -> String {
        let words = trouble.words.clone();
        *self.work.write().unwrap_or_else(PoisonError::into_inner) = Err(trouble);
        words
    }

    /// The vault can work from now on.
    pub fn begin(self: &Arc<Self>, vault: Vault) {
        let vault = Arc::new(vault);
        crash_point("start.opened");
        Notary::start(self, &vault);
        // First, for a client's word on one of these must find it under way.
        settle::resume(self, &vault);
        *self.work.write().unwrap_or_else(PoisonError::into_inner) = Ok(vault.clone());
        tracing::info!(registered = vault.agent().is_some(), "ready");
        settle::sweep(self.clone(), vault);
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
                let open = state == FeedState::Open;
                self.doors().feed = Some(state);
                if open {
                    self.feed_heard();
                    // The backend is there again: what waits for its next try has waited long enough.
                    let hurried = self.vault().map_or(0, |vault| vault.retries.hurry());
                    if hurried > 0 {
                        tracing::info!(hurried, "the feed is open: what was unsettled goes on");
                    }
                }
                reply.send(Answer::Noted);
            }
            Ask::FeedMessage(message) if message.len() <= ipc::MAX_FEED_MESSAGE => feed::receive(self, message, reply),
            Ask::FeedMessage(_) => reply.refuse(Refusal::Malformed("a feed message that is too long".into())),
            Ask::Status => reply.send(Answer::Status(Box::new(status::status(self)))),
            Ask::AuditFrom { record } => operator::export(self, record, reply),
            Ask::AuditCheckpoint => operator::checkpoint(self, reply),
            Ask::AcceptRollback => operator::accept_rollback(self, reply),
            Ask::Freeze(frozen) => operator::freeze(self, frozen, reply),
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
        let Ok(vault) = self.vault() else { return };
        let Some(agent) = vault.agent() else { return };
        if self.errands.is_retiring() {
            return;
        }
        let tickets = std::mem::take(&mut self.doors().tickets);
        for reply in tickets {
            if !self.errands.may_pass() {
                reply.refuse(Refusal::Busy);
                continue;
            }
            let (agent, pool) = (agent.clone(), self.pool.clone());
            let give = move || match agent.pass() {
                Ok(pass) => reply.send(Answer::FeedTicket { url: agent.feed_url.clone(), pass }),
                Err(e) => {
                    tracing::error!("no one pass could be made: {e}");
                    reply.refuse(Refusal::Internal);
                }
            };
            vault.ledger.post(
                |t| audit::errand(t, Method::Get, "feed"),
                move |noted| match noted {
                    Ok(()) => pool.spawn(give),
                    Err(e) => tracing::error!("no pass for the feed: {e}"),
                },
            );
        }
    }

    /// The feed was opened, or brought something.
    pub fn feed_heard(&self) {
        self.doors().feed_heard = Some(Instant::now());
    }

    /// Seconds since then.
    pub fn feed_age(&self) -> Option<u64> {
        Some(self.doors().feed_heard?.elapsed().as_secs())
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
    /// Takes what agrees; unseals the keys of a registered agent and checks them against the deed. `accepted` names the
    /// operator who takes the ledger as it is, whatever the token remembers.
    pub fn new(room: &Room, opened: Opened, accepted: Option<String>) -> Result<Self, Trouble> {
        let Opened { token, keys, deed, ledger, alone } = opened;
        let notary = Notary::begin(room, &token, &keys, &ledger, accepted)?;
        let row = ledger.call(RegistrationRow::read).map_err(Trouble::lasting)?;
        let frozen = ledger.call(|t| Condition::Frozen.read(t)).map_err(Trouble::lasting)? != 0;
        let vault = Self {
            token,
            keys,
            recipients: deed.recipients.clone(),
            ledger,
            waiting: Waiting::default(),
            retries: Retries::default(),
            notary,
            registering: AtomicBool::new(false),
            frozen: AtomicBool::new(frozen),
            alarms: Alarms::default(),
            agent: RwLock::default(),
            _alone: alone,
        };
        let config = &room.config;
        match row {
            Some(row) if row.phase == Phase::Registered => {
                vault.set_agent(unseal(config, &vault, &deed, row)?);
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

    /// Whether anything may be signed or sent with a signature now; why not.
    pub fn may_sign(&self) -> Result<(), String> {
        if self.frozen.load(Ordering::SeqCst) {
            return Err(FROZEN.into());
        }
        self.notary.overdue().map_or(Ok(()), Err)
    }

    /// Something that a person should look at: to the log, to `status`, and to the audit log.
    pub fn alarm(&self, action: Option<&ActionId>, words: &str) {
        if !self.alarms.raise(action, words) {
            return;
        }
        let fields = serde_json::json!({ "action": action, "words": words });
        self.ledger.post(
            move |t| audit::append(t, "alarm", &fields),
            |kept| {
                if let Err(e) = kept {
                    tracing::error!("an alarm is not in the audit log: {e}");
                }
            },
        );
    }

    pub fn alarm_unbelieved(&self) {
        self.alarm(
            None,
            "the backend refuses this agent's passes (401), a fresh one too: look at this machine's clock, at [backend] pin, \
             and whether the backend still knows the agent",
        );
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
