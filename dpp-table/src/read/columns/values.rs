//! A page's values, in every encoding that numbers are written in, as the types that features have.

use bytes::{Buf as _, Bytes};
use dpp_pool::{Element, Pooled};

use crate::read::columns::delta;
use crate::read::columns::runs::Runs;
use crate::read::pages::PageFault;
use crate::read::pages::header::{
    BYTE_STREAM_SPLIT, DELTA_BINARY_PACKED, PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY,
};
use crate::read::pages::walk::DictionaryPage;
use crate::read::value_map::MapValues;

/// A number as it is stored, and as it is read.
pub(crate) trait Stored: Send + 'static {
    /// As its kind has it: f32 for dense, i64 for int and ids.
    type Read: Element;
    /// Size in a file.
    const BYTES: usize;
    /// From [`Stored::BYTES`] bytes.
    fn read(bytes: &[u8]) -> Self::Read;
    /// From an integer, if the column is one.
    fn of_integer(integer: i64) -> Self::Read;
}

macro_rules! stored {
    ($name:ident, $stored:ty as $read:ty) => {
        pub(crate) struct $name;

        impl Stored for $name {
            type Read = $read;
            const BYTES: usize = size_of::<$stored>();

            fn read(bytes: &[u8]) -> $read {
                <$stored>::from_le_bytes(bytes.try_into().expect("of this size")) as $read
            }

            fn of_integer(integer: i64) -> $read {
                integer as $stored as $read
            }
        }
    };
}

stored!(Float, f32 as f32);
stored!(Double, f64 as f32);
stored!(Int32, i32 as i64);
stored!(Int64, i64 as i64);

/// Whether the values of a page may be stored so.
pub(crate) fn is_known(encoding: i32, is_integer: bool) -> bool {
    match encoding {
        PLAIN | PLAIN_DICTIONARY | RLE_DICTIONARY => true,
        DELTA_BINARY_PACKED => is_integer,
        BYTE_STREAM_SPLIT => !is_integer,
        _ => false,
    }
}

/// The values of one page, from the first that was not taken yet.
pub(crate) enum Values<S: Stored> {
    Plain(Bytes),
    Indices(Runs),
    Decoded { values: Vec<S::Read>, at: usize },
}

impl<S: Stored> Values<S> {
    /// `count`: at most so many values are there.
    pub(crate) fn new(encoding: i32, mut stored: Bytes, count: usize) -> Result<Self, PageFault> {
        Ok(match encoding {
            PLAIN => Values::Plain(stored),
            // a page of nulls alone may lack the width
            PLAIN_DICTIONARY | RLE_DICTIONARY if stored.is_empty() => Values::Plain(stored),
            PLAIN_DICTIONARY | RLE_DICTIONARY => {
                let width = stored.split_to(1)[0];
                Values::Indices(Runs::new(stored, width))
            }
            DELTA_BINARY_PACKED => {
                let integers = delta::decode(&stored, count)?;
                Values::decoded(integers.into_iter().map(S::of_integer).collect())
            }
            BYTE_STREAM_SPLIT => Values::decoded(split_streams::<S>(&stored)),
            _ => {
                let position = 0;
                return Err(PageFault::Encoding { position, encoding });
            }
        })
    }

    fn decoded(values: Vec<S::Read>) -> Self {
        Values::Decoded { values, at: 0 }
    }

    /// Appends the next `count` values.
    pub(crate) fn read(
        &mut self,
        count: usize,
        dictionary: &Dictionary<S::Read>,
        out: &mut Pooled<S::Read>,
    ) -> Result<(), PageFault> {
        let first = out.len();
        match self {
            Values::Plain(stored) => {
                let bytes = plain::<S>(stored, count)?;
                out.reserve(count);
                out.extend(stored[..bytes].chunks_exact(S::BYTES).map(S::read));
                dictionary.map(&mut out[first..]);
                stored.advance(bytes);
            }
            // of one entry's list a thousand would take longer to clear than to read
            Values::Indices(runs) if count <= 32 => {
                look_up_next::<32, _>(runs, count, &dictionary.values, out)?;
            }
            Values::Indices(runs) => {
                look_up_next::<1024, _>(runs, count, &dictionary.values, out)?;
            }
            Values::Decoded { values, at } => {
                let taken = values.get(*at..*at + count).ok_or(SHORT)?;
                out.reserve(count);
                out.extend_from_slice(taken);
                dictionary.map(&mut out[first..]);
                *at += count;
            }
        }
        Ok(())
    }

