//! The room: what the lanes' asks meet. It stands whether the vault can work or not, for the operator must be able to ask why.

use crate::active::Policies;
use crate::authority::Consent;
use crate::callback::Callback;
use crate::clock::{Clock, backoff};
use crate::doors::Doors;
use crate::errands::Errands;
use crate::gate::Lane;
use crate::ledger::{Busy, audit};
use crate::metrics::Meter;
use crate::notary::Notary;
use crate::pool::Pool;
use crate::relay::Relay;
use crate::reply::Reply;
use crate::traces::Traces;
use crate::vault::Vault;
use crate::witness::Witnesses;
use crate::{
    access, authority, backup, decide, doctor, drafts, explain, feed, freeze, init, listing, operator, partner_key,
    registration, reload, rotate, settle, status, tokens, watchdog,
};
use config::Config;
use config::seams::crash_point;
use ipc::{Answer, Ask, Change, FeedState, Method, Refusal};
use jail::Notify;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// What the last checkpoint of a life may take.
const LAST_CHECKPOINT: Duration = Duration::from_secs(5);

/// Why the vault cannot work, in words for the operator.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub words: String,
    /// It may pass by itself: the opening is tried again.
    pub passing: bool,
    /// The ledger is not the one that the token remembers: the operator may accept that.
    pub rollback: bool,
}

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
    /// What this boot of the machine is called; empty where nobody says.
    pub boot: String,
    pub policy: Policies,
    pub callback: Callback,
    /// Loaded once, at the start; why it was not.
    pub module: Result<hsm::Module, String>,
    pub relay: Relay,
    pub access: access::Access,
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
    pub freezes: freeze::Freezes,
    doors: Mutex<Doors>,
    pub asking_health: status::AskingHealth,
    pub explaining: explain::Explaining,
    pub meter: Meter,
    pub vitals: jail::Vitals,
    /// Ends the room; set once there is something to end.
    pub end: OnceLock<signal_hook::iterator::Handle>,
    /// It is to be started anew.
    pub retiring: AtomicBool,
}

impl Room {
    /// Loads the module and opens the vault, where it can be. Nothing goes on from there before [`Room::opened`].
    pub fn open(
        config_path: PathBuf,
        config: Config,
        policy: Policies,
        callback: Callback,
        boot: String,
        vitals: jail::Vitals,
        notify: Arc<Notify>,
    ) -> (Arc<Self>, Result<Vault, Trouble>) {
        let (clock, pool) = (Clock::start(), Pool::start(Pool::size()));
        let meter = Meter::new(Traces::new(config.telemetry.traces_url.is_some(), clock.clone()));
        let witnesses = Witnesses::new(config.audit.witnesses.len());
        let module = hsm::Module::load(&config.hsm.module).map_err(|e| e.to_string());
        let room = Arc::new(Self {
            config_path,
            config,
            policy,
            boot,
            callback,
            module,
            relay: Relay::default(),
            access: access::Access::default(),
            errands: Errands::new(clock.clone(), pool.clone()),
            clock,
            pool,
            witnesses,
            token_watch: hsm::Watch::default(),
            ledger_busy: Busy::default(),
            unseen: AtomicUsize::new(0),
            work: RwLock::new(Err(Trouble::lasting("starting"))),
            opening: Mutex::default(),
            freezes: Default::default(),
            doors: Mutex::default(),
            asking_health: Default::default(),
            explaining: Default::default(),
            meter,
            vitals,
            end: OnceLock::new(),
            retiring: AtomicBool::new(false),
        });
        let deadline = room.config.hsm.call_deadline;
        watchdog::start(room.token_watch.clone(), deadline, room.ledger_busy.clone(), notify);
        let opened = init::open(&room);
        (room, opened)
    }

    /// Tries to open a vault that is in trouble.
    pub fn try_open(self: &Arc<Self>, attempt: u32) {
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.vault().is_ok() {
            return;
        }
        self.opened(init::open(self), attempt);
    }

