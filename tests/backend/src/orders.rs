//! Orders for actions: what a test wants to be asked of the agent.

use serde::Deserialize;

use crate::action::{Action, Event, Status};
use crate::assets::{Movement, other};
use crate::iddoc::IdDoc;
use crate::refusal::Refusal;
use crate::state::{State, now, random};

/// So many actions in one order.
const MOST: usize = 100_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Transfer,
    Withdraw,
    /// Somebody's IDDoc, slipped in as a message.
    Iddoc,
    Group,
    Underlying,
    KeyValue,
    Mpc,
    /// A transfer with a field that no published schema has.
    Opaque,
    /// No asset at all.
    Junk,
}

/// Body of `POST /control/actions`; everything may be left out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Order {
    count: usize,
    /// With a count above 1, ids are `id`, `id-1`, `id-2`…
    id: Option<String>,
    kind: Kind,
    /// What GET gives, as it stands: hex, no hex, empty, none.
    messages: Option<Vec<String>>,
    /// How many messages each action has, where `messages` does not say.
    message_count: usize,
    #[serde(rename = "type")]
    action_type: Option<String>,
    /// What it is and is announced as.
    status: Status,
    /// Whose it is said to be; the agent's, if absent.
    #[serde(rename = "coreClientID")]
    core_client_id: Option<String>,
    /// The accountCode whose feed gets it; the agent that registered last, if absent.
    agent: Option<String>,
    /// In the currency's smallest unit; may be negative, to see that it is noticed.
    amount: i64,
    currency: u64,
    /// An address for a withdrawal, hex for a transfer; random if absent.
    destination: Option<String>,
    description: String,
    /// Seconds from now; negative for one that is too late.
    expires_in: i64,
    pub(crate) announce: bool,
    pub(crate) announce_times: usize,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            count: 1,
            id: None,
            kind: Kind::default(),
            messages: None,
            message_count: 1,
            action_type: None,
            status: Status::Pending,
            core_client_id: None,
            agent: None,
            amount: 6400,
            currency: 4,
            destination: None,
            description: "a test".into(),
            expires_in: 3600,
            announce: true,
            announce_times: 1,
        }
    }
}

impl Order {
    /// The actions that are ordered, not yet stored.
    pub(crate) fn make(&self, state: &State) -> Result<Vec<Action>, Refusal> {
        if !(1..=MOST).contains(&self.count) {
            return Err(Refusal::Body(format!("count must be 1 to {MOST}")));
        }
        let agent = self.agent.clone().or_else(|| state.store().latest().map(str::to_owned));
        if agent.is_none() && self.core_client_id.is_none() {
            return Err(Refusal::Body("no agent is registered; name one as agent or coreClientID".into()));
        }
        (0..self.count).map(|index| self.one(state, index, agent.clone())).collect()
    }

    fn one(&self, state: &State, index: usize, agent: Option<String>) -> Result<Action, Refusal> {
        let timestamp = now();
        let messages = match &self.messages {
            Some(messages) => messages.clone(),
            None => (0..self.message_count).map(|_| self.message(state).map(hex::encode)).collect::<Result<_, _>>()?,
        };
        let event = Event {
            id: self.name(index)?,
            core_client_id: self.core_client_id.clone().or_else(|| agent.clone()).unwrap_or_default(),
            action_type: self.action_type.clone().unwrap_or_else(|| self.kind.action_type().into()),
            status: self.status,
            timestamp,
            expire_time: timestamp.saturating_add(self.expires_in),
        };
        Ok(Action {
            event,
            kind: format!("{:?}", self.kind).to_lowercase(),
            agent,
            messages,
            signatures: Vec::new(),
            announcements: 0,
            gets: 0,
            approvals: 0,
            deletes: 0,
            asked: Vec::new(),
            refused: 0,
            announced_at_ms: None,
            settled_at_ms: None,
            settled_order: None,
            took_us: None,
            announced: None,
        })
    }

    fn name(&self, index: usize) -> Result<String, Refusal> {
        match (&self.id, index) {
            (Some(id), 0) => Ok(id.clone()),
            (Some(id), _) => Ok(format!("{id}-{index}")),
            (None, _) => Ok(bs58::encode(drawn::<20>()?).into_string()),
        }
    }

    fn message(&self, state: &State) -> Result<Vec<u8>, Refusal> {
        let id: [u8; 32] = drawn()?;
        let movement = Movement {
            wallet: id,
            owner: drawn()?,
            trustee: drawn()?,
            reference: drawn()?,
            description: self.description.clone(),
            currency: self.currency,
            amount: self.amount.cast_unsigned(),
        };
        let (to, asset): ([u8; 32], [u8; 32]) = (drawn()?, drawn()?);
        let to = match (&self.destination, self.kind) {
            (Some(hex), Kind::Transfer | Kind::Opaque) => {
                hex::decode(hex).map_err(|_| Refusal::Body("destination of a transfer must be hex".into()))?
            }
            _ => to.to_vec(),
        };
        Ok(match self.kind {
            Kind::Transfer => movement.transfer(&to, &asset),
            Kind::Opaque => movement.opaque(&to, &asset),
            Kind::Withdraw => movement.withdrawal(&self.address(&to), 3_150_000),
            Kind::Group => other(1, 16, &id),
            Kind::Iddoc => self.iddoc(state, id)?,
            Kind::Underlying => other(3, 18, &id),
            Kind::KeyValue => other(4, 19, &id),
            Kind::Mpc => other(6, 20, &id),
            Kind::Junk => [b"\xffno asset at all ".as_slice(), &id].concat(),
        })
    }

    /// A well-formed one, of nobody who is registered.
    fn iddoc(&self, state: &State, id: [u8; 32]) -> Result<Vec<u8>, Refusal> {
        let mut ec: [u8; 65] = drawn()?;
        ec[0] = 4;
        let timestamp = u64::try_from(now()).unwrap_or_default();
        Ok(IdDoc { id, name: &self.description, bls: state.server.to_bytes(), ec, timestamp }.write())
    }

    fn address(&self, random: &[u8]) -> String {
        let address = || format!("0x{}", hex::encode(random.get(..20).unwrap_or_default()));
        self.destination.clone().unwrap_or_else(address)
    }
}

impl Kind {
    fn action_type(self) -> &'static str {
        if self == Self::Withdraw { "ApproveWithdraw" } else { "ApproveTransfer" }
    }
}

fn drawn<const N: usize>() -> Result<[u8; N], Refusal> {
    random().map_err(|error| Refusal::Internal(error.to_string()))
}
