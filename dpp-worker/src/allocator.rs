//! Where memory is short, what was freed goes back to the system: a worker is measured by what it holds, not by what it uses.

/// Large buffers are mapped one by one from now on, and unmapped when freed. glibc otherwise learns from the first that is freed to
/// keep their like in its heaps, where pages between two long-lived values stay for good: half as much again was held.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the allocator's own settings are C")]
pub(crate) fn give_back_what_is_freed() {
    // SAFETY: it only sets a number, under the allocator's own lock; a refusal changes nothing.
    let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES) };
    if set == 0 {
        tracing::warn!("the allocator keeps what is freed: more than --memory may be held");
    }
}

/// Other allocators give back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_back_what_is_freed() {}

/// Below it are the arrays of a base batch, which are made and freed all the time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: libc::c_int = 256 << 10;
