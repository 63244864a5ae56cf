//! A read's answer as the body of its gRPC call, without the copies that general codecs make: what was packed is sent from where
//! it lies, and what arrives is handed on in the pieces in which it came.
//!
//! Any gRPC client can read it: these are `ReadResponse` messages.
//!
//! ```text
//! 0 u8 (not compressed), length u32 big-endian, ReadResponse:  summary, or where in shared memory a frame lies, or
//!                                                             0x7A (field 15, bytes), length as varint, the frame
//! ```
//!
//! Source: "Length-Prefixed-Message" in PROTOCOL-HTTP2.md of gRPC; "Message Structure" in the encoding of Protocol Buffers.

mod receive;
mod rope;
mod send;
#[cfg(test)]
mod tests;

pub use self::{
    receive::{Part, Parts, STREAM_WINDOW_BYTES, read, tuned},
    rope::Rope,
    send::{ReadMethod, Reads},
};
use crate::v1;

/// One message of a read's answer, as it is sent.
#[derive(Clone, Debug)]
pub enum Message {
    /// A frame, in pieces.
    Frame(Rope),
    /// A frame that lies in memory which is shared with the trainer.
    Placed(v1::Placed),
    /// What the read cost: the last message.
    Summary(v1::ReadSummary),
}

const PATH: &str = "/dpp.v1.Worker/Read";
/// Field 15, bytes.
const FRAME_TAG: u8 = 15 << 3 | 2;
/// Of a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
