//! Takes to the collector what the vault has for it. A collector that is away is no trouble: what it does not take is lost.

use ipc::{Answer, Ask, Lane};
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use std::time::Duration;
use url::Url;

/// How long it may take the collector to take a batch.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before a vault that had nothing is asked again.
const AGAIN: Duration = Duration::from_secs(5);

/// Goes on until the lane ends.
pub async fn carry(lane: Lane, url: Url, http: Client) {
    let (mut lost, mut well) = (0, true);
    loop {
        match lane.ask(Ask::NextTraces { lost: std::mem::take(&mut lost) }).await {
            Ok(Answer::Traces { body, spans }) => {
                let taken = take(&url, &http, body).await;
                if let Err(why) = &taken {
                    lost = spans;
                    if well {
                        tracing::warn!(why, "the collector does not take traces: they are lost until it does");
                    }
                } else if !well {
                    tracing::info!("the collector takes traces again");
                }
                well = taken.is_ok();
            }
            Ok(_) => tokio::time::sleep(AGAIN).await,
            Err(ipc::LaneLost) => return,
        }
    }
}

async fn take(url: &Url, http: &Client, body: Vec<u8>) -> Result<(), String> {
    let request = http
        .post(url.clone())
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .timeout(TIMEOUT)
        .body(body);
    // What it answers beside its status is not read.
    let status = request.send().await.map_err(crate::outside::words)?.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answers {status}")) }
}
