use std::collections::BTreeMap;

use dpp_proto::{Fault, Faulty};
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn registry() -> Registry {
    let settings = Settings {
        max_workers: 3,
        ..Settings::every(SECOND)
    };
    Registry::new(settings, 1)
}

fn worker(id: &str, address: &str) -> HeartbeatRequest {
    HeartbeatRequest {
        worker_id: id.into(),
        address: address.into(),
        slots: 2,
        active_reads: 5,
        ..HeartbeatRequest::default()
    }
}

fn addresses(registry: &mut Registry, now: Duration) -> Vec<String> {
    let workers = registry.list(now);
    workers.into_iter().map(|worker| worker.address).collect()
}

#[test]
fn a_worker_is_listed_until_it_is_silent_for_too_long() {
    let mut registry = registry();
    registry.heartbeat(&worker("a", "host:1"), SECOND).unwrap();
    let almost = SECOND * 4 - Duration::from_millis(1);
    let listed = registry.list(almost);
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].slots, listed[0].active_reads), (2, 5));
    assert_eq!(listed[0].silent_ms, 2999);
    assert!(registry.list(SECOND * 4).is_empty());
    assert!(registry.is_empty());
}

#[test]
fn the_list_is_sorted_by_address() {
    let mut registry = registry();
    for (id, address) in [("a", "c:1"), ("b", "a:1"), ("c", "b:1")] {
        registry.heartbeat(&worker(id, address), SECOND).unwrap();
    }
    assert_eq!(addresses(&mut registry, SECOND), ["a:1", "b:1", "c:1"]);
}

#[test]
fn a_restarted_worker_replaces_its_predecessor_whose_leaving_then_changes_nothing() {
    let mut registry = registry();
    registry.heartbeat(&worker("old", "h:1"), SECOND).unwrap();
    registry.heartbeat(&worker("new", "h:1"), SECOND).unwrap();
    let leaving = HeartbeatRequest {
        draining: true,
        ..worker("old", "h:1")
    };
    registry.heartbeat(&leaving, SECOND).unwrap();
    assert_eq!(registry.list(SECOND)[0].worker_id, "new");
}

#[test]
fn a_full_registry_refuses_newcomers_until_somebody_falls_silent() {
    let mut registry = registry();
    for id in ["1", "2", "3"] {
        let address = format!("h:{id}");
        registry.heartbeat(&worker(id, &address), SECOND).unwrap();
    }
    let refused = registry.heartbeat(&worker("4", "h:4"), SECOND).unwrap_err();
    assert_eq!(refused.fault(), Fault::Unavailable);
    assert!(refused.to_string().contains("3 workers"), "{refused}");
    registry.heartbeat(&worker("1", "h:1"), SECOND * 2).unwrap();
    registry.heartbeat(&worker("4", "h:4"), SECOND * 4).unwrap();
    assert_eq!(addresses(&mut registry, SECOND * 4), ["h:1", "h:4"]);
}

#[test]
fn unreachable_addresses_are_refused() {
    for bad in [
        "",
        "host",
        "host:",
        ":7",
        "host:0",
        "host:65536",
        "http://h:1",
        "unix:x",
        "::1:7",
        "h h:1",
    ] {
        let refused = registry().heartbeat(&worker("a", bad), SECOND);
        assert_eq!(refused.unwrap_err().fault(), Fault::Invalid, "{bad:?}");
    }
    for good in ["host:7400", "10.0.0.1:1", "[::1]:7400", "unix:/tmp/w.sock"] {
        registry().heartbeat(&worker("a", good), SECOND).unwrap();
    }
}

#[test]
fn nameless_endless_or_idle_workers_are_refused() {
    let long = "x".repeat(1 << 20);
    let no_slots = HeartbeatRequest {
        slots: 0,
        ..worker("a", "h:1")
    };
    for bad in [
        worker("", "h:1"),
        worker(&long, "h:1"),
        worker("a", &long),
        no_slots,
    ] {
        let refused = registry().heartbeat(&bad, SECOND).unwrap_err();
        assert!(refused.to_string().len() < 400);
    }
}

