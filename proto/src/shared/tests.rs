use std::{io::Write as _, os::fd::AsFd as _, path::PathBuf, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;
use tonic::Code;

use super::*;
use crate::{stream::Rope, v1::Placed};

const MOST_BYTES: u64 = 64 << 20;

/// Memory of `most` bytes beside a socket that nobody needs here.
async fn listening(most: u64) -> (tempfile::TempDir, PathBuf, Arenas) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.sock");
    let arenas = Arenas::listen(&path, most).await.unwrap();
    (folder, path, arenas)
}

/// As [`listening`], with a trainer's view.
async fn sharing(most: u64) -> (tempfile::TempDir, PathBuf, Arenas, View) {
    let (folder, path, arenas) = listening(most).await;
    let view = View::connect(&path).await.unwrap();
    (folder, path, arenas, view)
}

/// What is taken of a place.
fn taken(view: &View, placed: Placed) -> Result<Vec<u8>, tonic::Status> {
    view.take(placed, |source| {
        let mut bytes = Vec::new();
        source.append_to(&mut bytes, 3);
        source.append_to(&mut bytes, usize::MAX);
        bytes
    })
}

fn frame(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ seed).collect()
}

fn rope(frame: Vec<u8>) -> Rope {
    [Bytes::from(frame)].into_iter().collect()
}

/// That nothing happens for now.
async fn waits<T>(work: &mut (impl Future<Output = T> + Unpin)) -> bool {
    timeout(Duration::from_millis(100), work).await.is_err()
}

#[tokio::test]
async fn frames_are_taken_as_they_were_placed() {
    let (_folder, _, arenas, view) = sharing(MOST_BYTES).await;
    assert!(arenas.writer(b"").is_none());
    assert!(arenas.writer(&[7; TOKEN_BYTES]).is_none());
    let mut writer = arenas.writer(view.token()).unwrap();
    for round in 0..40 {
        let frame = frame(1 + 50_000 * usize::from(round), round);
        let (first, second) = frame.split_at(frame.len() / 3);
        let pieces = [first, second].map(Bytes::copy_from_slice);
        let pieces: Rope = pieces.into_iter().collect();
        let placed = timeout(Duration::from_secs(10), writer.place(&pieces)).await;
        assert_eq!(taken(&view, placed.unwrap().unwrap()).unwrap(), frame);
    }
    timeout(Duration::from_secs(10), writer.untaken_at_most(0))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_read_waits_for_what_is_not_taken_and_others_do_not() {
    let (_folder, _, arenas, view) = sharing(MOST_BYTES).await;
    let mut slow = arenas.writer(view.token()).unwrap();
    let first = slow.place(&rope(frame(9, 1))).await.unwrap();
    let second = slow.place(&rope(frame(9, 2))).await.unwrap();
    let pieces = rope(frame(9, 3));
    let mut third = Box::pin(slow.place(&pieces));
    assert!(waits(&mut third).await);
    let mut other = arenas.writer(view.token()).unwrap();
    let placed = other.place(&rope(frame(9, 4))).await.unwrap();
    assert_eq!(taken(&view, placed).unwrap(), frame(9, 4));
    assert_eq!(taken(&view, first).unwrap(), frame(9, 1));
    let third = timeout(Duration::from_secs(10), third).await.unwrap();
    let mut all = Box::pin(slow.untaken_at_most(0));
    assert!(waits(&mut all).await);
    assert_eq!(taken(&view, third.unwrap()).unwrap(), frame(9, 3));
    assert_eq!(taken(&view, second).unwrap(), frame(9, 2));
    timeout(Duration::from_secs(10), all).await.unwrap();
}

#[tokio::test]
async fn what_does_not_fit_goes_elsewhere() {
    // half of it is three slots
    let (_folder, path, arenas, view) = sharing(6 * SLOT_BYTES as u64).await;
    let mut one = arenas.writer(view.token()).unwrap();
    let large = rope(vec![0; SLOT_BYTES]);
    assert_eq!(one.place(&large).await, None);
    let mut two = arenas.writer(view.token()).unwrap();
    assert!(one.place(&rope(frame(5, 1))).await.is_some());
    for _ in 0..2 {
        assert!(two.place(&rope(frame(5, 1))).await.is_some());
    }
    assert_eq!(one.place(&rope(frame(5, 1))).await, None);
    drop(two);
    assert!(one.place(&rope(frame(5, 1))).await.is_some());
    // what is left is too little to share
    assert!(View::connect(&path).await.is_err());
    drop((view, one));
    let again = async {
        while View::connect(&path).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), again).await.unwrap();
}

