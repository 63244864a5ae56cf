//! Tells the fleet that this worker is there, for as long as it is.

use std::{sync::Arc, time::Duration};

use dpp_proto::{
    access::Channel,
    listen::Address,
    v1::{HeartbeatRequest, HeartbeatResponse, fleet_client::FleetClient},
};

use crate::Engine;

/// Sends heartbeats until the fleet asks this worker to leave. A fleet that does not answer is tried again; it is on no
/// data path.
pub(crate) async fn beat(engine: Arc<Engine>, fleet: Channel, address: Address, worker_id: String) {
    let mut client = FleetClient::new(fleet);
    let mut reached = true;
    let mut period = RETRY;
    loop {
        let wait = match send(&mut client, request(&engine, &address, &worker_id, false)).await {
            Ok(answer) => {
                if !std::mem::replace(&mut reached, true) {
                    tracing::info!("the fleet answers again");
                }
                if answer.drain {
                    tracing::info!("the fleet asks this worker to leave");
                    return;
                }
                period = Duration::from_millis(answer.next_after_ms.clamp(50, 60_000).into());
                period
            }
            Err(status) => {
                if std::mem::replace(&mut reached, false) {
                    tracing::warn!(%status, "the fleet does not answer; serving goes on");
                }
                // one that comes back counts workers once a period has passed
                period.min(RETRY)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Tells the fleet that this worker is there, before anyone is told that it listens.
pub(crate) async fn arrive(engine: &Engine, fleet: Channel, address: &Address, worker_id: &str) {
    let mut client = FleetClient::new(fleet);
    // One that can't be reached yet is told by the heartbeats that follow.
    let _ = send(&mut client, request(engine, address, worker_id, false)).await;
}

/// Tells the fleet that this worker leaves, so that nobody is sent here any more.
pub(crate) async fn leave(engine: &Engine, fleet: Channel, address: &Address, worker_id: &str) {
    let mut client = FleetClient::new(fleet);
    // A fleet that does not hear it forgets this worker anyway.
    let _ = send(&mut client, request(engine, address, worker_id, true)).await;
}

async fn send(
    client: &mut FleetClient<Channel>,
    request: HeartbeatRequest,
) -> Result<HeartbeatResponse, tonic::Status> {
    let mut request = tonic::Request::new(request);
    request.set_timeout(TIMEOUT);
    Ok(client.heartbeat(request).await?.into_inner())
}

fn request(
    engine: &Engine,
    address: &Address,
    worker_id: &str,
    draining: bool,
) -> HeartbeatRequest {
    HeartbeatRequest {
        worker_id: worker_id.to_owned(),
        address: address.to_string(),
        slots: u32::try_from(engine.slots()).unwrap_or(u32::MAX),
        active_reads: engine.active_reads(),
        draining,
        runs: engine.run_work(),
    }
}

const RETRY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);
