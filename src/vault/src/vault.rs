//! What there is once token, deed, ledger and sealed keys agree.

use crate::access;
use crate::agent::{Agent, Secrets};
use crate::alarms::Alarms;
use crate::deed::{Deed, Registered};
use crate::init::Opened;
use crate::ledger::{Condition, LastSigned, Ledger, Phase, RegistrationRow, audit, time, tokens};
use crate::notary::Notary;
use crate::people::{self, Named};
use crate::pipeline::Seen;
use crate::registration;
use crate::retry::Retries;
use crate::room::{Room, Trouble};
use crate::ssh::Key;
use crate::waiting::Waiting;
use crate::window_time::{Reading, WallClock};
use config::Config;
use hsm::{PublicKeys, Token};
use ipc::ActionId;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// What is said where nothing is signed because an operator stopped it.
pub const FROZEN: &str = "the agent is frozen: nothing is signed until `signing-agent unfreeze`";
/// What is said where nothing is approved because the wall clock jumped.
pub const CLOCK_STEPPED: &str = "the wall clock jumped by more than a minute: nothing is approved until an operator has looked at the \
                                 clock and says `signing-agent confirm-clock`";

pub struct Vault {
    pub token: Token,
    pub keys: PublicKeys,
    /// The token's own age recipient, then those for recovery.
    pub recipients: Vec<String>,
    /// The deed's people, and the keys of those who may release.
    pub named: Named,
    deed_written: u64,
    pub approvers: BTreeMap<String, Key>,
    pub ledger: Ledger,
    pub waiting: Waiting,
    pub retries: Retries,
    pub notary: Notary,
    /// As the ledger has them.
    pub tokens: access::Table,
    pub registering: AtomicBool,
    pub frozen: AtomicBool,
    pub wall_clock: WallClock,
    /// Why the policy that the configuration names is not in force.
    unsigned: RwLock<Option<String>>,
    /// Actions were left in the ledger, for too many waited.
    pub deferred: AtomicBool,
    contradictions: Mutex<HashSet<(ActionId, &'static str)>>,
    pub alarms: Alarms,
    agent: RwLock<Option<Arc<Agent>>>,
    _alone: File,
}

impl Vault {
    /// Takes what agrees; unseals the keys of a registered agent and checks them against the deed. `accepted` names the
    /// operator who takes the ledger as it is, whatever the token remembers.
    pub fn new(room: &Room, opened: Opened, accepted: Option<String>) -> Result<Self, Trouble> {
        let Opened { token, keys, deed, ledger, alone } = opened;
        let agent = registered(&room.config, &token, &deed, &ledger)?;
        let approvers =
            people::keys(&deed.people.approvers).map_err(|e| Trouble::lasting(format!("the deed's people: {e}")))?;
        let last = ledger.call(LastSigned::read).map_err(Trouble::lasting)?;
        let signed = room.policy.admit(&deed.people, last);
        let refused = room.policy.active().refused.clone();
        // Last, for it puts this start on record: a token that fails above is tried again.
        let notary = Notary::begin(room, &token, &keys, &ledger, accepted)?;
        let frozen = ledger.call(|t| Condition::Frozen.read(t)).map_err(Trouble::lasting)? != 0;
        let boot = room.boot.clone();
        let look = ledger.call(move |t| {
            let stepped = Condition::ClockStepped.read(t)? != 0;
            let look = time::begin(t, &boot, Reading::take())?;
            Ok((look.stepped && !stepped, look))
        });
        let (fresh, look) = look.map_err(Trouble::lasting)?;
        let known = ledger.call(tokens::known).map_err(Trouble::lasting)?;
        let (unsigned, written) = (refused.is_some(), deed.written);
        let kept = ledger.call(move |t| {
            Condition::DeedWritten.write(t, written)?;
            Condition::Unsigned.write(t, unsigned.into())?;
            signed.map_or(Ok(()), |signed| signed.write(t))
        });
        kept.map_err(Trouble::lasting)?;
        let vault = Self {
            token,
            keys,
            recipients: deed.recipients,
            named: deed.people,
            deed_written: deed.written,
            approvers,
            ledger,
            waiting: Waiting::default(),
            retries: Retries::default(),
            notary,
            tokens: access::Table::new(known),
            registering: AtomicBool::new(false),
            frozen: AtomicBool::new(frozen),
            wall_clock: WallClock::new(look.reference, look.stepped),
            unsigned: RwLock::new(refused.clone()),
            deferred: AtomicBool::new(false),
            contradictions: Mutex::default(),
            alarms: Alarms::default(),
            agent: RwLock::new(agent.map(Arc::new)),
            _alone: alone,
        };
        if fresh {
            vault.alarm(None, CLOCK_STEPPED);
        }
        if let Some(words) = refused {
            vault.alarm(None, &ipc::bounded(&words));
        }
        Ok(vault)
    }

