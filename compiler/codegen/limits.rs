//! Sizes that generated code keeps within, and what else it may know of the machine.
//!
//! Invariant: what differs from machine to machine changes no bit of a result. The bytes of a
//! block's depth, which the order of additions follows from, are the same everywhere.
//!
//! Neighbours: `product::tiling` divides products by them; `x86::stream` has stores that go past
//! the caches.

use std::sync::OnceLock;

/// Sizes that blocks of products and stores keep within.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a block's depth: a panel of A or one of B stays in the first-level cache.
    pub depth_bytes: usize,
    /// Bytes of a block of A, packed or not: it stays in the second-level cache.
    pub left_bytes: usize,
    /// Bytes of a packed block of B.
    pub right_bytes: usize,
    /// The same for 512-bit vectors: it stays in the second-level cache, beside a block of A's.
    pub wide_right_bytes: usize,
    /// Bytes of all of B up to which products in 512-bit vectors complete rows turn by turn.
    pub whole_right_bytes: usize,
    /// Bytes of A's rows that go by all of B before the next ones do: they are read again for each
    /// block of B, from the last-level cache.
    pub rows_bytes: usize,
    /// Rows of partial sums that wait for the next block of depth.
    pub waiting_rows: usize,
    /// Elements of an operand below which packing it is not worth while.
    pub small: usize,
    /// Offsets of a spread operand up to which they are tabled once for all blocks of a product.
    pub short_table: usize,
    /// Threads that will share the work, as far as is known.
    pub threads: usize,
    /// Bytes of a product from which other kernels follow it turn by turn of its rows: by the time
    /// it is complete, the first have left the caches.
    pub far_bytes: usize,
    /// Bytes of a product that a turn makes, about: they stay in the second-level cache.
    pub turn_bytes: usize,
    /// Bytes of a result from which its stores go past the caches.
    pub streamed_bytes: usize,
    /// Whether vectors of 256 bits are faster than those of 512 where memory sets the pace.
    pub narrow_streams: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            depth_bytes: 1600,
            left_bytes: 192 << 10,
            right_bytes: 768 << 10,
            wide_right_bytes: 192 << 10,
            whole_right_bytes: 3 << 20,
            rows_bytes: 4 << 20,
            waiting_rows: 768,
            small: 16 << 10,
            short_table: 4096,
            threads: 1,
            far_bytes: 2 << 20,
            turn_bytes: 512 << 10,
            streamed_bytes: 8 << 20,
            narrow_streams: false,
        }
    }
}

/// Bytes of a second-level cache from which all of B has to stay there to be read again by every
/// turn. Beside a smaller one there is a third level that is near enough; behind one so large it is
/// shared by a whole socket, and far away.
const LARGE_SECOND_LEVEL: usize = 5 << 18;

impl Limits {
    /// Those of this machine.
    pub fn of_host() -> Limits {
        static LIMITS: OnceLock<Limits> = OnceLock::new();
        *LIMITS.get_or_init(|| {
            let mut limits = Limits::default();
            if let Some(bytes) = second_level() {
                limits.wide_right_bytes = bytes / 16 * 3;
                if bytes >= LARGE_SECOND_LEVEL {
                    limits.whole_right_bytes = limits.wide_right_bytes;
                }
            }
            limits.narrow_streams = is_amd();
            limits
        })
    }
}

/// By 10 to 30 % on Zen 4, whose paths to memory are 256 bits wide; on Intel's processors of the
/// Sapphire Rapids generation it is the other way round, by 20 %.
fn is_amd() -> bool {
    #[cfg(target_arch = "x86_64")]
    if let Some(vendor) = raw_cpuid::CpuId::new().get_vendor_info() {
        return vendor.as_str() == "AuthenticAMD";
    }
    false
}

/// The processor's name for itself, or that of its architecture.
pub fn processor() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        if let Some(brand) = raw_cpuid::CpuId::new().get_processor_brand_string() {
            return brand.as_str().trim().to_owned();
        }
        std::env::consts::ARCH.to_owned()
    })
}

/// Bytes of a core's second-level cache, where the processor tells.
#[cfg(target_arch = "x86_64")]
fn second_level() -> Option<usize> {
    use raw_cpuid::{CacheType, CpuId};
    let caches = CpuId::new().get_cache_parameters()?;
    let second = caches.filter(|c| c.level() == 2 && c.cache_type() == CacheType::Unified);
    let bytes = second.map(|c| {
        c.sets() * c.associativity() * c.physical_line_partitions() * c.coherency_line_size()
    });
    bytes.max()
}

/// Bytes of a core's second-level cache, where the processor tells.
#[cfg(not(target_arch = "x86_64"))]
fn second_level() -> Option<usize> {
    None
}
