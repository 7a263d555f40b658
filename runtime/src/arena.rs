//! Memory for tensors and compiled code: an aligned region, and, for tests, a buffer between
//! pages that nobody may touch.
//!
//! An [`Arena`] is zero when it is made, at no cost for parts that are never touched: large ones
//! are mapped from the system, which gives zero pages on first use (huge ones if it can).

#![allow(unsafe_code, reason = "raw memory from the system; each block argues its safety")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;

/// How an [`Arena`] is aligned: a cache line, and the widest vector there is.
pub const ALIGN: usize = 64;
/// The size of a huge page on x86-64; an arena at least as large is mapped, and aligned to it.
const HUGE: usize = 2 << 20;

/// A region of memory, zeroed when made and aligned to [`ALIGN`] bytes: a tensor's elements, or the
/// temporaries of compiled code.
pub struct Arena {
    start: NonNull<u8>,
    len: usize,
    backing: Backing,
}

enum Backing {
    /// No bytes need no memory.
    Nothing,
    Heap(Layout),
    #[cfg(unix)]
    Mapped(#[allow(dead_code, reason = "held for what dropping it does")] Mapping),
}

// SAFETY: the region belongs to the arena alone; sharing `&Arena` gives no way to write it but
// through raw pointers, whose users answer for their accesses.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// A region of `bytes` bytes. Ends the process as a failed allocation does where there is no
    /// such memory.
    pub fn new(bytes: usize) -> Arena {
        Arena::try_new(bytes).unwrap_or_else(|| handle_alloc_error(heap_layout(bytes)))
    }

    /// As [`Arena::new`], or `None` where there is no such memory.
    pub fn try_new(bytes: usize) -> Option<Arena> {
        if bytes == 0 {
            let start = NonNull::<Line>::dangling().cast();
            return Some(Arena { start, len: 0, backing: Backing::Nothing });
        }
        #[cfg(unix)]
        if bytes >= HUGE {
            return Arena::mapped(bytes);
        }
        let layout = heap_layout(bytes);
        // SAFETY: the layout is not of size zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Arena { start, len: bytes, backing: Backing::Heap(layout) })
    }

    #[cfg(unix)]
    fn mapped(bytes: usize) -> Option<Arena> {
        // One huge page more than needed, so that the start can be moved to a border of them.
        let mapping = Mapping::new(bytes.checked_add(HUGE)?, ACCESSIBLE)?;
        let skipped = mapping.base.as_ptr().align_offset(HUGE);
        // SAFETY: `skipped < HUGE`, so this stays inside the mapping with `bytes` bytes to go.
        let start = unsafe { mapping.base.add(skipped) };
        #[cfg(target_os = "linux")]
        // SAFETY: the range lies in our own mapping. The advice may be refused; that costs speed.
        unsafe {
            libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE);
        }
        Some(Arena { start, len: bytes, backing: Backing::Mapped(mapping) })
    }

    /// The first byte.
    pub fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }
    /// The first byte, for writing.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` bytes from `start` are ours and initialised.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
    /// The bytes, for writing.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        match &self.backing {
            // SAFETY: `start` came from `alloc_zeroed` with this layout.
            Backing::Heap(layout) => unsafe { dealloc(self.start.as_ptr(), *layout) },
            Backing::Nothing => {}
            #[cfg(unix)]
            Backing::Mapped(_) => {}
        }
    }
}

impl Clone for Arena {
    fn clone(&self) -> Arena {
        let mut copy = Arena::new(self.len);
        copy.as_mut_slice().copy_from_slice(self.as_slice());
        copy
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arena({} bytes)", self.len)
    }
}

/// What an empty arena's pointer is aligned like.
#[repr(align(64))]
struct Line;

/// The layout of `bytes` bytes; panics where no address space has that many.
fn heap_layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, ALIGN).expect("an arena fits the address space")
}

#[cfg(unix)]
const ACCESSIBLE: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;

/// Anonymous private pages, given back when dropped.
#[cfg(unix)]
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

#[cfg(unix)]
impl Mapping {
    fn new(len: usize, protection: libc::c_int) -> Option<Mapping> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the system's choice touches nothing of ours.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        (base != libc::MAP_FAILED).then_some(())?;
        Some(Mapping { base: NonNull::new(base.cast())?, len })
    }
}

#[cfg(unix)]
impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the pages are ours, and whoever holds the mapping hands out no longer borrows.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// A buffer between two pages that nobody may touch, to catch compiled code out of bounds.
///
/// The buffer of [`GuardedBuffer::new`] ends at the upper page, exactly where its length is a
/// multiple of its alignment: an access behind it traps. Down to the lower page, and up to the
/// upper one where the alignment left a gap, lie bytes of a known pattern;
/// [`GuardedBuffer::is_intact`] tells whether they were written.
///
/// The buffer of [`GuardedBuffer::at_lower_guard`] begins exactly at the lower page instead: an
/// access before it traps.
#[cfg(unix)]
pub struct GuardedBuffer {
    mapping: Mapping,
    /// Where the buffer begins in the mapping, and its length.
    offset: usize,
    len: usize,
    page: usize,
}

#[cfg(unix)]
// SAFETY: as for `Arena`: the pages belong to the buffer alone.
unsafe impl Send for GuardedBuffer {}
#[cfg(unix)]
// SAFETY: as above.
unsafe impl Sync for GuardedBuffer {}

#[cfg(unix)]
impl GuardedBuffer {
    const MARGIN: u8 = 0xA5;

    /// `len` zero bytes whose first is aligned to `align` (a power of two, at most a page) and
    /// whose last is as close before the upper guard as that permits.
    pub fn new(len: usize, align: usize) -> GuardedBuffer {
        GuardedBuffer::place(len, align, |room| (room - len) / align * align)
    }