    /// What the ledger has of the clocks now.
    pub fn looked_at_the_clocks(&self, look: &time::Look) {
        let before = self.wall_clock.has_stepped();
        self.wall_clock.is(look.reference, look.stepped);
        if look.stepped && !before {
            self.alarm(None, CLOCK_STEPPED);
        }
    }

    /// Whether an action's time is over; while the wall clock is not believed, nothing's is.
    pub fn is_over(&self, seen: &Seen) -> bool {
        self.wall_clock.now().is_some_and(|now| seen.is_over(now))
    }

    /// Whether anything may be signed or sent with a signature now; why not.
    pub fn may_sign(&self) -> Result<(), String> {
        if self.frozen.load(Ordering::SeqCst) {
            return Err(FROZEN.into());
        }
        if let Some(words) = &*self.unsigned.read().unwrap_or_else(PoisonError::into_inner) {
            return Err(format!("the policy is not taken, and nothing is signed: {words}"));
        }
        self.notary.overdue().map_or(Ok(()), Err)
    }

    /// The policy in force is one that may be.
    pub fn signed(&self) {
        *self.unsigned.write().unwrap_or_else(PoisonError::into_inner) = None;
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

    /// Contradictions that are known to be on record: what a client says in a loop is not asked of the ledger each time.
    pub fn contradictions(&self) -> MutexGuard<'_, HashSet<(ActionId, &'static str)>> {
        self.contradictions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This vault's deed, with this agent in it.
    pub fn deed(&self, agent: Option<Registered>) -> Deed {
        Deed::new(&self.keys, self.recipients.clone(), self.named.clone(), agent).after(self.deed_written)
    }

    pub fn agent(&self) -> Option<Arc<Agent>> {
        self.agent.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_agent(&self, agent: Agent) {
        *self.agent.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(agent));
    }
}

/// The registered agent, where deed, ledger and sealed keys agree that there is one.
fn registered(config: &Config, token: &Token, deed: &Deed, ledger: &Ledger) -> Result<Option<Agent>, Trouble> {
    match ledger.call(RegistrationRow::read).map_err(Trouble::lasting)? {
        Some(row) if row.phase == Phase::Registered => unseal(config, token, deed, row).map(Some),
        Some(row) => {
            let again = if row.is_imported() {
                "an import was interrupted: import again"
            } else {
                "a registration was interrupted: register again"
            };
            tracing::warn!("{again} to go on with it");
            Ok(None)
        }
        None if deed.agent.is_some() => {
            let words = "the deed names an agent that the ledger does not know: restore both from one backup";
            Err(Trouble::lasting(words))
        }
        None if config.state.bls_sealed().exists() => {
            let words = "there are sealed keys (bls.age) that the ledger knows no registration of: restore the ledger \
                         and the deed that belong to them, or move them away";
            Err(Trouble::lasting(words))
        }
        None => Ok(None),
    }
}

fn unseal(config: &Config, token: &Token, deed: &Deed, row: RegistrationRow) -> Result<Agent, Trouble> {
    let pin = config.backend.read_pin().map_err(Trouble::lasting)?;
    let secrets = Secrets::open(token, &config.state.bls_sealed(), &config.state.mpin_sealed());
    let secrets = secrets.map_err(|e| {
        let words = format!("the agent's keys cannot be unsealed: {e}");
        if e.may_pass() { Trouble::passing(words) } else { Trouble::lasting(words) }
    })?;
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
