//! Errands: ask for the next, go, say what became of it. Many are under way at once; each is gone on once.

use crate::{End, Outside, address, outside};
use ipc::{ActionId, Answer, Ask, Errand, Failure, Lane, MAX_REPLY, Method, Outcome, Place, Span, Work};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Request, Response};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// How many errands are under way at once; the next is not asked for before one is done.
const MOST: usize = 64;
/// Before a vault that gave no errand is asked again.
const AGAIN: Duration = Duration::from_secs(1);

pub struct Errands {
    lane: Lane,
    outside: Arc<Outside>,
    under_way: JoinSet<()>,
}

impl Errands {
    pub fn new(lane: Lane, outside: Arc<Outside>) -> Self {
        Self { lane, outside, under_way: JoinSet::new() }
    }

    /// Takes errands until the vault says that there are no more. It may be dropped: what is under way goes on.
    pub async fn take(&mut self) -> End {
        loop {
            while self.under_way.try_join_next().is_some() {}
            while self.under_way.len() >= MOST {
                self.under_way.join_next().await;
            }
            match self.lane.ask(Ask::NextErrand).await {
                Ok(Answer::Errand(errand)) => {
                    self.under_way.spawn(run(self.lane.clone(), self.outside.clone(), errand));
                }
                Ok(Answer::Retire) => return End::Retired,
                Ok(_) => {
                    tracing::warn!("the vault gave no errand; asking again");
                    tokio::time::sleep(AGAIN).await;
                }
                Err(ipc::LaneLost) => return End::LaneLost,
            }
        }
    }

    /// Resolves when what is under way has been done and reported.
    pub async fn finish(&mut self) {
        while self.under_way.join_next().await.is_some() {}
    }
}

async fn run(lane: Lane, outside: Arc<Outside>, errand: Errand) {
    let (id, method, tail) = (errand.id, errand.method, errand.tail.clone());
    let action = about(&errand);
    let shown = action.as_ref().map(tracing::field::display);
    let (began, instant) = (ipc::unix_nanos(), Instant::now());
    tracing::debug!(errand = id, action = shown, ?method, tail, "going");
    let outcome = go(&outside, errand).await;
    let ms = instant.elapsed().as_millis() as u64;
    match &outcome {
        Outcome::Reply { status, .. } => {
            tracing::info!(errand = id, action = shown, ?method, tail, status, ms, "done");
        }
        Outcome::Failed(Failure::Timeout) => {
            tracing::warn!(errand = id, action = shown, ?method, tail, ms, "no answer in time");
        }
        Outcome::Failed(Failure::Transport(why) | Failure::NotSent(why)) => {
            tracing::warn!(errand = id, action = shown, ?method, tail, ms, why, "failed");
        }
    }
    let status = if let Outcome::Reply { status, .. } = &outcome { Some(*status) } else { None };
    let ended = ipc::unix_nanos();
    match lane.ask(Ask::ErrandDone { errand: id, outcome }).await {
        Ok(Answer::Noted) => {}
        Ok(_) => tracing::warn!(errand = id, "the vault did not take the outcome"),
        Err(ipc::LaneLost) => tracing::warn!(errand = id, "the outcome could not be reported: the lane ended"),
    }
    if let (Some(action), true) = (action, outside.traces.is_some()) {
        let work = Work::Errand { errand: id, method, status };
        let _ = lane.ask(Ask::Span(Span { action, work, began, ended })).await;
    }
}

/// The action that it is about.
fn about(errand: &Errand) -> Option<ActionId> {
    let id = errand.tail.strip_prefix("action/").filter(|_| errand.place == Place::Backend)?;
    ActionId::try_from(id.to_owned()).ok()
}

/// Goes on one errand. Its time counts from now to the last octet of the reply.
async fn go(outside: &Outside, errand: Errand) -> Outcome {
    let time = Duration::from_millis(errand.timeout_ms);
    let exchange = async {
        let http = match errand.place {
            Place::Backend => &outside.http,
            Place::Witness(_) => &outside.witness_http,
            Place::Callback => match &outside.callback {
                Some((_, http)) => http,
                None => return Err(Failure::NotSent(address::BadAddress::Callback.to_string())),
            },
        };
        let request = request(outside, errand).map_err(|words| Failure::NotSent(ipc::bounded(&words)))?;
        let response = http.execute(request).await.map_err(failure)?;
        read(response).await.map_err(|words| Failure::Transport(ipc::bounded(&words)))
    };
    match tokio::time::timeout(time, exchange).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(failure)) => Outcome::Failed(failure),
        Err(_) => Outcome::Failed(Failure::Timeout),
    }
}

/// Name, connection and TLS come before the first octet of a request; after that it may have arrived.
fn failure(error: reqwest::Error) -> Failure {
    let unsent = error.is_connect() || error.is_builder();
    let words = outside::words(error);
    if unsent { Failure::NotSent(words) } else { Failure::Transport(words) }
}

fn request(outside: &Outside, errand: Errand) -> Result<Request, String> {
    let url = match errand.place {
        Place::Backend => address::errand(&outside.backend, &errand.tail),
        Place::Witness(number) => address::witness(&outside.witnesses, number),
        Place::Callback => outside.callback.as_ref().map(|(url, _)| url.clone()).ok_or(address::BadAddress::Callback),
    };
    let url = url.map_err(|e| e.to_string())?;
    let method = match errand.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Delete => reqwest::Method::DELETE,
    };
    let mut request = Request::new(method, url);
    for (name, value) in &errand.headers {
        // The causes are left out, for they might quote.
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header's name cannot be sent")?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| "a header's value cannot be sent")?;
        value.set_sensitive(true);
        request.headers_mut().append(name, value);
    }
    if !errand.body.is_empty() {
        request.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(errand.body.into());
    }
    Ok(request)
}

async fn read(mut response: Response) -> Result<Outcome, String> {
    let too_long = || format!("the reply is too long: at most {MAX_REPLY} octets are taken");
    if response.content_length().is_some_and(|length| length > MAX_REPLY as u64) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(outside::words)? {
        if body.len() + piece.len() > MAX_REPLY {
            return Err(too_long());
        }
        body.extend_from_slice(&piece);
    }
    let (status, retry_after, date) = (response.status().as_u16(), retry_after(&response), date(&response));
    Ok(Outcome::Reply { status, body, retry_after, date })
}

/// `Date` (RFC 9110 §6.6.1), Unix seconds.
fn date(response: &Response) -> Option<u64> {
    let date = httpdate::parse_http_date(response.headers().get(DATE)?.to_str().ok()?).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// `Retry-After` (RFC 9110 §10.2.3) as seconds: a date by this clock, nothing where it is over.
fn retry_after(response: &Response) -> Option<u32> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    if value.bytes().all(|b| b.is_ascii_digit()) {
        return value.parse().ok();
    }
    let left = httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).unwrap_or_default();
    // A part of a second counts as one: not before that date.
    u32::try_from(left.as_secs() + u64::from(left.subsec_nanos() > 0)).ok()
}
