//! Thrift's compact protocol, as far as page headers and footers need it: read, and written.

pub(crate) const STOP: u8 = 0;
pub(crate) const TRUE: u8 = 1;
pub(crate) const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
pub(crate) const I32: u8 = 5;
pub(crate) const I64: u8 = 6;
const DOUBLE: u8 = 7;
pub(crate) const BINARY: u8 = 8;
pub(crate) const LIST: u8 = 9;
const SET: u8 = 10;
pub(crate) const STRUCT: u8 = 12;
/// Page headers nest three deep, what a footer says of a column six.
pub(crate) const MAX_DEPTH: u8 = 8;

/// Reads thrift's compact protocol from the front of a slice; `None` where it is not that.
pub(crate) struct Thrift<'a>(pub(crate) &'a [u8]);

impl<'a> Thrift<'a> {
    /// Id and type of the next field of a struct.
    pub(crate) fn field(&mut self, previous: i64) -> Option<(i64, u8)> {
        let byte = self.byte()?;
        let kind = byte & 0x0F;
        match byte >> 4 {
            _ if kind == STOP => Some((previous, STOP)),
            0 => Some((self.zigzag()?, kind)),
            delta => Some((previous.checked_add(i64::from(delta))?, kind)),
        }
    }

    pub(crate) fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            TRUE | FALSE => Some(()),
            BYTE => self.take(1),
            I16 | I32 | I64 => self.varint().map(|_| ()),
            DOUBLE => self.take(8),
            BINARY => self.binary().map(|_| ()),
            LIST | SET => self.skip_list(depth),
            STRUCT => {
                let mut field = 0;
                loop {
                    let (id, kind) = self.field(field)?;
                    if kind == STOP {
                        return Some(());
                    }
                    self.skip(kind, depth)?;
                    field = id;
                }
            }
            _ => None,
        }
    }

    /// The bytes of a value of this type.
    pub(crate) fn value(&mut self, kind: u8) -> Option<&'a [u8]> {
        let before = self.0;
        self.skip(kind, MAX_DEPTH)?;
        Some(&before[..before.len() - self.0.len()])
    }

    /// How many items follow, and of which type.
    pub(crate) fn list(&mut self) -> Option<(u64, u8)> {
        let byte = self.byte()?;
        let items = match byte >> 4 {
            15 => self.varint()?,
            items => u64::from(items),
        };
        Some((items, byte & 0x0F))
    }

    /// A string's bytes.
    pub(crate) fn binary(&mut self) -> Option<&'a [u8]> {
        let length = self.varint()?;
        let (found, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(found)
    }

    fn skip_list(&mut self, depth: u8) -> Option<()> {
        let (items, kind) = self.list()?;
        for _ in 0..items {
            match kind {
                // in a list, unlike in a field, a boolean takes a byte
                TRUE | FALSE => self.take(1)?,
                kind => self.skip(kind, depth)?,
            }
        }
        Some(())
    }

    pub(crate) fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }
}

/// Thrift's compact protocol, written.
#[derive(Default)]
pub(crate) struct Written(pub(crate) Vec<u8>);

impl Written {
    /// A field that comes `after` so many ids.
    pub(crate) fn field(&mut self, after: u8, kind: u8) {
        self.0.push((after << 4) | kind);
    }

    /// A field by its id, whatever came before; what is said of the next one by how far it comes after counts from here.
    pub(crate) fn field_of_id(&mut self, id: i64, kind: u8) {
        self.0.push(kind);
        self.zigzag(id);
    }

    pub(crate) fn structs(&mut self, count: usize) {
        self.0.push(0xF0 | STRUCT);
        self.varint(count as u64);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn zigzag(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7F {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
