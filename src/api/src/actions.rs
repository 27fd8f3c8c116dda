//! `GET /api/v1/actions` and `GET /api/v1/client/action/{id}`: what the ledger has of actions.

use crate::credentials::Who;
use crate::openapi::Refusals;
use crate::reason::Reason;
use crate::reply::Fault;
use crate::routes::{House, Id, action_id};
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use ipc::{ActionId, ActionLine, ActionList, ActionQuery, ActionState, ActionStory, Answer, Call, MOST_LISTED, Moment};
use serde::Serialize;
use std::sync::Arc;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// How many a list has where nobody says.
const USUAL: u16 = 50;
/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

/// Actions, the one that was seen last first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Actions {
    actions: Vec<Line>,
    /// Where the list goes on: `cursor` of the next call. `null`: here it ends.
    next: Option<String>,
}

/// What is told of an action in a list. Times are Unix seconds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    #[serde(rename = "actionID")]
    action: String,
    #[schema(value_type = Status)]
    status: &'static str,
    /// What the feed calls it.
    #[serde(rename = "type")]
    claim: Option<String>,
    /// When it was first seen.
    seen: u64,
    expires: Option<u64>,
    settled: Option<u64>,
    /// What policy says of it: `approve`, `hold` or `deny`.
    verdict: Option<String>,
    /// The rule that said so.
    rule: Option<String>,
    why: Option<String>,
    /// `policy`, or who else let it go or rejected it.
    decided_by: Option<String>,
    /// What its messages say, in words; empty where they were never fetched.
    summary: String,
}

/// All that is known of an action.
#[derive(Serialize, ToSchema)]
pub(crate) struct Story {
    #[serde(flatten)]
    line: Line,
    /// SHA-256 of the policy that judged it last, hex.
    policy: Option<String>,
    /// What releases it, where it is held.
    release: Option<String>,
    /// Who has said by a signed statement that it be approved, as it counts now.
    approvals: Vec<String>,
    /// SHA-256 of each message, hex; of 1,024 at the most.
    digests: Vec<String>,
    /// What each message says, in words; of 64 at the most.
    facts: Vec<String>,
    /// What happened to it, oldest first; the last 200.
    timeline: Vec<Entry>,
}

/// A record of the audit log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entry {
    record: u64,
    at: u64,
    /// The record's kind, such as `decision`, `signed` or `settled`.
    what: String,
    words: String,
}

/// Where an action stands.
pub(crate) struct Status;

impl PartialSchema for Status {
    fn schema() -> RefOr<Schema> {
        let names = ActionState::ALL.map(ActionState::as_str);
        ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(names)).into()
    }
}

impl ToSchema for Status {
    fn name() -> std::borrow::Cow<'static, str> {
        "Status".into()
    }
}

/// Unix seconds, or RFC 3339.
pub(crate) struct Time;

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let seconds =
            ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer)).minimum(Some(0)).maximum(Some(LAST));
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        RefOr::T(OneOfBuilder::new().item(seconds).item(text).into())
    }
}

impl ToSchema for Time {}

/// Lists actions, newest first.
#[utoipa::path(
    get, path = "/api/v1/actions", tag = "actions", operation_id = "listActions",
    params(
        ("status" = Option<Vec<Status>>, Query, description = "Only those that stand so; several with commas or several times"),
        ("since" = Option<Time>, Query, description = "Only those that were first seen then or later: Unix seconds, or RFC 3339"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 200, description = "At most so many; 50 where it is not given"),
        ("cursor" = Option<String>, Query, min_length = 6, max_length = 300, pattern = "^([0-9a-f]{2})+$", description = "`next` of the list before"),
    ),
    responses((status = 200, body = Actions), Refusals),
    security(("bearer" = ["read"]), ("mutualTLS" = ["read"])),
)]
pub(crate) async fn list(
    State(house): State<Arc<House>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<Json<Actions>, Fault> {
    let query = read(query.as_deref().unwrap_or_default())
        .map_err(|words| Fault::bad(ipc::bounded(&words)).because(Reason::BAD_QUERY))?;
    let Answer::ActionList(ActionList { actions, next }) = house.ask(who.0, Call::Actions(query)).await? else {
        return Err(Fault::misfit("Actions"));
    };
    let next = next.map(|(seen, id)| hex::encode(format!("{seen}.{id}")));
    Ok(Json(Actions { actions: actions.into_iter().map(Line::from).collect(), next }))
}

/// Tells all that is known of an action.
#[utoipa::path(
    get, path = "/api/v1/client/action/{id}", tag = "actions", operation_id = "getAction",
    params(("id" = crate::routes::IdText, Path, description = "The action's id")),
    responses((status = 200, body = Story), (status = 404, body = crate::reply::FaultBody, description = "This agent knows no such action"), Refusals),
    security(("bearer" = ["read"]), ("mutualTLS" = ["read"])),
)]
pub(crate) async fn story(State(house): State<Arc<House>>, who: Who, id: Id) -> Result<Json<Story>, Fault> {
    let Answer::ActionStory(story) = house.ask(who.0, Call::Action(action_id(id)?)).await? else {
        return Err(Fault::misfit("Action"));
    };
    let story = story.ok_or_else(unknown)?;
    Ok(Json(Story::from(*story)))
}

