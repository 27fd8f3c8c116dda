//! Take-over of an agent of Qredo's Go program (protocol.md §8): its BLS key, M-Pin token and agentID become this vault's. The
//! backend knows the agent already, so nothing is registered there.

use super::{Attempt, Pending, agent_of, internal};
use crate::agent::Secrets;
use crate::ledger::{Phase, RegistrationRow};
use crate::outcome::Said;
use config::seams::crash_point;
use ipc::{GoAgent, ImportOptions, ImportReport, MAX_NAME, Method, Refusal};
use milagro::{SecretKey, mpin};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the backend is asked for to see whether it believes a pass: there is no such action.
const NOBODYS_ACTION: &str = "action/signing-agent-import";
/// What is signed to see that the key signs; no message of the backend's reads so.
const TRIAL: &[u8] = b"signing-agent import";
/// The longest M-Pin identity, octets.
const MOST_IDENTITY: usize = 1024;

impl Attempt<'_> {
    /// Looks at all of it; then, unless it is a dry run, seals it and makes it this vault's agent.
    pub(super) fn import(&mut self, go: &GoAgent, options: ImportOptions) -> Result<ImportReport, Refusal> {
        let Pending { row, secrets, pin, .. } = self.imported(go)?;
        let earlier = self.earlier()?;
        if let Some(earlier) = &earlier
            && !earlier.is_imported()
        {
            let words = "a registration was interrupted, and the backend may know its agent: go on with that one, or forget it first";
            return Err(Refusal::NotReady(words.into()));
        }
        // An answer of the backend's is believed for this alone: that it took the pass.
        let known = !options.offline && self.is_known(&row, &secrets, pin)?;
        let report = ImportReport {
            agent_id: row.agent_id.clone(),
            name: row.name.clone(),
            bls_key: hex::encode(Sha256::digest(secrets.bls_public())),
            known,
        };
        if options.dry_run {
            return Ok(report);
        }
        if earlier.is_some() {
            // What an interrupted import left; the file that it came from is there still.
            self.forget()?;
        }
        let recorded = row.clone();
        self.vault.ledger.call(move |t| recorded.write_finishing(t)).map_err(internal)?;
        crash_point("import.row-written");
        if let Err(why) = self.store(&secrets) {
            self.forget()?;
            return Err(internal(why));
        }
        let sealed = self.sealed(&row)?;
        self.is_the_agent(&row, sealed, pin, self.room.config.backend.feed())?;
        tracing::info!(agent_id = row.agent_id, "imported");
        Ok(report)
    }

    /// What the store says, where it agrees with itself, and its keys work.
    fn imported(&self, go: &GoAgent) -> Result<Pending, Refusal> {
        let no = |words: &str| Refusal::Init(format!("the store: {words}"));
        let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
        if !plain(&go.agent_id) || go.agent_id.len() > MAX_NAME {
            return Err(no("the account code is not letters and digits"));
        }
        if go.name.trim().is_empty() || go.name.chars().count() > MAX_NAME {
            return Err(no(&format!("the agent's name is empty, or longer than {MAX_NAME} characters")));
        }
        #[derive(Deserialize)]
        struct Identity {
            id: String,
        }
        let named = serde_json::from_slice::<Identity>(&go.identity).ok().map(|identity| identity.id);
        if go.identity.len() > MOST_IDENTITY || named.as_deref() != Some(go.agent_id.as_str()) {
            return Err(no("zkpid is not the M-Pin identity of this account code"));
        }
        let octets = |text: &str| hex::decode(text).map(Zeroizing::new).unwrap_or_default();
        let seed: Zeroizing<[u8; 48]> = match octets(go.seed.expose()).as_slice().try_into() {
            Ok(seed) => Zeroizing::new(seed),
            Err(_) => return Err(no("bls_seed is not 48 octets")),
        };
        let key = SecretKey::from_seed(&seed).map_err(|e| no(&format!("bls_seed: {e}")))?;
        let token = mpin::Token::from_bytes(&octets(go.token.expose())).map_err(|e| no(&format!("zkptoken: {e}")))?;
        let secrets = Arc::new(Secrets::new(key, token).map_err(internal)?);
        secrets.sign(TRIAL).map_err(internal)?;
        let row = RegistrationRow {
            phase: Phase::Finishing,
            name: go.name.trim().to_owned(),
            agent_id: go.agent_id.clone(),
            identity: go.identity.clone(),
            bls_public: secrets.bls_public().to_vec(),
            iddoc: Vec::new(),
            feed_url: None,
            registered_at: None,
        };
        Ok(Pending { row, secrets, pin: self.pin()?, doubt: false })
    }

    /// Whether the backend believes a pass of this agent's: it is asked for an action that there is none of.
    fn is_known(&self, row: &RegistrationRow, secrets: &Arc<Secrets>, pin: u32) -> Result<bool, Refusal> {
        let applicant = Arc::new(agent_of(row, secrets.clone(), pin, String::new(), 0));
        let not = |status: u16, words: &str| {
            let why = "the backend does not believe this agent's pass: is [backend] pin the Go agent's base.pin, is [backend] url its, and \
                       this machine's clock right?";
            Refusal::Init(format!("{why} It answered {status}: {}", ipc::bounded(words)))
        };
        match self.ask(Method::Get, NOBODYS_ACTION, Vec::new(), Vec::new(), Some(applicant)) {
            Said::Yes(_) | Said::No { status: 404, .. } => Ok(true),
            Said::No { status, words } => Err(not(status, &words)),
            Said::Perhaps { refusal: Refusal::Backend { status: status @ 401, words }, .. } => Err(not(status, &words)),
            Said::Perhaps { refusal, .. } => Err(refusal),
        }
    }

    /// What was written, opened again: it is that which the vault works with from now on.
    fn sealed(&self, row: &RegistrationRow) -> Result<Arc<Secrets>, Refusal> {
        let state = &self.room.config.state;
        let opened = Secrets::open(&self.vault.token, &state.bls_sealed(), &state.mpin_sealed()).map_err(internal)?;
        opened.sign(TRIAL).map_err(internal)?;
        if opened.bls_public().as_slice() != row.bls_public {
            return Err(internal("what was sealed opens to another key"));
        }
        Ok(Arc::new(opened))
    }
}