#[test]
fn a_worker_asked_to_leave_is_listed_no_longer_and_its_successor_is() {
    let mut registry = registry();
    registry.heartbeat(&worker("a", "h:1"), SECOND).unwrap();
    registry.heartbeat(&worker("b", "h:2"), SECOND).unwrap();
    let version = registry.version();
    assert_eq!(registry.drain("a").as_deref(), Some("h:1"));
    assert_eq!(registry.drain("h:1").as_deref(), Some("h:1"));
    assert_eq!(registry.drain("nobody"), None);
    assert_eq!(registry.version(), version + 1);
    assert_eq!(addresses(&mut registry, SECOND), ["h:2"]);
    assert!(registry.heartbeat(&worker("a", "h:1"), SECOND).unwrap());
    assert!(!registry.heartbeat(&worker("new", "h:1"), SECOND).unwrap());
    assert_eq!(addresses(&mut registry, SECOND), ["h:1", "h:2"]);
    assert_eq!(registry.version(), version + 2);
}

proptest! {
    /// The version changes exactly when the listed addresses do.
    #[test]
    fn the_version_tells_lists_apart(
        steps in prop::collection::vec((0u8..4, 0u8..3, 0u64..1500, 0u8..4), 0..60)
    ) {
        let mut registry = Registry::new(Settings::every(SECOND), 7);
        let (mut now, mut last) = (Duration::ZERO, (7, Vec::new()));
        for (address, id, pause_ms, act) in steps {
            now += Duration::from_millis(pause_ms);
            let address = format!("h:{}", address + 1);
            let request = HeartbeatRequest {
                draining: act == 0,
                ..worker(&format!("w{id}"), &address)
            };
            if act == 1 {
                registry.drain(&address);
            } else {
                registry.heartbeat(&request, now).unwrap();
            }
            let listed = addresses(&mut registry, now);
            prop_assert!(registry.version() > last.0 || listed == last.1);
            last = (registry.version(), listed);
        }
    }

    /// Whatever happens, the list is exactly the workers whose last word is recent and was not a farewell.
    #[test]
    fn the_list_is_what_a_plain_model_says(
        steps in prop::collection::vec((0u8..6, 0u8..3, 0u64..1500, any::<bool>()), 0..60)
    ) {
        let settings = Settings::every(SECOND);
        let mut registry = Registry::new(settings, 1);
        let mut model: BTreeMap<String, (String, Duration)> = BTreeMap::new();
        let mut now = Duration::ZERO;
        for (address, id, pause_ms, draining) in steps {
            now += Duration::from_millis(pause_ms);
            let request = HeartbeatRequest {
                draining,
                ..worker(&format!("w{id}"), &format!("h:{}", address + 1))
            };
            registry.heartbeat(&request, now).unwrap();
            if !draining {
                model.insert(request.address, (request.worker_id, now));
            } else if model.get(&request.address).is_some_and(|(id, _)| *id == request.worker_id) {
                model.remove(&request.address);
            }
            let expected: Vec<_> = model
                .iter()
                .filter(|(_, (_, heard))| now - *heard < settings.expires_after)
                .map(|(address, (id, _))| (address.clone(), id.clone()))
                .collect();
            let listed: Vec<_> = registry
                .list(now)
                .into_iter()
                .map(|worker| (worker.address, worker.worker_id))
                .collect();
            prop_assert_eq!(listed, expected);
        }
    }

    /// The bound holds for any sequence, and a known worker is never refused.
    #[test]
    fn the_bound_holds(steps in prop::collection::vec((0u8..9, 0u64..900), 0..80)) {
        let mut registry = registry();
        let mut now = Duration::ZERO;
        for (address, pause_ms) in steps {
            now += Duration::from_millis(pause_ms);
            let address = format!("h:{}", address + 1);
            let known = addresses(&mut registry, now).contains(&address);
            let taken = registry.heartbeat(&worker("w", &address), now).is_ok();
            prop_assert!(taken || !known);
            prop_assert!(registry.len() <= 3);
        }
    }
}

#[test]
fn one_that_is_known_to_be_gone_is_listed_no_more() {
    let mut registry = registry();
    registry.heartbeat(&worker("a", "h:1"), SECOND).unwrap();
    registry.heartbeat(&worker("b", "h:2"), SECOND).unwrap();
    let before = registry.version();
    registry.forget_id("nobody");
    assert_eq!(registry.version(), before);
    registry.forget_id("a");
    assert_ne!(registry.version(), before);
    assert_eq!(addresses(&mut registry, SECOND), ["h:2"]);
}
