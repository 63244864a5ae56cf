use proptest::prelude::*;

use super::*;
use crate::arbitrary::{pack, table};

/// As memory that is shared is read.
fn read(bytes: &[u8], layout: &Arc<Layout>) -> Result<Frame, Error> {
    let mut left = bytes;
    let append =
        |into: &mut Vec<u8>, count| into.extend_from_slice(left.split_off(..count).unwrap());
    Frame::read(append, bytes.len(), layout)
}

proptest! {
    #[test]
    fn bytes_bring_back_the_frame((layout, rows) in table(12), start in 0..1u64 << 40) {
        let frame = Frame { positions: start..start + rows.len() as u64, batch: pack(&layout, &rows) };
        let bytes = frame.encode();
        prop_assert_eq!(&bytes, &frame.encode());
        prop_assert_eq!(bytes.len() % ALIGNMENT, 0);
        // A received message is rarely aligned.
        let unaligned = Bytes::from([&[0u8][..], &bytes].concat()).slice(1..);
        prop_assert_eq!(Frame::decode(unaligned, &layout).unwrap(), frame);
    }

    /// However large its buffers are, and wherever its bytes were cut on the way.
    #[test]
    fn pieces_bring_back_the_frame((layout, rows) in table(6), times in 1..300_usize, cut in any::<prop::sample::Index>()) {
        let rows = vec![rows; times].concat();
        let frame = Frame { positions: 0..rows.len() as u64, batch: pack(&layout, &rows) };
        let whole: Bytes = frame.pieces().concat().into();
        let mut arriving = Arriving::new(&layout, whole.len());
        for part in whole.chunks(1 + cut.index(whole.len())) {
            arriving.push(part).unwrap();
        }
        prop_assert_eq!(arriving.missing(), 0);
        prop_assert_eq!(&arriving.finish().unwrap(), &frame);
        prop_assert_eq!(&read(&whole, &layout).unwrap(), &frame);
        prop_assert_eq!(Frame::decode(whole, &layout).unwrap(), frame);
    }

    /// Whatever is cut or flipped, decoding says so and does not panic.
    #[test]
    fn damage_is_noticed((layout, rows) in table(6), cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>(), bit in 0..8u8) {
        let bytes = Frame { positions: 0..rows.len() as u64, batch: pack(&layout, &rows) }.encode();
        prop_assert!(Frame::decode(bytes.slice(..cut.index(bytes.len())), &layout).is_err());
        let mut damaged = bytes.to_vec();
        let at = flip.index(bytes.len());
        damaged[at] ^= 1 << bit;
        // Bytes 6 and 7 are reserved zeros that version 2 does not read.
        let read = read(&damaged, &layout);
        let decoded = Frame::decode(Bytes::from(damaged), &layout);
        prop_assert!((6..8).contains(&at) || decoded.is_err());
        prop_assert_eq!(read, decoded);
    }

    /// Who makes the checksum anew can say anything: that is an error or another frame, and no panic.
    #[test]
    fn forged_frames_are_errors_or_frames(
        (layout, rows) in table(6),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let bytes = Frame { positions: 0..rows.len() as u64, batch: pack(&layout, &rows) }.encode();
        let mut forged = bytes.to_vec();
        for (at, is_in_header, byte) in changes {
            let region = if is_in_header { forged.len().min(160) } else { forged.len() };
            forged[at.index(region)] = byte;
        }
        if let Some(cut) = cut {
            forged.truncate(cut.index(bytes.len()));
        }
        if forged.len() > 16 {
            let mut checksum = checksum();
            checksum.update(&forged[16..]);
            let checksum = checksum.finalize();
            forged[8..16].copy_from_slice(&checksum.to_le_bytes());
        }
        if let Ok(frame) = Frame::decode(Bytes::from(forged), &layout) {
            let again = Frame::decode(frame.encode(), &layout);
            prop_assert_eq!(again.unwrap(), frame);
        }
    }

    /// Sound bytes of another job's layout are an error, not a panic.
    #[test]
    fn another_layout_is_noticed((layout, rows) in table(6), (other, _) in table(1)) {
        let frame = Frame { positions: 0..rows.len() as u64, batch: pack(&layout, &rows) };
        if let Ok(decoded) = Frame::decode(frame.encode(), &other) {
            decoded.batch.check().unwrap();
        }
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let layout = Arc::new(Layout {
        dense: vec!["x".into()],
        ..Layout::default()
    });
    let frame = Frame {
        positions: 0..0,
        batch: pack(&layout, &[]),
    };
    let mut newer = frame.encode().to_vec();
    newer[4] = 9;
    assert_eq!(
        Frame::decode(Bytes::from(newer), &layout),
        Err(Error::Version {
            found: 9,
            supported: FRAME_VERSION
        })
    );
    assert_eq!(
        Frame::decode(Bytes::from_static(b"PAR1..."), &layout),
        Err(Error::NotAFrame { found: *b"PAR1" })
    );
    assert!(matches!(
        Frame::decode(frame.encode().slice(..50), &layout),
        Err(Error::Checksum { .. } | Error::Truncated { .. })
    ));
}