#[tokio::test]
async fn what_was_written_over_is_noticed() {
    let (_folder, _, arenas, view) = sharing(MOST_BYTES).await;
    let mut dropped = arenas.writer(view.token()).unwrap();
    let stale = dropped.place(&rope(frame(9, 1))).await.unwrap();
    drop(dropped);
    let mut writer = arenas.writer(view.token()).unwrap();
    let placed = writer.place(&rope(frame(9, 2))).await.unwrap();
    assert_eq!(placed.offset, stale.offset);
    let error = taken(&view, stale).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert_eq!(taken(&view, placed).unwrap(), frame(9, 2));
    let end = 12 * SLOT_BYTES as u64;
    for (offset, length) in [
        (1 << 40, 9),
        (end, 9),
        (end - 8, 9),
        (0, 9),
        (64, end),
        (u64::MAX, 9),
        (64, u64::MAX),
    ] {
        let nowhere = Placed {
            offset,
            length,
            ..placed
        };
        assert!(
            taken(&view, nowhere).is_err() && view.is_broken(),
            "{nowhere:?}"
        );
    }
}

#[tokio::test]
async fn who_is_left_behind_notices() {
    let (_folder, path, arenas, view) = sharing(MOST_BYTES).await;
    assert!(view.is_open());
    let mut writer = arenas.writer(view.token()).unwrap();
    assert!(writer.place(&rope(frame(9, 1))).await.is_some());
    let mut all = Box::pin(writer.untaken_at_most(0));
    assert!(waits(&mut all).await);
    drop(view);
    timeout(Duration::from_secs(10), all).await.unwrap();
    assert_eq!(writer.place(&rope(frame(9, 1))).await, None);

    let view = View::connect(&path).await.unwrap();
    let mut writer = arenas.writer(view.token()).unwrap();
    let placed = writer.place(&rope(frame(9, 2))).await.unwrap();
    drop((arenas, writer));
    let closed = async {
        while view.is_open() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), closed).await.unwrap();
    // the memory is the system's again, although it is mapped
    let given_back = async {
        while taken(&view, placed).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), given_back).await.unwrap();
    assert!(View::connect(&path).await.is_err());
}

/// A process that was forked keeps the connection.
#[tokio::test]
async fn who_is_done_says_so_although_another_process_has_the_connection() {
    let (_folder, _, arenas, view) = sharing(MOST_BYTES).await;
    let mut writer = arenas.writer(view.token()).unwrap();
    assert!(writer.place(&rope(frame(9, 1))).await.is_some());
    let kept = view.stream.as_fd().try_clone_to_owned().unwrap();
    drop(view);
    let all = timeout(Duration::from_secs(10), writer.untaken_at_most(0)).await;
    drop(kept);
    all.unwrap();
}

#[test]
fn neither_end_can_take_the_memory_from_the_other() {
    let file = mapping::file(1 << 20).unwrap();
    let mapped = mapping::Mapping::of(&file).unwrap();
    assert!(file.set_len(0).is_err() && file.set_len(2 << 20).is_err());
    mapped.write((1 << 20) - 3, b"end");
    let mut end = vec![0];
    mapped.append_to(&mut end, (1 << 20) - 3, 3);
    assert_eq!(end, b"\0end");
    for (at, count) in [((1 << 20) - 2, 3), (usize::MAX, 2)] {
        let beyond = std::panic::AssertUnwindSafe(|| mapped.append_to(&mut Vec::new(), at, count));
        assert!(std::panic::catch_unwind(beyond).is_err());
    }
    let mut unsealed = tempfile::tempfile().unwrap();
    unsealed.write_all(b"could be cut off").unwrap();
    assert!(mapping::Mapping::of(&unsealed).is_err());
}

#[tokio::test]
async fn who_closes_gives_no_more_and_those_who_have_some_go_on() {
    let (_folder, path, arenas, view) = sharing(MOST_BYTES).await;
    arenas.close();
    let gone = async {
        while View::connect(&path).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), gone).await.unwrap();
    let next = Arenas::listen(&path, MOST_BYTES).await.unwrap();
    assert!(View::connect(&path).await.is_ok());
    let mut writer = arenas.writer(view.token()).unwrap();
    let placed = writer.place(&rope(frame(9, 1))).await.unwrap();
    assert_eq!(taken(&view, placed).unwrap(), frame(9, 1));
    drop((arenas, writer));
    assert!(View::connect(&path).await.is_ok(), "it is the next one's");
    drop(next);
}

/// Who only asks does not keep it from others; who reads does.
#[tokio::test]
async fn memory_that_nobody_uses_goes_to_others() {
    let (_folder, path, arenas) = listening(MOST_BYTES).await;
    let (idle, busy) = (
        View::connect(&path).await.unwrap(),
        View::connect(&path).await.unwrap(),
    );
    assert!(arenas.writer(busy.token()).is_some());
    let closed = async {
        while idle.is_open() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), closed).await.unwrap();
    assert!(busy.is_open() && arenas.writer(busy.token()).is_some());
}
