use super::*;

/// Bytes and clients.
fn totals(memory: &Memory) -> (u64, usize) {
    let held = memory.lock();
    (held.total, held.clients.len())
}

#[tokio::test]
async fn a_client_that_holds_on_stops_itself_only() {
    let memory = Memory::new(Some(ByteSize(90)));
    let mut slow = Vec::new();
    while let Ok(admitted) =
        timeout(Duration::from_millis(1), memory.queue("slow", 0).admit(10)).await
    {
        slow.push(admitted.unwrap());
    }
    assert_eq!(slow.len(), 6, "two thirds");
    for _ in 0..100 {
        memory.queue("quick", 0).admit(20).await.unwrap();
    }
    slow.pop();
    memory.queue("slow", 0).admit(10).await.unwrap();
    drop(slow);
    assert_eq!(totals(&memory), (0, 0));
}

#[tokio::test]
async fn a_client_with_large_reads_leaves_room_for_one_of_another() {
    let memory = Memory::new(Some(ByteSize(90)));
    let _slow = memory.queue("slow", 0).admit(35).await.unwrap();
    let second = timeout(Duration::from_millis(1), memory.queue("slow", 0).admit(35)).await;
    assert!(second.is_err(), "it would fill all");
    memory.queue("quick", 0).admit(35).await.unwrap();
}

#[tokio::test]
async fn what_never_fits_goes_alone() {
    let memory = Memory::new(Some(ByteSize(90)));
    let alone = memory.queue("a", 0).admit(1_000).await.unwrap();
    let waiting = timeout(Duration::from_millis(1), memory.queue("b", 0).admit(1)).await;
    assert!(waiting.is_err());
    drop(alone);
    let mut small = memory.queue("b", 0).admit(1).await.unwrap();
    small.holds(60);
    assert_eq!(memory.lock().total, 60);
}

#[tokio::test]
async fn a_clients_reads_are_admitted_in_turn() {
    let memory = Memory::new(Some(ByteSize(90)));
    let first = memory.queue("a", 0).admit(60).await.unwrap();
    let large = memory.queue("a", 0).admit(50);
    tokio::pin!(large);
    assert!(futures::poll!(&mut large).is_pending());
    let small = memory.queue("a", 0).admit(1);
    tokio::pin!(small);
    assert!(
        futures::poll!(&mut small).is_pending(),
        "it would fit, and is not its turn"
    );
    drop(first);
    drop((large.await.unwrap(), small.await.unwrap()));
}

#[tokio::test]
async fn what_came_too_early_makes_way_for_earlier_turns() {
    let memory = Memory::new(Some(ByteSize(90)));
    let later = memory.queue("a", 7).admit(40).await.unwrap();
    let latest = memory.queue("a", 9).admit(20).await.unwrap();
    let mut first = Box::pin(memory.queue("a", 3).admit(40));
    assert!(futures::poll!(&mut first).is_pending());
    timeout(Duration::from_secs(1), latest.make_way().notified())
        .await
        .unwrap();
    drop(latest);
    assert!(futures::poll!(&mut first).is_pending(), "not enough");
    timeout(Duration::from_secs(1), later.make_way().notified())
        .await
        .unwrap();
    drop(later);
    let first = first.await.unwrap();
    let mut again = Box::pin(memory.queue("a", 7).admit(40));
    assert!(futures::poll!(&mut again).is_pending());
    let told = timeout(Duration::from_millis(1), first.make_way().notified()).await;
    assert!(told.is_err(), "earlier ones make way for nobody");
    drop(first);
    drop(again.await.unwrap());
    assert_eq!(totals(&memory), (0, 0));
}
