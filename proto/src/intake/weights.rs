//! What a message will take in memory, told from its bytes before anything is made of them.
//!
//! Two bytes of a message can become eighty of structs: a limit on its bytes alone is none. One walk over tags and lengths, by the
//! contracts' own descriptors, adds up what every part will be, and never less than that.
//!
//! Source: "Message Structure" in the encoding of Protocol Buffers; how prost lays messages out.

use std::{collections::HashMap, sync::LazyLock};

use prost::{Message as _, encoding::decode_varint};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

use crate::DESCRIPTORS;

/// The messages of our contracts, and which of them calls carry.
#[derive(Debug)]
pub(super) struct Weights {
    shapes: Vec<Shape>,
    requests: HashMap<String, Kind>,
}

/// One of the messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind(usize);

#[derive(Debug, Default)]
struct Shape {
    /// Of the struct, without what it points to.
    own_bytes: u64,
    /// By number.
    fields: Vec<Option<Field>>,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    holds: Holds,
    is_repeated: bool,
}

#[derive(Clone, Copy, Debug)]
enum Holds {
    Number,
    Bytes,
    Message(Kind),
}

/// Those of `dpp.v1` and of KEDA.
pub(super) static WEIGHTS: LazyLock<Weights> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(DESCRIPTORS);
    Weights::of(&files.expect("the descriptors were encoded by our own build"))
});

impl Weights {
    fn of(files: &FileDescriptorSet) -> Weights {
        let mut messages = Vec::new();
        for file in &files.file {
            let package = format!(".{}", file.package());
            file.message_type
                .iter()
                .for_each(|message| collect(&package, message, &mut messages));
        }
        let numbered = messages.iter().enumerate();
        let kinds = numbered.map(|(at, (name, _))| (name.clone(), Kind(at)));
        let contracts = Contracts {
            kinds: kinds.collect(),
            messages,
        };
        let shapes = (0..contracts.messages.len()).map(|at| contracts.shape(Kind(at)));
        Weights {
            shapes: shapes.collect(),
            requests: contracts.requests(files),
        }
    }

    /// What a call carries, by its path; `None`: no call of ours.
    pub(super) fn request(&self, path: &str) -> Option<Kind> {
        self.requests.get(path).copied()
    }

    /// Most bytes that the message takes once decoded, vectors with their room to grow; some number above `most` if that is more.
    /// Of bytes that are no such message, what comes before that shows.
    pub(super) fn weigh(&self, kind: Kind, bytes: &[u8], most: u64) -> u64 {
        let mut scale = Scale {
            weight: self.shapes[kind.0].own_bytes,
            most,
        };
        self.walk(kind, bytes, DEEPEST, &mut scale);
        scale.weight
    }

    /// `None` where decoding ends as well, or enough is known.
    fn walk(&self, kind: Kind, mut bytes: &[u8], levels: usize, scale: &mut Scale) -> Option<()> {
        let levels = levels.checked_sub(1)?;
        let shape = &self.shapes[kind.0];
        let mut seen = 0_u64;
        while !bytes.is_empty() {
            let tag = decode_varint(&mut bytes).ok()?;
            let number = usize::try_from(tag >> 3).ok()?;
            let field = shape.fields.get(number).copied().flatten();
            let is_first = seen & (1 << (number % 64)) == 0;
            seen |= 1 << (number % 64);
            let part = part(tag & 7, &mut bytes)?;
            let Some(field) = field else { continue };
            scale.add(self.part(field, is_first, &part))?;
            if let (Holds::Message(kind), Part::Bytes(within)) = (field.holds, part) {
                self.walk(kind, within, levels, scale)?;
            }
        }
        Some(())
    }

    fn part(&self, field: Field, is_first: bool, part: &Part<'_>) -> u64 {
        // a vector has room for four at least, and doubles
        let times = match (field.is_repeated, is_first) {
            (false, _) => 1,
            (true, true) => 4,
            (true, false) => 2,
        };
        match (field.holds, part) {
            (Holds::Number, Part::Number) if field.is_repeated => times * NUMBER,
            (Holds::Number, Part::Bytes(packed)) => {
                let numbers = packed.iter().filter(|byte| **byte < 0x80).count();
                4 * NUMBER + 2 * NUMBER * numbers.max(packed.len() / 4) as u64
            }
            (Holds::Bytes, Part::Bytes(text)) => {
                let own = if field.is_repeated { times * BYTES } else { 0 };
                own + ALLOCATED + text.len() as u64
            }
            (Holds::Message(kind), Part::Bytes(_)) => {
                times * self.shapes[kind.0].own_bytes + ALLOCATED
            }
            _ => 0,
        }
    }
}

