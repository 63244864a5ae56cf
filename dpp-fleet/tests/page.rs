//! The status page in a real browser, headless: what it shows of a busy fleet, in light, dark, and on a narrow screen.
//!
//! Screenshots go to the folder that `DPP_SCREENSHOTS` names, for people to look at.
#![expect(clippy::unwrap_used, reason = "a test's own functions may panic too")]

mod running;

use std::{path::Path, process::Command, time::Duration};

use dpp_proto::v1::{StatusRequest, fleet_client::FleetClient};
use tonic::transport::Channel;

use self::running::{Process, binary, heartbeat, report};

/// A fleet of four workers and two runs, one of which waits.
async fn busy_fleet() -> (Process, String) {
    let mut fleet = Process::start(&["--listen", "127.0.0.1:0", "--heartbeat-seconds", "4"]);
    let url = format!("http://{}", fleet.address());
    let channel = Channel::from_shared(url.clone()).unwrap();
    let mut client = FleetClient::new(channel.connect().await.unwrap());
    for seconds in [60.0, 64.0] {
        for worker in 1..=4 {
            let beat = heartbeat(&format!("10.0.0.{worker}:7401"), "ctr-v7", seconds);
            client.heartbeat(beat).await.unwrap();
        }
        for (run, rank) in [("ctr-v7", 0), ("ctr-v7", 1), ("<b>feed</b>", 0)] {
            client
                .list_workers(report(run, rank, seconds))
                .await
                .unwrap();
        }
    }
    let decided = async {
        while client
            .status(StatusRequest {})
            .await
            .unwrap()
            .get_ref()
            .runs
            .len()
            < 2
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), decided)
        .await
        .unwrap();
    (fleet, url)
}

fn chromium() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
}

fn browse(chromium: &str, url: &str, more: &[&str]) -> String {
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args(["--enable-logging=stderr", "--virtual-time-budget=1500"])
        .args(more)
        .arg(url)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(
        !log.contains("Uncaught") && !log.contains("ERROR:CONSOLE"),
        "{log}"
    );
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_page_shows_runs_workers_and_decisions() {
    assert!(binary().arg("--version").output().unwrap().status.success());
    let Some(chromium) = chromium() else {
        println!("NOT TESTED: no chromium (Debian: apt install chromium)");
        return;
    };
    let (_fleet, url) = busy_fleet().await;
    let page = browse(chromium, &url, &["--dump-dom"]);
    for expected in [
        "ctr-v7",
        "10.0.0.4:7401",
        "required workers",
        "50 %",
        "decode 50 %",
        "up for",
    ] {
        assert!(page.contains(expected), "{expected} is not in\n{page}");
    }
    assert!(page.contains("&lt;b&gt;feed"), "names are text, not markup");
    let Some(folder) = std::env::var_os("DPP_SCREENSHOTS") else {
        return;
    };
    for (name, size, scheme) in [
        ("light", "1200,760", 1),
        ("dark", "1200,760", 0),
        ("narrow", "390,1400", 1),
    ] {
        let file = Path::new(&folder).join(format!("{name}.png"));
        let screenshot = format!("--screenshot={}", file.display());
        let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
        let size = format!("--window-size={size}");
        browse(
            chromium,
            &url,
            &[&screenshot, &size, &scheme, "--hide-scrollbars"],
        );
        assert!(file.is_file());
    }
}
