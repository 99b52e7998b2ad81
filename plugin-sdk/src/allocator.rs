//! The allocator of plugins: small blocks from lists by their size, all else from the standard one.
//!
//! Whoever is asked about an event allocates a dozen short strings and frees them. A block of a list costs a few instructions, and
//! blocks of one call lie close together: where a call's memory is put back afterwards, little has to be.

#![allow(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::{NonNull, null_mut};

/// Sizes of small blocks are multiples of this, which is also their alignment.
const STEP: usize = 16;
/// How many sizes there are.
const SIZES: usize = 32;
/// The largest small block.
const LARGEST: usize = STEP * SIZES;
/// How much is taken from the standard allocator at once: a page of most systems.
const CHUNK: usize = 4096;

/// Where small blocks lie that are free.
type Free = [Option<NonNull<Block>>; SIZES];

/// A free block: it holds the place of the next one of its size.
struct Block {
    next: Option<NonNull<Block>>,
}

/// The allocator. A plugin has one thread, and so has this.
pub struct Allocator(UnsafeCell<Lists>);

struct Lists {
    free: Free,
    /// Those that were free when the plugin was configured: used when there are no others.
    old: Free,
    /// What is left of the last chunk.
    at: *mut u8,
    left: usize,
}

// SAFETY: the one static is made below, where there is one thread; nobody else shares one.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// With nothing to give yet.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(Lists { free: [None; SIZES], old: [None; SIZES], at: null_mut(), left: 0 }))
    }

    /// Begins a new page: what is allocated from now on lies together, apart from what was before.
    pub fn settle(&self) {
        // SAFETY: there is one thread, and no other reference lives: each ends with the function that makes it.
        unsafe { &mut *self.0.get() }.settle();
    }
}

impl Lists {
    fn take(&mut self, class: usize) -> *mut u8 {
        if let Some(block) = self.free[class] {
            // SAFETY: the block is free, so it holds what `put` wrote.
            self.free[class] = unsafe { block.as_ref() }.next;
            return block.as_ptr().cast();
        }
        let size = (class + 1) * STEP;
        if self.left >= size { self.cut(size) } else { self.take_slowly(class) }
    }

    /// From the chunk, which has enough left.
    fn cut(&mut self, size: usize) -> *mut u8 {
        let block = self.at;
        // SAFETY: so much is left after `at`.
        self.at = unsafe { block.add(size) };
        self.left -= size;
        block
    }

    #[cold]
    fn take_slowly(&mut self, class: usize) -> *mut u8 {
        if let Some(block) = self.old[class] {
            // SAFETY: the block is free, so it holds what `put` wrote.
            self.old[class] = unsafe { block.as_ref() }.next;
            return block.as_ptr().cast();
        }
        if !self.new_chunk() {
            return null_mut();
        }
        self.cut((class + 1) * STEP)
    }

    /// What is left of the chunk before is a free block: less than the largest, and a multiple of the step.
    fn new_chunk(&mut self) -> bool {
        if self.left > 0 {
            self.put(self.at, self.left / STEP - 1);
            self.left = 0;
        }
        let layout = Layout::from_size_align(CHUNK, CHUNK).expect("a page is aligned to itself");
        // SAFETY: the layout has a size.
        self.at = unsafe { System.alloc(layout) };
        self.left = if self.at.is_null() { 0 } else { CHUNK };
        self.left > 0
    }

    fn put(&mut self, block: *mut u8, class: usize) {
        let Some(block) = NonNull::new(block.cast::<Block>()) else { return };
        // SAFETY: the block is ours, large enough and aligned for a pointer, and nobody uses it any more.
        unsafe { block.write(Block { next: self.free[class] }) };
        self.free[class] = Some(block);
    }

    fn settle(&mut self) {
        while self.left > LARGEST {
            let block = self.cut(LARGEST);
            self.put(block, SIZES - 1);
        }
        self.new_chunk();
        for (class, free) in self.free.iter_mut().enumerate() {
            if let Some(first) = free.take() {
                let mut last = first;
                // SAFETY: these blocks are free, so each holds what `put` wrote.
                while let Some(next) = unsafe { last.as_ref() }.next {
                    last = next;
                }
                // SAFETY: as above.
                unsafe { last.as_mut() }.next = self.old[class];
                self.old[class] = Some(first);
            }
        }
    }
}

/// The list of blocks that such a layout takes; none for what is large.
fn class(layout: Layout) -> Option<usize> {
    let small = layout.size() <= LARGEST && layout.align() <= STEP;
    small.then(|| layout.size().saturating_sub(1) / STEP)
}

