//! The trainer's side: asks for a read and takes its messages.

use bytes::{Buf as _, BufMut as _, BytesMut};
use http::{HeaderValue, header};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tonic::{
    Code, Status, body::Body, codegen::Service, metadata::GRPC_CONTENT_TYPE, transport::Endpoint,
};

use super::{FRAME_TAG, Message, PATH, PREFIX_BYTES, Rope};
use crate::{
    access::Channel,
    v1::{ReadRequest, ReadResponse},
};

/// The messages of one read, as they arrive. Dropping it ends the read.
#[derive(Debug)]
pub struct Messages {
    body: Body,
    /// What has arrived and was not handed out.
    arrived: Rope,
    /// Of the message under way, once its prefix was taken.
    length: Option<usize>,
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
pub async fn read(channel: &mut Channel, request: &ReadRequest) -> Result<Messages, Status> {
    std::future::poll_fn(|context| channel.poll_ready(context))
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let response = channel.call(call_of(request)).await;
    let response = response.map_err(|error| Status::from_error(error.into()))?;
    refusal(response.status(), response.headers())?;
    Ok(Messages::of(Body::new(response.into_body())))
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

impl Messages {
    pub(super) fn of(body: Body) -> Messages {
        Messages {
            body,
            arrived: Rope::default(),
            length: None,
        }
    }

    /// The next message, or `None` after the last.
    ///
    /// # Errors
    /// What the worker says at the end, or how the connection broke. Nothing follows.
    pub async fn message(&mut self) -> Result<Option<Message>, Status> {
        loop {
            if let Some(message) = self.whole()? {
                return Ok(Some(message));
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

    /// A message of which everything has arrived.
    fn whole(&mut self) -> Result<Option<Message>, Status> {
        let length = match self.length {
            Some(length) => length,
            None if self.arrived.remaining() < PREFIX_BYTES => return Ok(None),
            None => {
                if self.arrived.get_u8() != 0 {
                    return Err(Status::data_loss("a message is compressed, or none at all"));
                }
                *self.length.insert(self.arrived.get_u32() as usize)
            }
        };
        if self.arrived.remaining() < length {
            return Ok(None);
        }
        self.length = None;
        decode(self.arrived.split_to(length)).map(Some)
    }

    fn ended(&self, trailers: &http::HeaderMap) -> Result<Option<Message>, Status> {
        match Status::from_header_map(trailers) {
            Some(status) if status.code() != Code::Ok => Err(status),
            Some(_) if self.arrived.remaining() == 0 && self.length.is_none() => Ok(None),
            _ => Err(broken_off()),
        }
    }
}

pub(super) fn decode(mut message: Rope) -> Result<Message, Status> {
    let senseless = |what: &str| Status::data_loss(format!("a message is not a read's: {what}"));
    if message.chunk().first() != Some(&FRAME_TAG) {
        let response =
            ReadResponse::decode(message).map_err(|error| senseless(&error.to_string()))?;
        return match response.summary {
            Some(summary) => Ok(Message::Summary(summary)),
            None => Err(senseless("it is empty")),
        };
    }
    message.advance(1);
    let length = prost::encoding::decode_varint(&mut message);
    match length.map_err(|error| senseless(&error.to_string()))? {
        length if length == message.remaining() as u64 => Ok(Message::Frame(message)),
        length => Err(senseless(&format!(
            "a frame of {length} bytes in {}",
            message.remaining()
        ))),
    }
}

fn broken_off() -> Status {
    Status::unavailable("the answer broke off")
}

/// Enough for 10 Gbit/s at a millisecond.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Streams bound themselves. A bound over all of them would let reads that nobody takes from yet, which fill it,
/// hold up for ever the one that everybody waits for.
const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;
