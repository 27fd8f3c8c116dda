//! `signing-agent init`: makes what is missing, keeps what is there; and the opening of a vault that is initialised.

use crate::agent::Secrets;
use crate::authority::{self, Consent};
use crate::deed::{self, Configured, Deed};
use crate::files;
use crate::ledger::{Condition, Ledger, audit, registration_window};
use crate::partner_key;
use crate::people::Named;
use crate::reply::Reply;
use crate::room::{Room, Trouble};
use crate::status::fingerprints;
use crate::vault::Vault;
use config::seams::crash_point;
use config::{Config, guard};
use hsm::{Generations, PinSource, PublicKeys, Token, TokenSelector, seal};
use ipc::{Answer, InitOptions, InitReport, Refusal};
use std::fs::File;
use std::sync::{Arc, PoisonError};

/// The systemd credential with the token's PIN.
const PIN_CREDENTIAL: &str = "token-pin";

/// What agrees with each other of the token and the state directory.
pub struct Opened {
    pub token: Token,
    pub keys: PublicKeys,
    pub deed: Deed,
    pub ledger: Ledger,
    pub alone: File,
}

/// Opens what `init` made.
pub fn open(room: &Room) -> Result<Vault, Trouble> {
    Vault::new(room, agreed(room)?, None)
}

/// What `init` made, where the deed is what the configuration says.
pub fn agreed(room: &Room) -> Result<Opened, Trouble> {
    let opened = found(room)?;
    let configured = configured(&room.config, &opened.token)?;
    opened.deed.check(&configured).map_err(Trouble::lasting)?;
    opened.deed.people.know(&room.policy.active().policy).map_err(Trouble::lasting)?;
    Ok(opened)
}

/// What `init` made, as it lies there.
pub fn found(room: &Room) -> Result<Opened, Trouble> {
    let config = &room.config;
    let state = &config.state;
    if !state.deed().exists() {
        let words = format!("not initialised: there is no deed in {}; run `signing-agent init`", state.dir.display());
        return Err(Trouble::lasting(words));
    }
    files::private_dir(&state.dir).map_err(|e| Trouble::lasting(at(&state.dir, &e)))?;
    let alone = files::lock(&state.dir).map_err(|e| Trouble::passing(at(&state.dir, &e)))?;
    let token = open_token(config, module(room)?, room.token_watch.clone()).map_err(of_the_token)?;
    let keys = token.public_keys().map_err(of_the_token)?;
    let deed = Deed::read(&state.deed(), &keys).map_err(Trouble::lasting)?;
    let ledger = Ledger::open(&state.ledger(), room.ledger_busy.clone()).map_err(Trouble::lasting)?;
    is_the_last(config, &deed, &ledger).map_err(Trouble::lasting)?;
    Ok(Opened { token, keys, deed, ledger, alone })
}

fn is_the_last(config: &Config, deed: &Deed, ledger: &Ledger) -> Result<(), String> {
    let known = ledger.call(|t| Condition::DeedWritten.read(t)).map_err(|e| e.to_string())?;
    deed.is_the_last(&config.state.deed(), known).map_err(|e| e.to_string())
}

/// What the deed must say, by this configuration.
pub fn configured(config: &Config, token: &Token) -> Result<Configured, Trouble> {
    let people = Named::of(&config.people).map_err(Trouble::lasting)?;
    Ok(Configured { recipients: recipients(config, token).map_err(of_the_token)?, people })
}

/// Whether those that are named for recovery recover anything.
pub fn recovers(configured: &Configured) -> Result<(), String> {
    match &configured.recipients[..] {
        [own, recovery @ ..] if recovery.contains(own) => {
            Err("[sealing] recovery_recipients names this token's own recipient, which recovers nothing".into())
        }
        _ => Ok(()),
    }
}

/// The deed of a vault at work, and what the configuration would have it say as it is written now.
pub fn amended_deed(room: &Room, vault: &Vault) -> Result<(Deed, Configured), String> {
    let written = guard::load(&room.config_path, guard::Room::Vault).map_err(|e| e.to_string())?;
    let deed = Deed::read(&room.config.state.deed(), &vault.keys).map_err(|e| e.to_string())?;
    let next = configured(&written, &vault.token).map_err(|trouble| trouble.words)?;
    Ok((deed, next))
}

fn of_the_token(e: hsm::Error) -> Trouble {
    if e.is_of_the_pin() { Trouble::lasting(e) } else { Trouble::passing(e) }
}

/// On a thread of its own, for it waits for the token.
pub fn on_ask(room: &Arc<Room>, options: InitOptions, consent: Consent, reply: Reply) {
    let room = room.clone();
    std::thread::spawn(move || match init(&room, options, consent) {
        Ok(report) => reply.send(Answer::Initialised(report)),
        Err(Stopped::Words(words)) => reply.refuse(Refusal::Init(words)),
        Err(Stopped::Refused(refusal)) => reply.refuse(refusal),
    });
}

