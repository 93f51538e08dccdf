//! The heap of a component: made for calls that last microseconds in an instance that ends soon.
//!
//! A block is taken from the list of its size, or off the end of what has been used. What is given back goes to its list,
//! and is used again for its size only: sizes are few, so that costs at most half of what is in use. The block at the end
//! grows where it stands, as the text of a bill does. No block is split or merged, and nothing is searched for; the usual
//! allocator takes a tenth of a mapping's time.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

/// Everything is aligned so, and has a multiple of it.
const GRAIN: usize = 16;
/// Above it, sizes are powers of two.
const SMALL_BYTES: usize = 1 << 10;
const SMALL_CLASSES: usize = SMALL_BYTES / GRAIN;
/// One for each power of two that a 32-bit memory can hold.
const CLASSES: usize = SMALL_CLASSES + 32;

/// See the module.
pub struct Heap {
    state: UnsafeCell<State>,
}

// SAFETY: a component has one thread; the contract's world has no shared memory.
unsafe impl Sync for Heap {}

struct State {
    /// The last block given back, by class; each holds the address of the one before it.
    free: [*mut u8; CLASSES],
    /// Where unused memory begins and ends. Nought before the first use.
    top: usize,
    end: usize,
}

impl Heap {
    #[expect(clippy::new_without_default, reason = "there is one, and it is a constant")]
    pub const fn new() -> Self {
        Self { state: UnsafeCell::new(State { free: [null_mut(); CLASSES], top: 0, end: 0 }) }
    }
}

/// What a block of at least so many bytes has, and its list.
#[inline(always)]
fn class(size: usize) -> (usize, usize) {
    if size <= SMALL_BYTES {
        let grains = size.div_ceil(GRAIN).max(1);
        (grains * GRAIN, grains - 1)
    } else {
        let whole = size.next_power_of_two();
        (whole, SMALL_CLASSES + whole.trailing_zeros() as usize)
    }
}

impl State {
    /// Off the end of what has been used, or null where the memory grows no further.
    #[inline(always)]
    fn extend(&mut self, bytes: usize, align: usize) -> *mut u8 {
        let start = self.top.next_multiple_of(align);
        let Some(top) = start.checked_add(bytes) else { return null_mut() };
        if top > self.end {
            return self.grow(bytes, align);
        }
        self.top = top;
        start as *mut u8
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, bytes: usize, align: usize) -> *mut u8 {
        use std::arch::wasm32::{memory_grow, memory_size};
        const PAGE_BYTES: usize = 64 << 10;
        unsafe extern "C" {
            static __heap_base: u8;
            static __heap_end: u8;
        }
        if self.end == 0 {
            // What the linker left for a heap.
            self.top = (&raw const __heap_base as usize).next_multiple_of(GRAIN);
            self.end = &raw const __heap_end as usize;
            return self.extend(bytes, align);
        }
        let Some(wanted) = bytes.checked_add(align) else { return null_mut() };
        let pages = wanted.div_ceil(PAGE_BYTES);
        let before = memory_grow::<0>(pages);
        if before == usize::MAX {
            return null_mut();
        }
        if before * PAGE_BYTES != self.end {
            // Somebody else has grown it too.
            self.top = before * PAGE_BYTES;
        }
        self.end = memory_size::<0>() * PAGE_BYTES;
        self.extend(bytes, align)
    }
}

// SAFETY: a block comes off the end or from a list, and is in no list while it is in use; its size is at least what was asked
// for; lists hold blocks of `GRAIN` or more, which have room for an address. Larger alignments come off the end only.
unsafe impl GlobalAlloc for Heap {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > isize::MAX as usize / 2 {
            return null_mut();
        }
        let (bytes, class) = class(layout.size());
        // SAFETY: one thread, and nothing below calls back.
        let state = unsafe { &mut *self.state.get() };
        let last = state.free[class];
        if last.is_null() || layout.align() > GRAIN {
            return state.extend(bytes, layout.align().max(GRAIN));
        }
        // SAFETY: a block in a list begins with the address of the one before it.
        state.free[class] = unsafe { last.cast::<*mut u8>().read() };
        last
    }

    #[inline(always)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (_, class) = class(layout.size());
        // SAFETY: as in `alloc`.
        let state = unsafe { &mut *self.state.get() };
        // SAFETY: nobody uses the block any more, and it has room for an address.
        unsafe { block.cast::<*mut u8>().write(state.free[class]) };
        state.free[class] = block;
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (had, _) = class(layout.size());
        if size > isize::MAX as usize / 2 {
            return null_mut();
        }
        let (wanted, _) = class(size);
        if wanted == had {
            return block;
        }
        // SAFETY: as in `alloc`.
        let state = unsafe { &mut *self.state.get() };
        if wanted > had && block as usize + had == state.top && block as usize + wanted <= state.end {
            state.top = block as usize + wanted;
            return block;
        }
        // SAFETY: both are blocks of this heap, apart, and as long as what is copied.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}
