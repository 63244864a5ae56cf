//! What can be wrong with a frame.

/// A frame that is not what it claims to be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Fewer bytes than the header promises.
    #[error("frame ends after {actual} bytes, {expected} expected")]
    Truncated {
        /// Bytes there should be.
        expected: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// Not a frame at all.
    #[error("not a dpp frame: it begins with {found:02x?}")]
    NotAFrame {
        /// The first bytes.
        found: [u8; 4],
    },
    /// A frame of a build that writes another version.
    #[error("frame version {found} is not {supported}: trainer and worker must be of one version")]
    Version {
        /// The frame's.
        found: u16,
        /// Ours.
        supported: u16,
    },
    /// Bytes changed on the way.
    #[error("frame checksum is {computed:016x}, its header says {stated:016x}")]
    Checksum {
        /// Of the bytes received.
        computed: u64,
        /// As the sender stated it.
        stated: u64,
    },
    /// Sound bytes that do not fit the job's layout.
    #[error("frame does not fit its layout: {what}")]
    Layout {
        /// Which buffer, and how it differs.
        what: String,
    },
}
