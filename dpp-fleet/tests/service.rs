//! A real fleet on loopback, asked by stock clients.
#![expect(clippy::unwrap_used, reason = "a test's own functions may panic too")]

mod running;

use std::{process::Command, time::Duration};

use dpp_fleet::{
    autoscaler,
    fleet::Settings,
    registry,
    server::{self, Service},
};
use dpp_proto::{
    keda::{GetMetricsRequest, ScaledObjectRef, external_scaler_client::ExternalScalerClient},
    listen::Listener,
    v1::{
        DrainRequest, HeartbeatRequest, ListWorkersRequest, StatusRequest,
        fleet_client::FleetClient,
    },
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use self::running::{Process, binary, heartbeat, report};

const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), dpp_fleet::Error>>,
}

async fn start(settings: Settings) -> Running {
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(&anywhere, false).await.unwrap();
    let url = format!("http://{}", listener.address());
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server::serve(
        listener,
        Service::new(settings),
        None,
        async {
            let _ = stopped.await;
        },
    ));
    Running { url, stop, task }
}

impl Running {
    async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(self.url.clone()).unwrap();
        endpoint.connect().await.unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

fn settings() -> Settings {
    let heartbeat = Duration::from_secs(60);
    Settings {
        registry: registry::Settings {
            max_workers: 2,
            ..registry::Settings::every(heartbeat)
        },
        scale: autoscaler::Settings::for_heartbeats(0..=8, heartbeat),
    }
}

fn worker(address: &str) -> HeartbeatRequest {
    HeartbeatRequest {
        worker_id: format!("id of {address}"),
        address: address.into(),
        slots: 4,
        active_reads: 1,
        ..HeartbeatRequest::default()
    }
}

#[tokio::test]
async fn heartbeats_become_a_list_and_farewells_shorten_it() {
    let fleet = start(settings()).await;
    let mut client = FleetClient::new(fleet.channel().await);
    let answer = client.heartbeat(worker("b:1")).await.unwrap().into_inner();
    assert_eq!(
        (answer.next_after_ms, answer.expires_after_ms),
        (60_000, 180_000)
    );
    client.heartbeat(worker("a:1")).await.unwrap();
    assert_eq!(addresses(&mut client).await, ["a:1", "b:1"]);
    let leaving = HeartbeatRequest {
        draining: true,
        ..worker("b:1")
    };
    client.heartbeat(leaving).await.unwrap();
    assert_eq!(addresses(&mut client).await, ["a:1"]);
    drop(client);
    fleet.stop().await;
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let fleet = start(settings()).await;
    let mut client = FleetClient::new(fleet.channel().await);
    let refused = client.heartbeat(worker("nowhere")).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("host:port"), "{refused}");
    client.heartbeat(worker("a:1")).await.unwrap();
    client.heartbeat(worker("b:1")).await.unwrap();
    let refused = client.heartbeat(worker("c:1")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("2 workers"), "{refused}");
    drop(client);
    fleet.stop().await;
}

#[tokio::test]
async fn health_and_reflection_answer_and_an_open_watch_does_not_block_shutdown() {
    let fleet = start(settings()).await;
    let mut health = HealthClient::new(fleet.channel().await);
    let request = HealthCheckRequest {
        service: "dpp.v1.Fleet".into(),
    };
    let status = health.check(request.clone()).await.unwrap().into_inner();
    assert_eq!(status.status, 1);
    let mut watch = health.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    assert!(
        services(fleet.channel().await)
            .await
            .contains(&"dpp.v1.Fleet".to_owned())
    );
    fleet.stop().await;
}