    /// Leaves out the next `count` values.
    pub(crate) fn skip(&mut self, count: usize) -> Result<(), PageFault> {
        match self {
            Values::Plain(stored) => {
                stored.advance(plain::<S>(stored, count)?);
                Ok(())
            }
            Values::Indices(runs) => runs.skip(count),
            Values::Decoded { values, at } => {
                *at += count;
                (*at <= values.len()).then_some(()).ok_or(SHORT)
            }
        }
    }
}

/// A chunk's dictionary, its values mapped, and what those are mapped by that are not in it.
pub(crate) struct Dictionary<T: Element> {
    values: Pooled<T>,
    map: Option<MapValues<T>>,
}

impl<T: Element> Dictionary<T> {
    pub(crate) fn new<S: Stored<Read = T>>(
        page: &DictionaryPage,
        map: Option<MapValues<T>>,
    ) -> Result<Self, PageFault> {
        let bytes = page.count.checked_mul(S::BYTES);
        let values = bytes
            .and_then(|bytes| page.values.get(..bytes))
            .ok_or(SHORT)?;
        let mut read = dpp_pool::empty(page.count);
        read.extend(values.chunks_exact(S::BYTES).map(S::read));
        if let Some(map) = &map {
            map(&mut read);
        }
        Ok(Dictionary { values: read, map })
    }

    fn map(&self, values: &mut [T]) {
        if let Some(map) = &self.map {
            map(values);
        }
    }
}

/// How many bytes the next `count` values have, which are there.
fn plain<S: Stored>(stored: &Bytes, count: usize) -> Result<usize, PageFault> {
    let bytes = count.checked_mul(S::BYTES);
    bytes.filter(|bytes| *bytes <= stored.len()).ok_or(SHORT)
}

/// Appends what the next `count` indices stand for, `AT_ONCE` at a time.
fn look_up_next<const AT_ONCE: usize, T: Element>(
    runs: &mut Runs,
    count: usize,
    dictionary: &[T],
    out: &mut Pooled<T>,
) -> Result<(), PageFault> {
    let mut indices = [0; AT_ONCE];
    let mut missing = count;
    while missing > 0 {
        let indices = &mut indices[..missing.min(AT_ONCE)];
        runs.read(indices)?;
        out.reserve(indices.len());
        look_up(indices, dictionary, out)?;
        missing -= indices.len();
    }
    Ok(())
}

fn look_up<T: Copy + Default>(
    indices: &[u32],
    dictionary: &[T],
    out: &mut Vec<T>,
) -> Result<(), PageFault> {
    let mut beyond = None;
    out.extend(indices.iter().map(|index| {
        let value = dictionary.get(*index as usize).copied();
        // an error later is cheaper than a look before
        value.unwrap_or_else(|| {
            beyond = Some(*index);
            T::default()
        })
    }));
    match beyond {
        None => Ok(()),
        Some(index) => Err(PageFault::Dictionary {
            index,
            count: dictionary.len(),
        }),
    }
}

/// First all first bytes, then all second ones, and so on.
fn split_streams<S: Stored>(stored: &[u8]) -> Vec<S::Read> {
    let count = stored.len() / S::BYTES;
    let mut bytes = [0; 8];
    (0..count)
        .map(|index| {
            for (stream, byte) in bytes[..S::BYTES].iter_mut().enumerate() {
                *byte = stored[stream * count + index];
            }
            S::read(&bytes[..S::BYTES])
        })
        .collect()
}

const SHORT: PageFault = PageFault::Short { what: "values" };