/// Why it was not done.
enum Stopped {
    /// For the operator.
    Words(String),
    /// The deed wants others than the operator for it.
    Refused(Refusal),
}

impl From<String> for Stopped {
    fn from(words: String) -> Self {
        Stopped::Words(words)
    }
}

/// Does what the operator asked; what they alone may not, `consent` has.
fn init(room: &Arc<Room>, options: InitOptions, consent: Consent) -> Result<InitReport, Stopped> {
    let _one = room.opening.lock().unwrap_or_else(PoisonError::into_inner);
    let config = &room.config;
    let mut report = InitReport::default();
    if let Ok(vault) = room.vault() {
        return Ok(init_running(room, &vault, options, report)?);
    }
    let state = &config.state;
    if files::private_dir(&state.dir).map_err(|e| at(&state.dir, &e))? {
        report.made.push(format!("state directory {}", state.dir.display()));
    }
    let alone = files::lock(&state.dir).map_err(|e| at(&state.dir, &e))?;
    if options.try_pin_again {
        hsm::clear_refused_pin(&state.refused_pin_marker()).map_err(|e| e.to_string())?;
    }
    for recipient in &config.sealing.recovery_recipients {
        seal::parse_recipient(recipient).map_err(|e| format!("[sealing] recovery_recipients: {e}"))?;
    }
    // Before anything is made.
    Named::of(&config.people)?;
    let module = module(room).map_err(|trouble| trouble.words)?;
    let token = open_token(config, module, room.token_watch.clone()).map_err(|e| e.to_string())?;
    let had_deed = state.deed().exists();
    let had_keys = token.public_keys().is_ok();
    // A token without the keys that the deed speaks of is the wrong one: nothing is made in it.
    let keys = if had_deed { token.public_keys() } else { token.ensure_keys() }.map_err(|e| e.to_string())?;
    noted(&mut report, had_keys, "identity, audit and sealing key in the token");
    let configured = configured(config, &token).map_err(|trouble| trouble.words)?;
    recovers(&configured)?;

    let by = consent.who.clone();
    let had_ledger = state.ledger().exists();
    if !had_deed {
        Ledger::create(&state.ledger()).map_err(|e| e.to_string())?;
        let Configured { recipients, people } = configured.clone();
        Deed::new(&keys, recipients, people, None).write(&state.deed(), &token).map_err(|e| e.to_string())?;
    }
    noted(&mut report, had_ledger, "ledger");
    noted(&mut report, had_deed, "deed");
    let deed = Deed::read(&state.deed(), &keys).map_err(|e| e.to_string())?;
    let ledger = Ledger::open(&state.ledger(), room.ledger_busy.clone()).map_err(|e| e.to_string())?;
    is_the_last(config, &deed, &ledger)?;
    let mut opened = Opened { token, keys, deed, ledger, alone };
    let amended = options.amend && opened.deed.check(&configured).is_err();
    if amended {
        // By those whom the deed names until now.
        authority::allow_amend(&opened, &configured, options, consent).map_err(Stopped::Refused)?;
        let sealed_anew = opened.deed.recipients != configured.recipients;
        opened.deed = amend(config, &opened, configured)?;
        let made = if sealed_anew { "deed amended, and what is sealed, sealed anew" } else { "deed amended" };
        report.made.push(made.into());
    } else {
        opened.deed.check(&configured).map_err(|e| e.to_string())?;
    }
    opened.deed.people.know(&room.policy.active().policy)?;
    let said = serde_json::json!({ "recipients": opened.deed.recipients, "people": opened.deed.people });
    let vault = Vault::new(room, opened, None).map_err(|trouble| room.in_trouble(trouble))?;
    // Once the ledger is known to be the one that the token remembers.
    if amended || !had_deed {
        vault.ledger.call(move |t| audit::append(t, "deed", &said)).map_err(|e| e.to_string())?;
    }
    if !had_deed {
        let by = format!("{by}, by init");
        let opened = vault.ledger.call(move |t| registration_window::open(t, registration_window::AT_INIT, &by));
        opened.map_err(|e| e.to_string())?;
    }
    complete(config, &vault, &mut report);
    room.begin(vault);
    Ok(report)
}

