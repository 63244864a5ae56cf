//! Whether more workers would help, in a word and in a sentence.

use super::RunPart;

/// Whether more workers would help. Ordered: the later one says more about the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing is known yet: the service has just begun.
    Unknown,
    /// No run is there.
    Idle,
    /// No: trainers are served as fast as they go.
    TrainerBound,
    /// No: trainers wait for their own process.
    ClientBound,
    /// No: added workers raised nothing, reads wait for storage.
    StorageBound,
    /// No: added workers raised nothing, frames wait for the network.
    NetworkBound,
    /// No: added workers raised nothing, their machines compute as fast as they can.
    ProcessorBound,
    /// Perhaps: nothing has arrived yet.
    Cold,
    /// Yes, and they are on their way.
    WorkersHelp,
    /// Yes, and there may be no more.
    AtMost,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Verdict; 10] = [
        Verdict::Unknown,
        Verdict::Idle,
        Verdict::TrainerBound,
        Verdict::ClientBound,
        Verdict::StorageBound,
        Verdict::NetworkBound,
        Verdict::ProcessorBound,
        Verdict::Cold,
        Verdict::WorkersHelp,
        Verdict::AtMost,
    ];

    /// One word, for machines.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Unknown => "unknown",
            Verdict::Idle => "idle",
            Verdict::TrainerBound => "trainer_bound",
            Verdict::ClientBound => "client_bound",
            Verdict::StorageBound => "storage_bound",
            Verdict::NetworkBound => "network_bound",
            Verdict::ProcessorBound => "processor_bound",
            Verdict::Cold => "cold",
            Verdict::WorkersHelp => "workers_help",
            Verdict::AtMost => "at_most",
        }
    }

    /// The same for people.
    pub fn reason(self) -> &'static str {
        match self {
            Verdict::Unknown => "the fleet has just begun: not everybody has been heard of yet",
            Verdict::Idle => "no run is there",
            Verdict::TrainerBound => {
                "more workers will not help: trainers are served as fast as they go"
            }
            Verdict::ClientBound => {
                "more workers will not help: trainers wait for their own process"
            }
            Verdict::StorageBound => {
                "more workers will not help: added ones raised nothing, reads wait for storage"
            }
            Verdict::NetworkBound => {
                "more workers will not help: added ones raised nothing, frames wait for the network"
            }
            Verdict::ProcessorBound => {
                "more workers on these machines will not help: added ones raised nothing, their cores are busy"
            }
            Verdict::Cold => "a run has begun and not shown yet what it needs",
            Verdict::WorkersHelp => "trainers wait for workers, and more would help",
            Verdict::AtMost => {
                "trainers wait for workers, and as many are required as there may be"
            }
        }
    }

    pub(super) fn of(self, workers: f64) -> RunPart {
        RunPart {
            workers,
            verdict: self,
        }
    }
}