#[tokio::test]
async fn the_binary_prints_its_address_and_leaves_on_sigterm() {
    let mut fleet = Process::start(&["--listen", "127.0.0.1:0", "--heartbeat-seconds", "0.5"]);
    let address = fleet.address();
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let mut client = FleetClient::new(channel.connect().await.unwrap());
    let answer = client.heartbeat(worker("a:1")).await.unwrap().into_inner();
    assert_eq!(answer.next_after_ms, 500);
    drop(client);
    let id = fleet.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let waited = tokio::task::spawn_blocking(move || fleet.0.wait().unwrap());
    let status = timeout(PATIENCE, waited).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_binary_refuses_to_be_exposed_or_asked_wrongly() {
    for (arguments, expected) in [
        (["--listen", "0.0.0.0:0"], "--insecure"),
        (["--listen", "nonsense"], "host:port"),
        (["--heartbeat-seconds", "0"], "between"),
    ] {
        let output = binary().args(arguments).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

async fn addresses(client: &mut FleetClient<Channel>) -> Vec<String> {
    let answer = client
        .list_workers(ListWorkersRequest::default())
        .await
        .unwrap();
    let workers = answer.into_inner().workers;
    workers.into_iter().map(|worker| worker.address).collect()
}

async fn services(channel: Channel) -> Vec<String> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    match answer.message_response.unwrap() {
        MessageResponse::ListServicesResponse(list) => list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect(),
        other => panic!("unexpected answer {other:?}"),
    }
}

/// What Kubernetes' KEDA does: strips its prefix off the metric's name, takes the float when it is above 0, and asks
/// whether the scaler is active after every answer.
struct Keda(ExternalScalerClient<Channel>);

impl Keda {
    async fn metrics_and_activity(&mut self, name: &str) -> Result<(Vec<f64>, bool), Status> {
        let asked = name
            .strip_prefix("s0-")
            .expect("KEDA prefixes the trigger's index");
        let request = GetMetricsRequest {
            scaled_object_ref: Some(ScaledObjectRef::default()),
            metric_name: asked.to_owned(),
        };
        let answer = self.0.get_metrics(request).await?.into_inner();
        let values = answer.metric_values.into_iter().map(|value| {
            if value.metric_value_float > 0.0 {
                value.metric_value_float
            } else {
                value.metric_value as f64
            }
        });
        let values = values.collect();
        let active = self.0.is_active(ScaledObjectRef::default()).await?;
        Ok((values, active.into_inner().result))
    }

    /// The target KEDA gives the autoscaler, and the metric's name as it will ask for it.
    async fn spec(&mut self) -> (f64, String) {
        let specs = self
            .0
            .get_metric_spec(ScaledObjectRef::default())
            .await
            .unwrap();
        let spec = specs.into_inner().metric_specs.remove(0);
        let target = if spec.target_size_float > 0.0 {
            spec.target_size_float
        } else {
            spec.target_size as f64
        };
        (target, format!("s0-{}", spec.metric_name))
    }
}

/// A fleet that beats fast, known to be past its silence, with a worker and a run that wants twice what it gets.
async fn busy_fleet() -> Running {
    let heartbeat_every = Duration::from_millis(200);
    let fleet = start(Settings {
        registry: registry::Settings::every(heartbeat_every),
        scale: autoscaler::Settings::for_heartbeats(0..=8, heartbeat_every),
    })
    .await;
    let mut client = FleetClient::new(fleet.channel().await);
    for seconds in [1.0, 3.0] {
        client
            .heartbeat(heartbeat("a:1", "ctr", seconds))
            .await
            .unwrap();
        client
            .list_workers(report("ctr", 0, seconds))
            .await
            .unwrap();
    }
    fleet
}

#[tokio::test]
async fn keda_gets_the_required_workers_and_nothing_before_they_are_known() {
    let fleet = busy_fleet().await;
    let mut keda = Keda(ExternalScalerClient::new(fleet.channel().await));
    let (target, name) = keda.spec().await;
    assert_eq!((target, name.as_str()), (1.0, "s0-dpp_required_workers"));
    let early = keda.metrics_and_activity(&name).await.unwrap_err();
    assert_eq!(early.code(), Code::Unavailable, "{early}");
    let mut active = keda
        .0
        .stream_is_active(ScaledObjectRef::default())
        .await
        .unwrap()
        .into_inner();
    let known = timeout(PATIENCE, active.message()).await.unwrap().unwrap();
    assert!(known.unwrap().result);
    // 1,000 rows/s, half the time stalled: 2,000 wanted at a millisecond a row, of 2 slots 3/4 busy.
    let (values, active) = keda.metrics_and_activity(&name).await.unwrap();
    assert_eq!((values, active), (vec![2.0], true));
    let wrong = keda.metrics_and_activity("s0-other").await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    assert!(wrong.message().contains("dpp_required_workers"));
    drop(keda);
    fleet.stop().await;
}

#[tokio::test]
async fn status_tells_runs_workers_and_why_over_grpc_and_http_alike() {
    let fleet = busy_fleet().await;
    wait_until_ready(&fleet).await;
    let mut client = FleetClient::new(fleet.channel().await);
    let status = client.status(StatusRequest {}).await.unwrap().into_inner();
    let run = &status.runs[0];
    assert_eq!(
        (run.name.as_str(), run.team.as_str(), run.ranks),
        ("ctr", "ads", 1)
    );
    assert!((run.stall_share - 0.5).abs() < 1e-6);
    assert!((run.wanted_rows_per_second - 2000.0).abs() < 1.0);
    assert_eq!(run.verdict, "workers_help");
    assert_eq!(status.workers[0].address, "a:1");
    let scale = status.scale.unwrap();
    assert_eq!(
        (scale.required_workers, scale.present_workers),
        (Some(2), 1)
    );
    let (code, body) = get(&fleet, "/api/v1/status").await;
    assert_eq!(code, 200);
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["runs"][0]["name"], "ctr");
    let (_, openapi) = get(&fleet, "/openapi.json").await;
    let openapi: serde_json::Value = serde_json::from_str(&openapi).unwrap();
    check_described(&json, "StatusResponse", &openapi["components"]["schemas"]);
    for path in openapi["paths"].as_object().unwrap().keys() {
        assert_ne!(get(&fleet, path).await.1, "", "{path}");
    }
    drop(client);
    fleet.stop().await;
}

/// Every field of the answer is described, and every field described is there.
fn check_described(value: &serde_json::Value, name: &str, schemas: &serde_json::Value) {
    let described = schemas[name]["properties"].as_object().unwrap();
    let found = value
        .as_object()
        .unwrap_or_else(|| panic!("{name} is {value}"));
    let names = |object: &serde_json::Map<String, serde_json::Value>| -> Vec<String> {
        let mut names: Vec<String> = object.keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(found), names(described), "{name}");
    for (field, schema) in described {
        let of = |schema: &serde_json::Value| {
            let reference = schema["$ref"].as_str()?;
            Some(reference.rsplit('/').next()?.to_owned())
        };
        if let Some(inner) = of(&schema["items"]) {
            for item in found[field].as_array().unwrap() {
                check_described(item, &inner, schemas);
            }
        } else if let Some(inner) = of(&schema["oneOf"][0]) {
            check_described(&found[field], &inner, schemas);
        }
    }
}

#[tokio::test]
async fn a_worker_asked_to_leave_hears_it_with_its_heartbeat() {
    let fleet = start(settings()).await;
    let mut client = FleetClient::new(fleet.channel().await);
    client.heartbeat(worker("a:1")).await.unwrap();
    let workers = vec!["a:1".to_owned(), "nobody".to_owned()];
    let drained = client
        .drain(DrainRequest { workers })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(drained.draining, ["a:1"]);
    assert_eq!(drained.unknown, ["nobody"]);
    assert!(addresses(&mut client).await.is_empty());
    let heard = client.heartbeat(worker("a:1")).await.unwrap().into_inner();
    assert!(heard.drain);
    drop(client);
    fleet.stop().await;
}

#[tokio::test]
async fn a_list_that_has_not_changed_is_not_sent_again() {
    let fleet = start(settings()).await;
    let mut client = FleetClient::new(fleet.channel().await);
    client.heartbeat(worker("a:1")).await.unwrap();
    let first = client
        .list_workers(ListWorkersRequest::default())
        .await
        .unwrap()
        .into_inner();
    let again = ListWorkersRequest {
        known_version: first.version,
        report: None,
    };
    let second = client
        .list_workers(again.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(second.unchanged && second.workers.is_empty());
    client.heartbeat(worker("b:1")).await.unwrap();
    let third = client.list_workers(again).await.unwrap().into_inner();
    assert!(!third.unchanged);
    assert_eq!(third.workers.len(), 2);
    drop(client);
    fleet.stop().await;
}

#[tokio::test]
async fn the_binary_shows_its_metrics_to_prometheus() {
    let mut process = Process::start(&["--listen", "127.0.0.1:0", "--heartbeat-seconds", "0.1"]);
    let url = format!("http://{}", process.address());
    let channel = Channel::from_shared(url.clone())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = FleetClient::new(channel);
    client.heartbeat(worker("a:1")).await.unwrap();
    let (stop, _) = oneshot::channel();
    let fleet = Running {
        url,
        stop,
        task: tokio::spawn(async { Ok(()) }),
    };
    wait_until_ready(&fleet).await;
    let (code, text) = get(&fleet, "/metrics").await;
    assert_eq!(code, 200);
    for expected in [
        "# HELP dpp_fleet_required_workers ",
        "# TYPE dpp_fleet_required_workers gauge",
        "dpp_fleet_heartbeats_total 1",
        "dpp_fleet_verdict{verdict=\"idle\"} 1",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    check_with_promtool(&text);
}

/// `promtool check metrics` from Debian's package prometheus, where it is installed.
#[expect(clippy::print_stderr, reason = "says loudly what was not tested")]
fn check_with_promtool(text: &str) {
    use std::{io::Write as _, process::Stdio};
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        eprintln!("NOT TESTED: promtool is not installed (Debian: apt install prometheus)");
        return;
    };
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{text}");
}

async fn wait_until_ready(fleet: &Running) {
    let ready = async {
        while get(fleet, "/readyz").await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, ready).await.unwrap();
}

/// A plain HTTP/1.1 request, as a browser or a probe makes it: status and body.
async fn get(fleet: &Running, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = fleet.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, body.to_owned())
}