    /// `len` zero bytes that begin where the lower guard ends.
    pub fn at_lower_guard(len: usize) -> GuardedBuffer {
        GuardedBuffer::place(len, 1, |_| 0)
    }

    fn place(len: usize, align: usize, within: impl Fn(usize) -> usize) -> GuardedBuffer {
        // SAFETY: asks for a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page = usize::try_from(page).expect("the system has pages");
        assert!(align.is_power_of_two() && align <= page, "an alignment of {align}");
        let room = len.max(1).next_multiple_of(page);
        let mapping = Mapping::new(room + 2 * page, libc::PROT_NONE);
        let mapping = mapping.expect("the system gives pages for a guarded buffer");
        // SAFETY: the pages between the first and the last are ours and nobody refers to them.
        unsafe {
            let middle = mapping.base.add(page).as_ptr();
            let failed = libc::mprotect(middle.cast(), room, ACCESSIBLE);
            assert_eq!(failed, 0, "the system lets us open our own pages");
            middle.write_bytes(GuardedBuffer::MARGIN, room);
        }
        let mut buffer = GuardedBuffer { mapping, offset: page + within(room), len, page };
        buffer.as_mut_slice().fill(0);
        buffer
    }

    /// The first byte.
    pub fn as_ptr(&self) -> *const u8 {
        // SAFETY: `offset` lies in the mapping.
        unsafe { self.mapping.base.add(self.offset).as_ptr() }
    }
    /// The first byte, for writing.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.as_ptr().cast_mut()
    }
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the buffer lies in the accessible pages, all of which `place` has written.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len) }
    }
    /// The bytes, for writing.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len) }
    }

    /// Whether the accessible bytes before and behind the buffer are still as they were made.
    pub fn is_intact(&self) -> bool {
        let (page, room) = (self.page, self.mapping.len - 2 * self.page);
        // SAFETY: `page` lies in the mapping.
        let first = unsafe { self.mapping.base.add(page).as_ptr() };
        // SAFETY: the accessible pages, all of which `place` has written.
        let pages = unsafe { std::slice::from_raw_parts(first, room) };
        let (before, rest) = pages.split_at(self.offset - page);
        before.iter().chain(&rest[self.len..]).all(|&byte| byte == GuardedBuffer::MARGIN)
    }
}

#[cfg(unix)]
impl fmt::Debug for GuardedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardedBuffer({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arenas_are_aligned_zero_and_writable_at_any_size() {
        for bytes in [0, 1, 63, 64, 4096, HUGE - 1, HUGE, HUGE + 1, 5 * HUGE + 12345] {
            let mut arena = Arena::new(bytes);
            assert_eq!((arena.len(), arena.is_empty()), (bytes, bytes == 0));
            assert!(arena.as_ptr().addr().is_multiple_of(ALIGN), "{bytes}");
            assert!(bytes < HUGE || arena.as_ptr().addr().is_multiple_of(HUGE), "{bytes}");
            assert!(arena.as_slice().iter().all(|&b| b == 0), "{bytes}");
            arena.as_mut_slice().fill(7);
            assert!(arena.as_slice().iter().all(|&b| b == 7), "{bytes}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_arena_takes_memory_only_where_it_is_touched() {
        let mut arena = Arena::new(256 * HUGE);
        let last = arena.len() - 1;
        arena.as_mut_slice()[last] = 1;
        let mut resident = vec![0u8; arena.len() / 4096];
        let (start, bytes) = (arena.as_mut_ptr().cast(), arena.len());
        // SAFETY: one byte for each page (of at least 4096 bytes) of a range of ours.
        let failed = unsafe { libc::mincore(start, bytes, resident.as_mut_ptr()) };
        assert_eq!(failed, 0);
        let touched = resident.iter().filter(|&&page| page & 1 != 0).count();
        assert!((1..=2 * HUGE / 4096).contains(&touched), "{touched} pages");
    }

    /// Whether the system can read the byte at `address`: it answers with an error where a
    /// program would be ended.
    #[cfg(unix)]
    fn readable(address: *const u8) -> bool {
        use std::os::fd::AsRawFd;
        let (_reader, writer) = std::io::pipe().unwrap();
        // SAFETY: the kernel checks the address.
        unsafe { libc::write(writer.as_raw_fd(), address.cast(), 1) == 1 }
    }

    #[cfg(unix)]
    #[test]
    fn guarded_buffers_end_and_begin_at_their_guards() {
        for (len, align) in [(1, 1), (4, 4), (12, 4), (4096, 32), (4100, 4), (100_000, 8)] {
            let mut buffer = GuardedBuffer::new(len, align);
            assert!(buffer.as_ptr().addr().is_multiple_of(align));
            let end = buffer.as_ptr().wrapping_add(len);
            assert!(readable(end.wrapping_sub(1)) && !readable(end), "{len}");
            assert!(buffer.as_slice().iter().all(|&b| b == 0));
            buffer.as_mut_slice().fill(1);
            assert!(buffer.is_intact());

            let buffer = GuardedBuffer::at_lower_guard(len);
            let start = buffer.as_ptr();
            assert!(readable(start) && !readable(start.wrapping_sub(1)), "{len}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn writes_into_the_margins_are_noticed() {
        // 10 bytes aligned to 8 leave a gap of 6 before the guard.
        for outside in [-1isize, 10, 15] {
            let mut buffer = GuardedBuffer::new(10, 8);
            assert!(buffer.is_intact());
            // SAFETY: the margins are accessible bytes of the buffer's own pages.
            unsafe { buffer.as_mut_ptr().offset(outside).write(0) };
            assert!(!buffer.is_intact(), "{outside}");
        }
    }
}