    /// Begins with a vault that was opened; otherwise the room says why until that passes or the operator acts.
    pub fn opened(self: &Arc<Self>, opened: Result<Vault, Trouble>, attempt: u32) {
        match opened {
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
        backup::clean(self);
        Notary::start(self, &vault);
        listing::tell(self, &vault);
        freeze::grant(self, &vault);
        // First, for a client's word on one of these must find it under way.
        settle::resume(self, &vault);
        *self.work.write().unwrap_or_else(PoisonError::into_inner) = Ok(vault.clone());
        // Who asked meanwhile found no vault at work.
        freeze::grant(self, &vault);
        tracing::info!(registered = vault.agent().is_some(), "ready");
        if vault.agent().is_some() {
            // What a crash left of it.
            partner_key::remove(self, &vault);
        }
        decide::be_patient(self.clone(), vault.clone());
        access::watch_expiry(self.clone(), vault.clone(), vault.wall_clock.latest());
        // What a policy of an earlier life held is this one's to judge.
        reload::judge_held_anew(self, &vault);
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
        if lane == Lane::Admin && self.retiring.load(Ordering::SeqCst) {
            let words = "the vault is being started anew with what was changed: ask again in a moment";
            return reply.refuse(Refusal::NotReady(words.into()));
        }
        match ask {
            Ask::Call { caller, call } => access::call(self, caller, call, reply),
            Ask::FeedAfter { sequence, access } => self.relay.after(sequence, access, reply),
            Ask::TurnedAway(all) => access::turned_away(self, all, reply),
            Ask::Vitals(vitals) => {
                self.meter.of_a_door(lane, vitals);
                reply.send(Answer::Noted);
            }
            Ask::Span(span) => {
                self.meter.traces.of_a_door(span);
                reply.send(Answer::Noted);
            }
            Ask::NextTraces { lost } => self.meter.traces.ask(reply, lost),
            Ask::DoorState(state) => {
                self.access.door.is(state);
                reply.send(Answer::Noted);
            }
            Ask::Decide { action, verb, credentials } => authority::decide(self, action, verb, credentials, reply),
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
                self.doors().feed_is(Some(state));
                if open {
                    self.feed_heard();
                    // The backend is there again: what waits for its next try has waited long enough.
                    let hurried = self.vault().map_or(0, |vault| self.doors().hurried(|| vault.retries.hurry()));
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
            Ask::Freeze => freeze::stop(self, reply),
            Ask::Statement { action, verb, seconds } => drafts::statement(self, action, verb, seconds, reply),
            Ask::Change { change, statements } => authority::change(self, change, statements, reply),
            Ask::ChangeDraft { change, seconds } => authority::draft(self, change, seconds, reply),
            Ask::Tokens => tokens::list(self, reply),
            Ask::TokenRevoke { name } => tokens::revoke(self, name, reply),
            Ask::PolicyText { offset } => operator::policy_text(self, offset, reply),
            Ask::Action(action) => operator::action(self, action, reply),
            Ask::ActionsSince { since, after } => operator::actions_since(self, since, after, reply),
            Ask::Init(options) if options.amend => {
                authority::change(self, Change::Amend(options), Vec::new(), reply);
            }
            Ask::Init(options) => {
                let consent = Consent { who: reply.who(), statements: Vec::new() };
                init::on_ask(self, options, consent, reply);
            }
            Ask::Actions(query) => listing::actions(self, query, reply),
            Ask::ActionStory(action) => listing::story(self, action, reply),
            Ask::RegistrationWindow => access::window::tell(self, reply),
            Ask::RegistrationClose => access::window::close(self, reply),
            Ask::Doctor => doctor::on_ask(self, reply),
            Ask::PartnerKey { make } => partner_key::on_ask(self, make, reply),
            Ask::Register { name, api_key, private_key } => {
                partner_key::register(self, name, api_key, private_key, reply);
            }
            Ask::ChangePin { new } => rotate::change_pin(self, new, reply),
            Ask::Backup => backup::on_ask(self, reply),
            Ask::BackupPart { offset } => backup::part(self, offset, reply),
            Ask::RestorePart { offset, octets } => backup::restore_part(self, offset, &octets, reply),
            Ask::Restore { identity, options } => backup::restore(self, identity, options, reply),
            Ask::Import { agent, options } => registration::import(self, agent, options, reply),
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
            if !self.doors().may_have_ticket() || !self.errands.may_pass() {
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
        self.doors().opened(lane, connection);
    }

    pub fn lane_ended(&self, lane: Lane, connection: u64) {
        self.doors().ended(lane, connection);
        if lane == Lane::Courier {
            self.errands.lane_ended(connection);
        }
        if let Ok(vault) = self.vault() {
            vault.waiting.forget_lost();
        }
    }

    pub fn feed_state(&self) -> FeedState {
        self.doors().feed()
    }

    /// What is the matter outside; `registered` for so long, if the agent is.
    pub fn outside(&self, registered: Option<Duration>) -> Vec<String> {
        self.doors().complaints(registered)
    }

    /// Whether the api and the courier are connected.
    pub fn doors_open(&self) -> (bool, bool) {
        let doors = self.doors();
        (doors.api.is_some(), doors.courier.is_some())
    }

    /// The vault ends in order, and is started anew: by `run`, or by systemd.
    pub fn retire(&self) {
        self.retiring.store(true, Ordering::SeqCst);
        if let Some(end) = self.end.get() {
            end.close();
        }
    }

    /// All that was taken in is on disk when this returns.
    pub fn close(&self) {
        access::flush(self);
        if let Ok(vault) = self.vault() {
            // So that nothing of this life is left without one.
            if let Err(e) = vault.notary.checkpoint_within(LAST_CHECKPOINT) {
                tracing::warn!("the audit log ends without a checkpoint: {e}");
            }
            vault.ledger.close();
        }
    }

    fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