enum Part<'a> {
    Number,
    Bytes(&'a [u8]),
    /// Begin and end of a group, of which our contracts have none: what is within is counted as if it were not.
    Group,
}

/// What follows a tag of this type, taken off `bytes`.
fn part<'a>(wire_type: u64, bytes: &mut &'a [u8]) -> Option<Part<'a>> {
    let length = match wire_type {
        0 => {
            decode_varint(bytes).ok()?;
            return Some(Part::Number);
        }
        1 => 8,
        2 => usize::try_from(decode_varint(bytes).ok()?).ok()?,
        3 | 4 => return Some(Part::Group),
        5 => 4,
        _ => return None,
    };
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(match wire_type {
        2 => Part::Bytes(part),
        _ => Part::Number,
    })
}

struct Scale {
    weight: u64,
    most: u64,
}

impl Scale {
    fn add(&mut self, bytes: u64) -> Option<()> {
        self.weight += bytes;
        (self.weight <= self.most).then_some(())
    }
}

/// Messages by name and number.
struct Contracts<'a> {
    kinds: HashMap<String, Kind>,
    messages: Vec<(String, &'a DescriptorProto)>,
}

/// A message and those within it, with their whole names.
fn collect<'a>(
    within: &str,
    message: &'a DescriptorProto,
    all: &mut Vec<(String, &'a DescriptorProto)>,
) {
    let name = format!("{within}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested, all);
    }
    all.push((name, message));
}

impl Contracts<'_> {
    fn requests(&self, files: &FileDescriptorSet) -> HashMap<String, Kind> {
        let mut requests = HashMap::new();
        for file in &files.file {
            for service in &file.service {
                for method in &service.method {
                    let (package, name) = (file.package(), service.name());
                    let path = format!("/{package}.{name}/{}", method.name());
                    requests.insert(path, self.kinds[method.input_type()]);
                }
            }
        }
        requests
    }

    fn shape(&self, kind: Kind) -> Shape {
        let mut shape = Shape {
            own_bytes: self.own_bytes(kind, &mut Vec::new()),
            fields: Vec::new(),
        };
        for field in &self.messages[kind.0].1.field {
            let number = usize::try_from(field.number()).unwrap_or_default();
            if shape.fields.len() <= number {
                shape.fields.resize(number + 1, None);
            }
            shape.fields[number] = Some(Field {
                holds: self.holds(field),
                is_repeated: is_repeated(field),
            });
        }
        shape
    }

    fn is_map_entry(&self, kind: Kind) -> bool {
        let options = self.messages[kind.0].1.options.as_ref();
        options.is_some_and(|options| options.map_entry())
    }

    fn holds(&self, field: &FieldDescriptorProto) -> Holds {
        match field.r#type() {
            Type::String | Type::Bytes => Holds::Bytes,
            Type::Message | Type::Group => Holds::Message(self.kinds[field.type_name()]),
            _ => Holds::Number,
        }
    }

    /// At least the size of the struct: one message within another lies in it, unless that is around it.
    fn own_bytes(&self, kind: Kind, around: &mut Vec<usize>) -> u64 {
        if around.contains(&kind.0) {
            return POINTER;
        }
        around.push(kind.0);
        let message = self.messages[kind.0].1;
        let mut sum = 0;
        let mut choices = vec![0; message.oneof_decl.len()];
        for field in &message.field {
            let bytes = match self.holds(field) {
                Holds::Message(kind) if is_repeated(field) && self.is_map_entry(kind) => MAP,
                _ if is_repeated(field) => POINTER,
                Holds::Number => NUMBER,
                Holds::Bytes => BYTES,
                Holds::Message(kind) => NUMBER + self.own_bytes(kind, around),
            };
            match field.oneof_index {
                Some(choice) => {
                    let most = &mut choices[usize::try_from(choice).unwrap_or_default()];
                    *most = bytes.max(*most);
                }
                None => sum += bytes,
            }
        }
        around.pop();
        sum + choices.iter().map(|most| NUMBER + most).sum::<u64>()
    }
}

fn is_repeated(field: &FieldDescriptorProto) -> bool {
    field.label() == Label::Repeated
}

/// Messages within messages, as prost takes them.
const DEEPEST: usize = 101;
const NUMBER: u64 = 8;
/// `String` or `Vec`, a box at most; of `Bytes` and a hash map.
const POINTER: u64 = 24;
const BYTES: u64 = 32;
const MAP: u64 = 48;
/// The allocator's own of a piece, and what it is rounded up by.
const ALLOCATED: u64 = 32;

#[cfg(test)]
mod tests;
