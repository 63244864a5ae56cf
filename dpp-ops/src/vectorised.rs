//! Kernels compiled for every width of vector, and the widest that the processor has chosen when they run.
//!
//! Only speed differs: kernels are loops over integers and IEEE 754's own operations, which the compiler never reorders
//! or contracts, so every width gives the same bits. What is called within a loop is `#[inline(always)]` where it is not
//! tiny: only what is inlined is compiled for the width.

/// A function of one value.
pub(crate) trait MapValue<T> {
    /// Its value at x.
    fn map(&self, x: T) -> T;
}

/// Tiny functions, which the compiler inlines by itself.
impl<T, F: Fn(T) -> T> MapValue<T> for F {
    #[inline(always)]
    fn map(&self, x: T) -> T {
        self(x)
    }
}

/// Every value mapped.
pub(crate) fn map_in_place<T: Copy>(values: &mut [T], map: &impl MapValue<T>) {
    vectorised(Mapping { values, map });
}

/// A loop to be compiled for every width.
pub(crate) trait Kernel {
    /// What it gives.
    type Output;

    /// Runs it; `#[inline(always)]`.
    fn run(self) -> Self::Output;
}

/// Runs `kernel` in the widest instructions that every build knows and this processor has.
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "wider instructions exist on some processors only"
)]
pub(crate) fn vectorised<K: Kernel>(kernel: K) -> K::Output {
    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
    fn avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run()
    }
    #[target_feature(enable = "avx2")]
    fn avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run()
    }
    if has_avx512() {
        // SAFETY: the processor has just been asked for every feature that the function enables.
        unsafe { avx512(kernel) }
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        unsafe { avx2(kernel) }
    } else {
        kernel.run()
    }
}

/// Of other processors the instructions of the build are used: on 64-bit ARM those have vectors.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn vectorised<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

struct Mapping<'a, T, M> {
    values: &'a mut [T],
    map: &'a M,
}

impl<T: Copy, M: MapValue<T>> Kernel for Mapping<'_, T, M> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for x in self.values {
            *x = self.map.map(*x);
        }
    }
}
