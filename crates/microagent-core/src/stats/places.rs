//! The runs of a handler that go on, each with its begin, in places that are taken and given back without a lock.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use tokio::time::Instant;

use super::{instant_at, nanos_since};

/// The number of places in a block, whose `taken` has a bit for each.
const PER_BLOCK: usize = 64;

/// The greatest number of blocks. Runs beyond them go on as others do, and only their begins are not known.
const MOST_BLOCKS: usize = 16;

/// The places of a handler. A block is allocated when all places before it are taken for the first time, so that a handler
/// takes memory by its runs and not by its limit.
#[derive(Debug)]
pub(super) struct Places([OnceLock<Box<Block>>; MOST_BLOCKS]);

#[derive(Debug)]
struct Block {
    /// One bit per place.
    taken: AtomicU64,
    began: [Began; PER_BLOCK],
}

/// The begin of the run in a place, as nanoseconds since the origin; 0 while none goes on. It has a cache line of its own, because the
/// runs of a handler are on several threads.
#[derive(Debug)]
#[repr(align(64))]
struct Began(AtomicU64);

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// `None` beyond the last block.
    slot: Option<(&'a Block, usize)>,
    origin: Instant,
}

impl Default for Places {
    fn default() -> Self {
        Self([const { OnceLock::new() }; MOST_BLOCKS])
    }
}

impl Places {
    pub(super) fn enter(&self, origin: Instant) -> Place<'_> {
        let slot = self.0.iter().find_map(|block| {
            let block = block.get_or_init(|| Box::new(Block::new()));
            block.take().map(|index| (&**block, index))
        });
        Place { slot, origin }
    }

    /// Returns the begins of the runs that go on, the oldest first.
    pub(super) fn running(&self, origin: Instant) -> Vec<Instant> {
        let blocks = self.0.iter().filter_map(OnceLock::get);
        let places = blocks.flat_map(|block| &block.began);
        let began = places.map(|began| began.0.load(Ordering::Acquire));
        let mut running: Vec<_> = began
            .filter_map(|began| instant_at(origin, began))
            .collect();
        running.sort_unstable();
        running
    }
}

impl Block {
    const fn new() -> Self {
        Self {
            taken: AtomicU64::new(0),
            began: [const { Began(AtomicU64::new(0)) }; PER_BLOCK],
        }
    }

    /// Takes a free place of this block, if there is one.
    fn take(&self) -> Option<usize> {
        let mut taken = self.taken.load(Ordering::Relaxed);
        loop {
            let free = taken.trailing_ones();
            if free == u64::BITS {
                return None;
            }
            let with = taken | (1 << free);
            match self.taken.compare_exchange_weak(
                taken,
                with,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return usize::try_from(free).ok(),
                Err(now) => taken = now,
            }
        }
    }
}

impl Place<'_> {
    /// Notes a run that begins.
    pub(crate) fn begin(&self, began: Instant) {
        self.store(nanos_since(self.origin, began));
    }

    /// Notes that the run has ended.
    pub(crate) fn end(&self) {
        self.store(0);
    }

    fn store(&self, began: u64) {
        if let Some((block, index)) = self.slot {
            block.began[index].0.store(began, Ordering::Release);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.end();
        if let Some((block, index)) = self.slot {
            block.taken.fetch_and(!(1 << index), Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_runs_that_go_on_are_known_with_their_begins() {
        let (places, origin) = (Places::default(), Instant::now());
        let at = |seconds| origin + Duration::from_secs(seconds);
        let (first, second) = (places.enter(origin), places.enter(origin));
        first.begin(at(7));
        second.begin(at(5));
        assert_eq!(places.running(origin), [at(5), at(7)]);
        second.end();
        assert_eq!(places.running(origin), [at(7)]);
        drop(first);
        assert!(places.running(origin).is_empty());
    }

    #[test]
    fn a_place_is_taken_again_and_memory_grows_by_blocks() {
        let (places, origin) = (Places::default(), Instant::now());
        for _ in 0..10 * PER_BLOCK {
            places.enter(origin).begin(origin);
        }
        let blocks = || places.0.iter().filter_map(OnceLock::get).count();
        assert_eq!(blocks(), 1, "one place was enough");
        let all: Vec<_> = (0..PER_BLOCK * MOST_BLOCKS + 1)
            .map(|_| places.enter(origin))
            .collect();
        all.iter().for_each(|place| place.begin(origin));
        assert_eq!(blocks(), MOST_BLOCKS);
        let known = PER_BLOCK * MOST_BLOCKS;
        assert_eq!(places.running(origin).len(), known);
    }

    #[test]
    fn threads_never_share_a_place() {
        let (places, origin) = (Places::default(), Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let held: Vec<_> = (0..8).map(|_| places.enter(origin)).collect();
                        held.iter().for_each(|place| place.begin(origin));
                        assert!(places.running(origin).len() >= 8);
                    }
                });
            }
        });
        assert!(places.running(origin).is_empty());
    }
}