/// Everything is there, and the deed is what the configuration says; else this vault would not be at work.
fn init_running(
    room: &Room,
    vault: &Vault,
    options: InitOptions,
    mut report: InitReport,
) -> Result<InitReport, String> {
    let written = guard::load(&room.config_path, guard::Room::Vault).map_err(|e| e.to_string())?;
    let same_recipients = written.sealing.recovery_recipients == room.config.sealing.recovery_recipients;
    if !same_recipients || written.people != room.config.people {
        let what = if same_recipients { "[people] was" } else { "[sealing] recovery_recipients were" };
        return Err(format!("{what} changed since the agent started: restart it, then run this again"));
    }
    if options.try_pin_again {
        vault.token.try_pin_again().and_then(|()| vault.token.check()).map_err(|e| e.to_string())?;
        report.made.push("the PIN was tried again: the token takes it".into());
    }
    report.kept.extend(["identity, audit and sealing key in the token", "ledger", "deed"].map(str::to_owned));
    complete(&room.config, vault, &mut report);
    Ok(report)
}

fn complete(config: &Config, vault: &Vault, report: &mut InitReport) {
    report.fingerprints = fingerprints(vault);
    report.recipient = vault.recipients.first().cloned().unwrap_or_default();
    if config.sealing.recovery_recipients.is_empty() {
        report.warnings.push(
            "no [sealing] recovery_recipients: if this token is lost or destroyed, the agent's BLS key is lost with it, \
             nobody can bring it back, and the agent must be registered anew. Make an age key (age-keygen) on another \
             machine, name its age1… recipient in the configuration, and run `signing-agent init --amend`."
                .into(),
        );
    }
}

/// Seals the keys to the recipients where those changed, then writes the deed that names them. Interrupted between the two it can be
/// repeated: the token opens both.
fn amend(config: &Config, opened: &Opened, configured: Configured) -> Result<Deed, String> {
    let Configured { recipients, people } = configured;
    let Opened { token, keys, deed, .. } = opened;
    let (bls, mpin) = (config.state.bls_sealed(), config.state.mpin_sealed());
    if bls.exists() && deed.recipients != recipients {
        let secrets = Secrets::open(token, &bls, &mpin).map_err(|e| e.to_string())?;
        let named = deed.agent.as_ref().map(|agent| agent.bls_key.clone());
        if named.is_some_and(|named| named != hex::encode(secrets.bls_public())) {
            return Err("the sealed BLS key is not the one that the deed names: it is not sealed anew".into());
        }
        let [sealed_bls, sealed_mpin] = secrets.seal(&recipients).map_err(|e| e.to_string())?;
        files::write(&bls, &sealed_bls).and_then(|()| files::write(&mpin, &sealed_mpin)).map_err(|e| at(&bls, &e))?;
        crash_point("amend.sealed");
    }
    if deed.recipients != recipients {
        partner_key::seal_anew(config, token, &recipients)?;
    }
    let deed = Deed::new(keys, recipients, people, deed.agent.clone()).after(deed.written);
    deed.write(&config.state.deed(), token).map_err(|e: deed::Error| e.to_string())?;
    crash_point("amend.deed-written");
    Ok(deed)
}

fn noted(report: &mut InitReport, had: bool, what: &str) {
    let list = if had { &mut report.kept } else { &mut report.made };
    list.push(what.to_owned());
}

/// As the configuration names them: the token's own first.
pub fn recipients(config: &Config, token: &Token) -> Result<Vec<String>, hsm::Error> {
    let own = token.recipient()?;
    Ok(std::iter::once(own).chain(config.sealing.recovery_recipients.iter().cloned()).collect())
}

/// The module that was loaded before the filter. Where none was, none can be any more.
fn module(room: &Room) -> Result<&hsm::Module, Trouble> {
    room.module.as_ref().map_err(|why| Trouble::lasting(format!("{why}; then restart the vault")))
}

/// Logs in, unless the PIN was refused before; with the keys that the deed speaks of, where there is one.
pub fn open_token(config: &Config, module: &hsm::Module, watch: hsm::Watch) -> Result<Token, hsm::Error> {
    open_token_with(config, module, watch, Deed::generations_of(&config.state.deed()))
}

/// The same with these keys.
pub fn open_token_with(
    config: &Config,
    module: &hsm::Module,
    watch: hsm::Watch,
    generations: Generations,
) -> Result<Token, hsm::Error> {
    Token::open(hsm::Config {
        module: module.clone(),
        token: match &config.hsm.token {
            config::Token::Label(label) => TokenSelector::Label(label.clone()),
            config::Token::Slot(slot) => TokenSelector::Slot(*slot),
        },
        pin: match &config.hsm.pin_file {
            Some(path) => PinSource::File(path.clone()),
            None => PinSource::Credential(PIN_CREDENTIAL.into()),
        },
        identity_curve: match config.hsm.identity_curve {
            config::Curve::P256 => hsm::Curve::P256,
            config::Curve::Secp256k1 => hsm::Curve::Secp256k1,
        },
        generations,
        refused_pin_marker: config.state.refused_pin_marker(),
        workers: crate::pool::Pool::size(),
        watch,
    })
}

fn at(path: &std::path::Path, e: &std::io::Error) -> String {
    format!("{}: {e}", path.display())
}
