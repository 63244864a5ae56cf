//! A file of memory, mapped. Its other end may write at any time, so its bytes are only ever copied, in or out.

use std::{fs::File, io};

use memmap2::MmapRaw;
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals,
    memfd_create,
};

/// The whole of a file whose length is sealed: what is mapped stays there.
#[derive(Debug)]
pub(super) struct Mapping(MmapRaw);

/// Memory of so many bytes, which take none before they are written, as a file without a name.
pub(super) fn file(bytes: u64) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("dpp-frames", flags)?);
    file.set_len(bytes)?;
    let sealed = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&file, sealed)?;
    Ok(file)
}

/// Gives the memory of a file back, whoever has it open or mapped.
pub(super) fn empty(file: &File, bytes: u64) {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    // What is not given back now is when the last who has it ends.
    _ = fallocate(file, flags, 0, bytes);
}

impl Mapping {
    /// Maps it to be read and written.
    ///
    /// # Errors
    /// Its length is not sealed, or the system refuses.
    pub(super) fn of(file: &File) -> io::Result<Mapping> {
        if !fcntl_get_seals(file)?.contains(SealFlags::SHRINK) {
            return Err(io::Error::other("the file could become shorter"));
        }
        MmapRaw::map_raw(file).map(Mapping)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes `bytes` at `at`.
    ///
    /// # Panics
    /// The mapping ends before.
    #[expect(
        unsafe_code,
        reason = "a slice would promise that nobody else writes there"
    )]
    pub(super) fn write(&self, at: usize, bytes: &[u8]) {
        self.assert_has(at, bytes.len());
        // SAFETY: the mapping has all these bytes, and no slice is ever made of it that they could overlap.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.as_mut_ptr().add(at), bytes.len())
        }
    }

    /// Copies `count` bytes at `at` behind what `into` has.
    ///
    /// # Panics
    /// The mapping ends before.
    #[expect(
        unsafe_code,
        reason = "a slice would promise that nobody else writes there"
    )]
    pub(super) fn append_to(&self, into: &mut Vec<u8>, at: usize, count: usize) {
        self.assert_has(at, count);
        into.reserve(count);
        let filled = into.len();
        // SAFETY: the mapping has all these bytes and the vector room for them, which are then filled, with whatever is there.
        unsafe {
            let end = into.as_mut_ptr().add(filled);
            std::ptr::copy_nonoverlapping(self.0.as_ptr().add(at), end, count);
            into.set_len(filled + count);
        }
    }

    fn assert_has(&self, at: usize, count: usize) {
        let end = at.checked_add(count);
        assert!(
            end.is_some_and(|end| end <= self.len()),
            "{at} + {count} of {} bytes",
            self.len()
        );
    }
}