/// Of an action that the ledger does not have.
pub(crate) fn unknown() -> Fault {
    let words = "this agent knows no such action: neither the feed nor a client has named it yet";
    Fault::new(StatusCode::NOT_FOUND, words).because(Reason::ACTION_UNKNOWN)
}

/// What a list is to have, or what is wrong with the question.
fn read(query: &str) -> Result<ActionQuery, String> {
    let mut wanted = ActionQuery { states: Vec::new(), since: 0, after: None, limit: USUAL };
    let mut known: Vec<String> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "status" && known.iter().any(|other| *other == name) {
            return Err(format!("{name} is given twice"));
        }
        match name.as_ref() {
            "status" => states(&value, &mut wanted.states)?,
            "since" => wanted.since = time(&value)?,
            "limit" => wanted.limit = limit(&value)?,
            "cursor" => wanted.after = Some(cursor(&value).ok_or("cursor is `next` of the list before, as it came")?),
            _ => return Err(format!("{name} is not known here: status, since, limit and cursor are")),
        }
        known.push(name.into_owned());
    }
    Ok(wanted)
}

fn states(value: &str, states: &mut Vec<ActionState>) -> Result<(), String> {
    for name in value.split(',') {
        let names = || ActionState::ALL.map(ActionState::as_str).join(", ");
        let state = ActionState::named(name).ok_or_else(|| format!("status is some of {}", names()))?;
        if !states.contains(&state) {
            states.push(state);
        }
    }
    Ok(())
}

fn time(value: &str) -> Result<u64, String> {
    let seconds = value.bytes().all(|b| b.is_ascii_digit()).then(|| value.parse().ok().filter(|s| *s <= LAST));
    let time = seconds.unwrap_or_else(|| {
        let time: jiff::Timestamp = value.parse().ok()?;
        // What was before 1970 was before anything here.
        Some(u64::try_from(time.as_second()).unwrap_or_default())
    });
    time.ok_or_else(|| "since is Unix seconds, or a time such as 2026-12-02T12:00:00Z (RFC 3339)".to_owned())
}

fn limit(value: &str) -> Result<u16, String> {
    let limit = value.parse().ok().filter(|limit| (1..=MOST_LISTED).contains(limit));
    limit.ok_or_else(|| format!("limit is 1 to {MOST_LISTED}"))
}

fn cursor(value: &str) -> Option<(u64, ActionId)> {
    let text = String::from_utf8(hex::decode(value).ok()?).ok()?;
    let (seen, id) = text.split_once('.')?;
    Some((seen.parse().ok()?, ActionId::try_from(id.to_owned()).ok()?))
}

impl From<ActionLine> for Line {
    fn from(line: ActionLine) -> Self {
        let ActionLine { id, state, claim, expires, seen, settled, verdict, rule, why, decided_by, facts } = line;
        let (action, status) = (id.into(), state.as_str());
        Self { action, status, claim, seen, expires, settled, verdict, rule, why, decided_by, summary: facts }
    }
}

impl From<ActionStory> for Story {
    fn from(story: ActionStory) -> Self {
        let ActionStory { line, policy, release, approvals, digests, facts, timeline } = story;
        let entry = |Moment { record, at, what, words }| Entry { record, at, what, words };
        let timeline = timeline.into_iter().map(entry).collect();
        Self { line: line.into(), policy, release, approvals, digests, facts, timeline }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_or_told_what_is_wrong_with_it() {
        let usual = ActionQuery { states: Vec::new(), since: 0, after: None, limit: USUAL };
        assert_eq!(read(""), Ok(usual.clone()));
        let states = vec![ActionState::Held, ActionState::Seen, ActionState::Approved];
        let id = ActionId::try_from("a.b".to_owned()).unwrap();
        let cursor = hex::encode("12.a.b");
        let query = format!(
            "status=held,seen&status=approved&status=held&since=1970-01-02T00:00:00%2B01:00&limit=200&cursor={cursor}"
        );
        assert_eq!(read(&query), Ok(ActionQuery { states, since: 82_800, after: Some((12, id)), limit: 200 }));
        assert_eq!(read("since=253402300799").map(|query| query.since), Ok(LAST));
        assert_eq!(read("since=1890-01-01T00:00:00Z").map(|query| query.since), Ok(0));
        for bad in [
            "status=",
            "status=HELD",
            "status=held,",
            "since=",
            "since=-1",
            "since=2026-12-02",
            "since=253402300800",
            "limit=0",
            "limit=201",
            "limit=1.0",
            "limit=",
            "limit=1&limit=1",
            "cursor=",
            "cursor=zz",
            "cursor=3132",
            "cursor=2e61",
            "cursor=312e2e2e",
            "what=1",
            "status=held&other",
            "Limit=1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
