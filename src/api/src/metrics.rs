//! `GET /metrics`, for monitoring systems.

use crate::credentials::Who;
use crate::openapi::Refusals;
use crate::reply::Fault;
use crate::reports;
use crate::routes::House;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use ipc::{Answer, Call, DoorState, Sample, metrics_text};
use std::sync::Arc;

/// The text format of Prometheus.
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The numbers, in the text format of Prometheus (docs/metrics.md).
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "getMetrics",
    responses((status = 200, body = String, content_type = "text/plain"), Refusals),
    security(("bearer" = ["metrics"]), ("mutualTLS" = ["metrics"])),
)]
pub(crate) async fn metrics(State(house): State<Arc<House>>, who: Who) -> Result<impl IntoResponse, Fault> {
    match house.ask(who.0, Call::Metrics).await? {
        Answer::Metrics(mut samples) => {
            // The door's own, as they are now.
            let DoorState { connections, feed_clients, .. } = reports::state(&house);
            samples.push(Sample::new("connections", f64::from(connections)));
            samples.push(Sample::new("feed_clients", f64::from(feed_clients)));
            Ok(([(header::CONTENT_TYPE, TYPE)], metrics_text(&samples)))
        }
        _ => Err(Fault::misfit("Metrics")),
    }
}
