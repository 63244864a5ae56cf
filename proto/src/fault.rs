//! What a caller can do about an error, and how errors cross the wire.
//!
//! Every crate's error says its [`Fault`]; this file alone maps faults to gRPC codes and to exit statuses.

use std::error::Error;

use tonic::{Code, Status};

/// Why something failed, as far as the caller would act differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Asked wrongly: mend the request.
    Invalid,
    /// The named thing is not there.
    NotFound,
    /// It is there, and the caller may not have it.
    Denied,
    /// Stored data can't be read as what it claims to be.
    Corrupt,
    /// It is not what it was when the run began, or this worker does not know the job.
    Changed,
    /// Nobody answered, or not in time: worth trying again.
    Unavailable,
    /// Our own mistake.
    Internal,
}

impl Fault {
    /// Process exit status: 1 failed, 2 asked wrongly (or for what is not there), 75 worth trying again.
    pub fn exit_status(self) -> u8 {
        match self {
            Fault::Invalid | Fault::NotFound => 2,
            Fault::Unavailable => 75,
            _ => 1,
        }
    }

    fn code(self) -> Code {
        match self {
            Fault::Invalid => Code::InvalidArgument,
            Fault::NotFound => Code::NotFound,
            Fault::Denied => Code::PermissionDenied,
            Fault::Corrupt => Code::DataLoss,
            Fault::Changed => Code::FailedPrecondition,
            Fault::Unavailable => Code::Unavailable,
            Fault::Internal => Code::Internal,
        }
    }
}

impl From<Code> for Fault {
    fn from(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => Fault::Invalid,
            Code::NotFound => Fault::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => Fault::Denied,
            Code::DataLoss => Fault::Corrupt,
            Code::FailedPrecondition => Fault::Changed,
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Aborted
            | Code::ResourceExhausted => Fault::Unavailable,
            _ => Fault::Internal,
        }
    }
}

/// An error that says what the caller can do about it.
pub trait Faulty: Error {
    /// Why it failed.
    fn fault(&self) -> Fault;

    /// The error as a gRPC status: code from the fault, message with its causes.
    fn to_status(&self) -> Status
    where
        Self: Sized,
    {
        Status::new(self.fault().code(), message_with_causes(self))
    }
}

/// The error's message followed by its causes', `: ` between them, each said once.
pub fn message_with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = inner.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_survives_the_wire() {
        use Fault::*;
        for fault in [
            Invalid,
            NotFound,
            Denied,
            Corrupt,
            Changed,
            Unavailable,
            Internal,
        ] {
            assert_eq!(Fault::from(fault.code()), fault);
        }
    }
}
