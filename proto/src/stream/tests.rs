use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};
use http_body_util::{BodyExt as _, StreamBody};
use proptest::prelude::*;
use prost::Message as _;
use tonic::{Code, Status, body::Body};

use super::{
    Message, PREFIX_BYTES, Part, Parts, Rope,
    send::{encode, response},
};
use crate::v1::{Placed, ReadResponse, ReadSummary};

fn joined(mut rope: Rope) -> Bytes {
    rope.copy_to_bytes(rope.remaining())
}

fn pieces() -> impl Strategy<Value = Vec<Bytes>> {
    let piece = prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    prop::collection::vec(piece, 0..5)
}

/// What a body of `data`, cut into chunks of `sizes` bytes, and `trailers` brings.
async fn received(
    data: Bytes,
    sizes: Vec<usize>,
    trailers: Option<Status>,
) -> (Vec<Arrived>, Result<(), Status>) {
    let (mut rest, mut frames) = (data, VecDeque::new());
    for size in sizes.into_iter().chain([usize::MAX]) {
        let chunk = rest.split_to(size.min(rest.len()));
        frames.push_back(Ok::<_, Status>(http_body::Frame::data(chunk)));
    }
    if let Some(status) = trailers {
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        frames.push_back(Ok(http_body::Frame::trailers(headers)));
    }
    let body = Body::new(StreamBody::new(tokio_stream::iter(frames)));
    let (mut parts, mut all) = (Parts::of(body), Vec::new());
    let (mut frame, mut missing) = (Vec::new(), None);
    loop {
        match parts.next().await {
            Ok(Some(Part::Begin(length))) => missing = Some(length),
            Ok(Some(Part::Bytes(bytes))) => {
                assert!(!bytes.is_empty());
                missing = missing.map(|missing| missing - bytes.len());
                frame.extend_from_slice(&bytes);
            }
            Ok(Some(Part::Placed(placed))) => all.push(Arrived::Placed(placed)),
            Ok(Some(Part::Summary(summary))) => all.push(Arrived::Summary(summary)),
            Ok(None) => return (all, Ok(())),
            Err(status) => return (all, Err(status)),
        }
        if missing == Some(0) {
            all.push(Arrived::Frame(std::mem::take(&mut frame)));
            missing = None;
        }
    }
}

/// What all parts of a message are.
#[derive(Debug, PartialEq)]
enum Arrived {
    Frame(Vec<u8>),
    Placed(Placed),
    Summary(ReadSummary),
}

fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.build().unwrap().block_on(work)
}

proptest! {
    /// What is sent is what the generated message encodes to.
    #[test]
    fn a_frame_is_a_message_as_generated(pieces in pieces()) {
        let frame: Rope = pieces.iter().cloned().collect();
        let mut sent = encode(Message::Frame(frame));
        prop_assert_eq!(sent.get_u8(), 0);
        prop_assert_eq!(sent.get_u32() as usize, sent.remaining());
        let generated = ReadResponse::decode(joined(sent)).unwrap();
        prop_assert_eq!(&generated.frame, &pieces.concat());
        prop_assert_eq!(generated.summary, None);
    }

    /// Messages come out as they went in, wherever the transport cuts them.
    #[test]
    fn messages_arrive_in_any_cuts(frames in prop::collection::vec(pieces(), 0..4), sizes in prop::collection::vec(0_usize..400, 0..20)) {
        let summary = ReadSummary { rows: 7, ..ReadSummary::default() };
        let sent = frames.iter().map(|pieces| Message::Frame(pieces.iter().cloned().collect()));
        let placed = Placed { offset: 64, ticket: u64::MAX, length: 5 };
        let sent = sent.chain([Message::Placed(placed), Message::Summary(summary)]);
        let bytes: Vec<u8> = sent.flat_map(|message| joined(encode(message))).collect();
        let (messages, ended) = block(received(bytes.into(), sizes, Some(Status::ok(""))));
        prop_assert!(ended.is_ok());
        prop_assert_eq!(messages.len(), frames.len() + 2);
        prop_assert_eq!(&messages[frames.len()..], [Arrived::Placed(placed), Arrived::Summary(summary)]);
        for (message, pieces) in messages.into_iter().zip(&frames) {
            prop_assert_eq!(message, Arrived::Frame(pieces.concat()));
        }
    }

    #[test]
    fn senseless_bytes_are_an_error_and_no_panic(data in prop::collection::vec(any::<u8>(), 0..60)) {
        _ = block(received(data.into(), vec![3], Some(Status::ok(""))));
    }
}

#[test]
fn what_breaks_off_or_is_refused_is_said() {
    let whole = joined(encode(Message::Frame(Rope::from_iter([
        Bytes::from_static(b"abc"),
    ]))));
    let code = |data: &Bytes, trailers| {
        let (messages, ended) = block(received(data.clone(), vec![], trailers));
        (messages.len(), ended.map_err(|status| status.code()))
    };
    assert_eq!(code(&whole, Some(Status::ok(""))), (1, Ok(())));
    assert_eq!(code(&whole, None), (1, Err(Code::Unavailable)));
    assert_eq!(
        code(&whole, Some(Status::aborted("no"))),
        (1, Err(Code::Aborted))
    );
    let cut = whole.slice(..whole.len() - 1);
    assert_eq!(
        code(&cut, Some(Status::ok(""))),
        (0, Err(Code::Unavailable))
    );
    let prefix = whole.slice(..PREFIX_BYTES);
    assert_eq!(
        code(&prefix, Some(Status::ok(""))),
        (0, Err(Code::Unavailable))
    );
    let endless = Bytes::from_static(&[0, 0xFF, 0xFF, 0xFF, 0xFF, 0x12]);
    assert_eq!(code(&endless, None), (0, Err(Code::DataLoss)));
    let compressed = Bytes::from_static(&[1, 0, 0, 0, 0]);
    assert_eq!(
        code(&compressed, Some(Status::ok(""))),
        (0, Err(Code::DataLoss))
    );
}

#[test]
fn an_answer_ends_with_its_status() {
    let frame = || Message::Frame(Rope::from_iter([Bytes::from_static(b"abc")]));
    let messages = tokio_stream::iter([Ok(frame()), Err(Status::aborted("made way")), Ok(frame())]);
    let body = block(response(messages).into_body().collect()).unwrap();
    let trailers = body.trailers().unwrap().clone();
    let status = Status::from_header_map(&trailers).unwrap();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Aborted, "made way")
    );
    assert_eq!(body.to_bytes(), joined(encode(frame())));
}
