//! Compiles the contracts with protox, so that building needs no protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let ours = ["table", "plan", "worker", "fleet"].map(|name| format!("dpp/v1/{name}.proto"));
    let files = ours.into_iter().chain(["keda/externalscaler.proto".into()]);
    let files: Vec<String> = files.collect();
    for file in &files {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let mut build = tonic_prost_build::configure().bytes(".dpp.v1.ReadResponse.frame");
    for message in SHOWN_AS_JSON {
        build = build.type_attribute(message, "#[derive(serde::Serialize)]");
    }
    build.compile_fds(descriptors)?;
    Ok(())
}

/// What the fleet also shows over plain HTTP.
const SHOWN_AS_JSON: [&str; 7] = [
    ".dpp.v1.StatusResponse",
    ".dpp.v1.Scale",
    ".dpp.v1.RunStatus",
    ".dpp.v1.WorkerStatus",
    ".dpp.v1.StallSeconds",
    ".dpp.v1.DrainRequest",
    ".dpp.v1.DrainResponse",
];
