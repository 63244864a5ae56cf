//! The trainer's side: asks for a read and takes its messages.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderValue, header};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tonic::{
    Code, Status, body::Body, codegen::Service, metadata::GRPC_CONTENT_TYPE, transport::Endpoint,
};

use super::{FRAME_TAG, PATH, PREFIX_BYTES, Rope};
use crate::{
    access::Channel,
    v1::{Placed, ReadRequest, ReadResponse, ReadSummary},
};

/// A part of a read's answer.
#[derive(Clone, Debug)]
pub enum Part {
    /// A frame begins: so many bytes, which are the next parts.
    Begin(usize),
    /// More of the frame that began.
    Bytes(Bytes),
    /// A frame lies in the memory that the request names.
    Placed(Placed),
    /// What the read cost: the last part.
    Summary(ReadSummary),
}

/// The answer to one read, handed on as it arrives. Dropping it ends the read.
#[derive(Debug)]
pub struct Parts {
    body: Body,
    /// What has arrived and was not handed out.
    arrived: Rope,
    /// Of the frame under way.
    missing: usize,
}

/// A connection that reads come over: a stream may have [`STREAM_WINDOW_BYTES`] on the wire, in as few frames as that takes.
pub fn tuned(endpoint: Endpoint) -> Endpoint {
    endpoint
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(STREAM_WINDOW_BYTES)
}

/// Asks for a read.
///
/// # Errors
/// What the worker answers instead, or why it can't be asked.
pub async fn read(channel: &mut Channel, request: &ReadRequest) -> Result<Parts, Status> {
    std::future::poll_fn(|context| channel.poll_ready(context))
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let response = channel.call(call_of(request)).await;
    let response = response.map_err(|error| Status::from_error(error.into()))?;
    refusal(response.status(), response.headers())?;
    Ok(Parts::of(Body::new(response.into_body())))
}

fn call_of(request: &ReadRequest) -> http::Request<Body> {
    let length = request.encoded_len();
    let mut message = BytesMut::with_capacity(PREFIX_BYTES + length);
    message.put_u8(0);
    message.put_u32(u32::try_from(length).expect("a request is far below 4 GiB"));
    request
        .encode(&mut message)
        .expect("there is room for what was measured");
    let mut call = http::Request::new(Body::new(Full::new(message.freeze())));
    *call.method_mut() = http::Method::POST;
    *call.uri_mut() = http::Uri::from_static(PATH);
    let headers = call.headers_mut();
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::CONTENT_TYPE, GRPC_CONTENT_TYPE);
    call
}

/// An answer that is a status alone, or none of gRPC's.
fn refusal(status: http::StatusCode, headers: &http::HeaderMap) -> Result<(), Status> {
    match Status::from_header_map(headers) {
        Some(refusal) if refusal.code() != Code::Ok => Err(refusal),
        _ if status != http::StatusCode::OK => Err(Status::unavailable(format!(
            "it answers as HTTP, {status}: this is no worker, or something stands before it"
        ))),
        _ => Ok(()),
    }
}

impl Parts {
    pub(super) fn of(body: Body) -> Parts {
        Parts {
            body,
            arrived: Rope::default(),
            missing: 0,
        }
    }

    /// The next part, or `None` after the last. Cancelling it loses nothing.
    ///
    /// # Errors
    /// What the worker says at the end, or how the connection broke. Nothing follows.
    pub async fn next(&mut self) -> Result<Option<Part>, Status> {
        loop {
            if let Some(part) = self.arrived()? {
                return Ok(Some(part));
            }
            let Some(frame) = self.body.frame().await.transpose()? else {
                return Err(broken_off());
            };
            match frame.into_data() {
                Ok(data) => self.arrived.push(data),
                Err(frame) => return self.ended(&frame.into_trailers().unwrap_or_default()),
            }
        }
    }

    /// A part that has arrived.
    fn arrived(&mut self) -> Result<Option<Part>, Status> {
        if self.missing == 0 {
            return self.message();
        }
        let bytes = self.arrived.pop(self.missing);
        self.missing -= bytes.as_ref().map_or(0, Bytes::len);
        Ok(bytes.map(Part::Bytes))
    }

    /// A frame's beginning, its place or a summary, once as much of the message has arrived as that takes.
    fn message(&mut self) -> Result<Option<Part>, Status> {
        let mut head = [0; PREFIX_BYTES + MOST_OF_HEAD];
        let Some((prefix, ahead)) = self.arrived.front(&mut head).split_first_chunk() else {
            return Ok(None);
        };
        let [is_compressed, length @ ..]: &[u8; PREFIX_BYTES] = prefix;
        if *is_compressed != 0 {
            return Err(Status::data_loss("a message is compressed, or none at all"));
        }
        let length = u32::from_be_bytes(*length) as usize;
        let ahead = &ahead[..ahead.len().min(length)];
        if ahead.first() != Some(&FRAME_TAG) {
            return self.short(length);
        }
        if ahead.len() < length.min(MOST_OF_HEAD) {
            return Ok(None);
        }
        let mut behind = &ahead[1..];
        let frame = prost::encoding::decode_varint(&mut behind);
        let frame = frame.map_err(|error| senseless(&error.to_string()))?;
        let head = ahead.len() - behind.len();
        if frame != (length - head) as u64 {
            return Err(senseless(&format!("a frame of {frame} bytes in {length}")));
        }
        self.arrived.advance(PREFIX_BYTES + head);
        self.missing = length - head;
        Ok(Some(Part::Begin(self.missing)))
    }

    /// The place or summary that is all of a message of so many bytes.
    fn short(&mut self, length: usize) -> Result<Option<Part>, Status> {
        if length > MOST_OF_SHORT {
            return Err(senseless(&format!("{length} bytes beside a frame")));
        }
        if self.arrived.remaining() < PREFIX_BYTES + length {
            return Ok(None);
        }
        self.arrived.advance(PREFIX_BYTES);
        let response = ReadResponse::decode(self.arrived.split_to(length));
        let response = response.map_err(|error| senseless(&error.to_string()))?;
        match (response.placed, response.summary) {
            (Some(placed), _) => Ok(Some(Part::Placed(placed))),
            (None, Some(summary)) => Ok(Some(Part::Summary(summary))),
            (None, None) => Err(senseless("it is empty")),
        }
    }

    fn ended(&self, trailers: &http::HeaderMap) -> Result<Option<Part>, Status> {
        match Status::from_header_map(trailers) {
            Some(status) if status.code() != Code::Ok => Err(status),
            Some(_) if self.arrived.remaining() == 0 && self.missing == 0 => Ok(None),
            _ => Err(broken_off()),
        }
    }
}

fn senseless(what: &str) -> Status {
    Status::data_loss(format!("a message is not a read's: {what}"))
}

fn broken_off() -> Status {
    Status::unavailable("the answer broke off")
}

/// A frame's tag, and its length as a varint.
const MOST_OF_HEAD: usize = 1 + 10;
/// Places and summaries are some numbers.
const MOST_OF_SHORT: usize = 1 << 20;
/// Enough for 10 Gbit/s at a millisecond.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Streams bound themselves. A bound over all of them would let reads that nobody takes from yet, which fill it,
/// hold up for ever the one that everybody waits for.
const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;
