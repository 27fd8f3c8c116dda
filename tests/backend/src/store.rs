//! Agents, actions and open feeds, under one lock, so that an action reaches a feed either by replay or as news, never both.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use milagro::PublicKey;
use milagro::mpin::ServerSecret;
use tokio::sync::mpsc::UnboundedSender;

use crate::action::{Action, Status};
use crate::refusal::Refusal;

/// An agent that init was answered to.
pub(crate) struct Agent {
    /// accountCode, id, and the ID of the IDDoc in base58.
    pub(crate) account: String,
    pub(crate) name: String,
    /// The octets that clientID stands for.
    pub(crate) identity: Vec<u8>,
    pub(crate) bls: PublicKey,
    /// The IDDoc as it was sent.
    pub(crate) iddoc: Vec<u8>,
    /// Of another backend, where the agent was registered there.
    pub(crate) server: Option<ServerSecret>,
    finished: AtomicBool,
}

impl Agent {
    pub(crate) fn new(account: String, name: String, identity: Vec<u8>, bls: PublicKey, iddoc: Vec<u8>) -> Self {
        Self { account, name, identity, bls, iddoc, server: None, finished: AtomicBool::new(false) }
    }

    /// One that was registered elsewhere, with whose server secret its passes agree.
    pub(crate) fn of_another(
        account: String,
        name: String,
        identity: Vec<u8>,
        bls: PublicKey,
        server: ServerSecret,
    ) -> Self {
        let finished = AtomicBool::new(true);
        Self { server: Some(server), finished, ..Self::new(account, name, identity, bls, Vec::new()) }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }
}

/// What is sent to one feed.
pub(crate) enum Push {
    Text(String),
    Binary(Vec<u8>),
    /// Neither read nor write from now on, as a network that lost the connection would.
    Stall,
    /// End the connection without a closing handshake.
    Drop,
}

struct Feed {
    account: String,
    push: UnboundedSender<Push>,
}

#[derive(Default)]
pub(crate) struct Store {
    agents: HashMap<Vec<u8>, Arc<Agent>>,
    /// The accountCode that registered last.
    latest: Option<String>,
    actions: HashMap<String, Action>,
    /// Ids in the order of creation.
    order: Vec<String>,
    feeds: BTreeMap<u64, Feed>,
    feeds_ever: u64,
    settled: u64,
}

impl Store {
    pub(crate) fn agent(&self, identity: &[u8]) -> Option<Arc<Agent>> {
        self.agents.get(identity).cloned()
    }

    pub(crate) fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.values()
    }

    pub(crate) fn add_agent(&mut self, agent: Agent) {
        if agent.is_finished() {
            self.latest = Some(agent.account.clone());
        }
        self.agents.insert(agent.identity.clone(), Arc::new(agent));
    }

    /// True the first time.
    pub(crate) fn finish_agent(&mut self, agent: &Agent) -> bool {
        self.latest = Some(agent.account.clone());
        !agent.finished.swap(true, Ordering::AcqRel)
    }

    /// The accountCode that actions are for when an order names none.
    pub(crate) fn latest(&self) -> Option<&str> {
        self.latest.as_deref()
    }

    pub(crate) fn add_action(&mut self, action: Action) -> Result<(), Refusal> {
        let id = action.event.id.clone();
        if self.actions.contains_key(&id) {
            return Err(Refusal::Body(format!("there is an action {id} already")));
        }
        self.order.push(id.clone());
        self.actions.insert(id, action);
        Ok(())
    }

    pub(crate) fn action(&mut self, id: &str) -> Option<&mut Action> {
        let action = self.actions.get_mut(id)?;
        action.refresh();
        Some(action)
    }

    /// The action, if it is this agent's.
    pub(crate) fn action_of(&mut self, agent: &Agent, id: &str) -> Result<&mut Action, Refusal> {
        let action = self.action(id).ok_or(Refusal::UnknownAction)?;
        let owner = &action.event.core_client_id;
        if !owner.is_empty() && *owner != agent.account {
            return Err(Refusal::ForeignAction(owner.clone()));
        }
        Ok(action)
    }

    pub(crate) fn actions(&mut self) -> impl Iterator<Item = &Action> {
        self.actions.values_mut().for_each(Action::refresh);
        self.order.iter().filter_map(|id| self.actions.get(id))
    }

    /// Out of pending, once.
    pub(crate) fn settle(&mut self, id: &str, status: Status) -> Result<(), Refusal> {
        let order = self.settled + 1;
        let action = self.action(id).ok_or(Refusal::UnknownAction)?;
        action.pending()?;
        action.settle(status, order);
        self.settled = order;
        Ok(())
    }

    /// Sends an action's event to the feeds it is for; how many there were.
    pub(crate) fn announce(&mut self, id: &str) -> Result<usize, Refusal> {
        let action = self.actions.get_mut(id).ok_or(Refusal::UnknownAction)?;
        let account = action.agent.clone();
        let text = to_text(&action.announce());
        Ok(self.push(account.as_deref(), || Push::Text(text.clone())))
    }

    /// Sends to one agent's feeds, or to all; how many there were.
    pub(crate) fn push(&self, account: Option<&str>, what: impl Fn() -> Push) -> usize {
        let meant = self.feeds.values().filter(|feed| account.is_none_or(|account| feed.account == account));
        meant.filter(|feed| feed.push.send(what()).is_ok()).count()
    }

    /// Opens a feed, with the agent's pending actions in it if `replay`; its number.
    pub(crate) fn open_feed(&mut self, account: &str, push: UnboundedSender<Push>, replay: bool) -> u64 {
        if replay {
            for id in &self.order {
                let Some(action) = self.actions.get_mut(id) else { continue };
                let meant = action.agent.as_deref().is_none_or(|agent| agent == account);
                // One that was never announced is a test's secret.
                if meant && action.announced_at_ms.is_some() && action.status() == Status::Pending {
                    let _ = push.send(Push::Text(to_text(&action.announce())));
                }
            }
        }
        self.feeds_ever += 1;
        self.feeds.insert(self.feeds_ever, Feed { account: account.to_owned(), push });
        self.feeds_ever
    }

    pub(crate) fn close_feed(&mut self, number: u64) {
        self.feeds.remove(&number);
    }
}

fn to_text(event: &crate::action::Event) -> String {
    serde_json::to_string(event).unwrap_or_default()
}
