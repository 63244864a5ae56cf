use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message as _;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::Code;

use super::*;
use crate::v1;

const LIMITS: Limits = Limits {
    most_bytes: 1 << 20,
    most_memory: 1 << 20,
    advice: "send less",
};
const SOON: Duration = Duration::from_millis(100);

fn kind() -> Kind {
    WEIGHTS.request("/dpp.v1.Worker/OpenJob").unwrap()
}

/// A request that opens a job of so many nodes, with its prefix.
fn request(nodes: usize) -> Bytes {
    let plan = v1::Plan {
        nodes: vec![v1::Node::default(); nodes],
        ..Default::default()
    };
    let job = v1::Job {
        plan: Some(plan),
        ..Default::default()
    };
    let message = v1::OpenJobRequest {
        job: Some(job),
        run: None,
    };
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat().into()
}

/// A body in chunks of `size` bytes.
fn body(bytes: &Bytes, size: usize) -> Body {
    let chunks: Vec<_> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
    let frames = chunks
        .into_iter()
        .map(|chunk| Ok::<_, Status>(Frame::data(chunk)));
    Body::new(StreamBody::new(tokio_stream::iter(frames)))
}

/// A body that began, and does not go on before the sender is gone.
fn stalled(begun: &[u8]) -> (Body, tokio::sync::mpsc::Sender<Bytes>) {
    let (sender, rest) = tokio::sync::mpsc::channel(1);
    let begun = Bytes::copy_from_slice(begun);
    let chunks = tokio_stream::once(begun).chain(ReceiverStream::new(rest));
    let frames = chunks.map(|chunk| Ok::<_, Status>(Frame::data(chunk)));
    (Body::new(StreamBody::new(frames)), sender)
}

#[tokio::test]
async fn what_comes_in_is_what_was_sent() {
    let door = Door::new(LIMITS, 8);
    for nodes in [0, 1000] {
        let sent = request(nodes);
        for size in [1, 4, 5, 1000, 1 << 20] {
            let (bytes, taken) = door.take_in(kind(), body(&sent, size)).await.unwrap();
            assert_eq!(bytes, sent);
            assert_eq!(taken.is_some(), nodes > 0, "small ones need no room");
        }
        let short = sent.slice(..sent.len() - 1);
        let (bytes, _) = door.take_in(kind(), body(&short, 7)).await.unwrap();
        assert_eq!(bytes, short, "whoever decodes it says what is wrong");
    }
    assert_eq!(door.arriving.available_permits(), LIMITS.most_bytes);
    assert_eq!(door.room.available_permits(), LIMITS.most_memory >> 10);
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_there() {
    let door = Door::new(LIMITS, 8);
    let (endless, _sender) = stalled(&[0, 0, 16, 0, 1]);
    let refused = door.take_in(kind(), endless).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().contains("1048577 bytes"), "{refused}");
    let unfolds = body(&request(100_000), 1000);
    let refused = door.take_in(kind(), unfolds).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for says in ["one, 1 MiB", "send less"] {
        assert!(refused.message().contains(says), "{refused}");
    }
}

#[tokio::test]
async fn the_slowest_makes_room_for_newcomers() {
    let door = Door::new(LIMITS, 2);
    let (first, _first_sender) = stalled(&[0]);
    let (second, second_sender) = stalled(&request(1)[..3]);
    let first = door.take_in(kind(), first);
    let second = async {
        let late = request(1).slice(3..);
        let taken = door.take_in(kind(), second);
        let send = async { second_sender.send(late).await.unwrap() };
        tokio::join!(taken, send).0
    };
    let third = async {
        let sent = request(1);
        door.take_in(kind(), body(&sent, 10)).await
    };
    let (first, second, third) = tokio::join!(first, second, third);
    assert_eq!(first.unwrap_err().code(), Code::Unavailable);
    assert!(second.is_ok() && third.is_ok());
}

#[tokio::test]
async fn large_requests_wait_for_each_other_and_small_ones_for_none() {
    let door = Door::new(LIMITS, 8);
    let large = request(2500);
    let (_, taken) = door.take_in(kind(), body(&large, 4096)).await.unwrap();
    let mut next = std::pin::pin!(door.take_in(kind(), body(&large, 4096)));
    assert!(timeout(SOON, &mut next).await.is_err(), "there is no room");
    let small = door.take_in(kind(), body(&request(10), 4096)).await;
    assert!(small.is_ok());
    drop(taken);
    assert!(next.await.is_ok());
}

#[tokio::test]
async fn large_requests_arrive_in_turn() {
    let door = Door::new(LIMITS, 8);
    let (slow, sender) = stalled(&[0, 0, 12, 0, 0]);
    let mut slow = std::pin::pin!(door.take_in(kind(), slow));
    assert!(timeout(SOON, &mut slow).await.is_err(), "it is arriving");
    // as large as what is left for those that arrive, and a little more
    let (next, _next_sender) = stalled(&[0, 0, 4, 0, 1]);
    let mut next = std::pin::pin!(door.take_in(kind(), next));
    assert!(timeout(SOON, &mut next).await.is_err());
    drop(sender);
    assert!(
        slow.await.is_ok(),
        "half a message is refused by who decodes it"
    );
    assert!(
        timeout(SOON, &mut next).await.is_err(),
        "it is arriving now"
    );
    assert_eq!(door.arriving.available_permits(), (3 << 18) - 1);
}