// SAFETY: a block is given to one owner at a time: it leaves its list when it is given and comes back when it is freed. It is
// as large as its list says and aligned to `STEP`, as chunks are and all sizes within them.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(layout) {
            // SAFETY: there is one thread, and no other reference lives: each ends with the function that makes it.
            Some(class) => unsafe { &mut *self.0.get() }.take(class),
            // SAFETY: the caller's promises are the standard allocator's.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class(layout) {
            // SAFETY: as in `alloc`.
            Some(class) => unsafe { &mut *self.0.get() }.put(block, class),
            // SAFETY: as in `alloc`: what is large comes from there.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size makes a layout with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(wanted)) {
            // SAFETY: as in `alloc`: what is large comes from there.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (old, new) if old == new => block,
            // SAFETY: the new block is another one, both are as large as what is copied, and the old one is the caller's to
            // give back.
            _ => unsafe {
                let new = self.alloc(wanted);
                if !new.is_null() {
                    new.copy_from_nonoverlapping(block, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                new
            },
        }
    }
}

/// What the plugin allocates with.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new();

/// The plugin is configured: what it allocates from now on lies together.
#[cfg(target_arch = "wasm32")]
pub fn settle() {
    ALLOCATOR.settle();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 1).unwrap()
    }

    /// Allocates, and fills all of the block.
    fn filled(allocator: &Allocator, size: usize, with: u8) -> *mut u8 {
        // SAFETY: the layout has a size, and the block is as large.
        unsafe {
            let block = allocator.alloc(layout(size));
            block.write_bytes(with, size);
            block
        }
    }

    fn holds(block: *mut u8, size: usize, with: u8) -> bool {
        // SAFETY: the block was filled by `filled` and is not freed.
        unsafe { std::slice::from_raw_parts(block, size) }.iter().all(|byte| *byte == with)
    }

    #[test]
    fn blocks_of_all_sizes_do_not_overlap_and_keep_what_they_hold() {
        let allocator = Allocator::new();
        let sizes = || (1..700).chain([1, 16, 17, 511, 512, 513, 5000]);
        let blocks: Vec<_> = sizes().map(|size| (filled(&allocator, size, size as u8), size)).collect();
        for (block, size) in &blocks {
            assert!(holds(*block, *size, *size as u8), "a block of {size} bytes");
        }
        for (block, size) in blocks {
            // SAFETY: allocated above with this layout.
            unsafe { allocator.dealloc(block, layout(size)) };
        }
    }

    #[test]
    fn a_block_that_was_freed_is_given_to_the_next_who_asks_for_its_size() {
        let allocator = Allocator::new();
        let first = filled(&allocator, 20, 1);
        // SAFETY: allocated above with this layout.
        unsafe { allocator.dealloc(first, layout(20)) };
        assert_eq!(filled(&allocator, 32, 2), first);
        assert_ne!(filled(&allocator, 32, 3), first);
        assert!(holds(first, 32, 2));
    }

    #[test]
    fn a_block_that_grows_or_shrinks_keeps_its_beginning() {
        let allocator = Allocator::new();
        let mut block = filled(&allocator, 10, 7);
        let mut size = 10;
        for next in [12, 40, 512, 513, 4000, 5000, 100, 10] {
            // SAFETY: the block was allocated with this layout.
            block = unsafe { allocator.realloc(block, layout(size), next) };
            assert!(holds(block, 10, 7), "from {size} to {next} bytes");
            size = next;
        }
    }

    #[test]
    fn what_comes_after_settling_lies_together_and_what_was_free_before_is_used_when_the_page_is_full() {
        let allocator = Allocator::new();
        let before: Vec<_> = (0..10).map(|_| filled(&allocator, 512, 1)).collect();
        for block in &before[1..] {
            // SAFETY: allocated above with this layout.
            unsafe { allocator.dealloc(*block, layout(512)) };
        }
        allocator.settle();
        let page = |block: *mut u8| block.addr() / CHUNK;
        let after: Vec<_> = (0..CHUNK / 512).map(|_| filled(&allocator, 512, 2)).collect();
        assert!(after.iter().all(|block| page(*block) == page(after[0]) && !before.contains(block)));
        // Two pages have room for sixteen, of which one is still used.
        let more: Vec<_> = (0..15).map(|_| filled(&allocator, 512, 3)).collect();
        assert!(before[1..].iter().all(|block| more.contains(block)));
        assert!(holds(before[0], 512, 1));
    }
}
