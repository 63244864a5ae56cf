//! Workers as the fleet knows them. When it does not answer, those already known stay.

use std::{sync::Arc, time::Duration};

use dpp_proto::{
    access::Channel,
    v1::{ListWorkersRequest, ListWorkersResponse, fleet_client::FleetClient},
};
use tonic::Code;

use super::{super::patience::said, CONNECT_TIMEOUT, Known, REFRESH, replace};

/// Keeps the known workers those of the fleet, and tells it how the trainer fares. When it does not answer, those
/// already known stay.
pub(super) async fn follow(fleet: Channel, known: Arc<Known>) {
    let mut client = FleetClient::new(fleet);
    let (mut answered, mut known_version, mut wait) = (true, 0, REFRESH);
    loop {
        let mut request = tonic::Request::new(ListWorkersRequest {
            known_version,
            report: known.reports.get().map(|report| report()),
        });
        request.set_timeout(CONNECT_TIMEOUT);
        match client.list_workers(request).await {
            Ok(response) => {
                answered = true;
                known.set_refusal(None);
                let response = response.into_inner();
                wait = Duration::from_millis(response.next_after_ms.into());
                if !response.unchanged {
                    known_version = response.version;
                    learn(&known, response);
                }
            }
            Err(status) => {
                let is_refused = matches!(
                    status.code(),
                    Code::Unauthenticated | Code::PermissionDenied
                );
                known.set_refusal(is_refused.then(|| status.clone()));
                known.set_trouble(Some(format!(
                    "the fleet does not answer: {}",
                    said(&status)
                )));
                if std::mem::replace(&mut answered, false) {
                    tracing::warn!(%status, "the fleet does not answer; going on with the workers known");
                }
                // Whoever answers next may be another, which says everything anew.
                known_version = 0;
            }
        }
        let wait = wait.clamp(SHORTEST_REFRESH, known.longest_wait());
        known.wait_or_lose(wait).await;
    }
}

fn learn(known: &Known, response: ListWorkersResponse) {
    let addresses: Vec<String> = response
        .workers
        .into_iter()
        .map(|worker| worker.address)
        .collect();
    if addresses.is_empty() {
        known.set_trouble(Some("the fleet knows no worker".to_owned()));
    } else {
        known.set_trouble(None);
        replace(known, addresses);
    }
}

const SHORTEST_REFRESH: Duration = Duration::from_millis(100);
