//! Argon2's memory and how it is filled: pass by pass, slice by slice, the lanes of a slice side by side
//! (RFC 9106, sections 3.2 and 3.4).

use std::sync::Mutex;
use std::thread;

use zeroize::Zeroize;

use super::block::Block;
use super::{Params, TYPE};
use crate::Error;

/// Vertical slices of the memory; lanes meet at their ends.
const SLICES: usize = 4;
/// Pseudo-random values that one address block holds.
const ADDRESSES: usize = 128;

/// Threads at most, however many lanes there are.
const MAX_THREADS: usize = 16;

/// The memory, wiped when dropped.
///
/// Kept slice by slice, and in a slice lane by lane: while a slice is filled, each lane writes its own segment and
/// reads the three other slices, which nobody writes. The first pass appends to the segments.
///
/// ```text
/// slices[slice][lane]:  segment of memory / (4 · lanes) blocks
/// ```
pub(super) struct Memory {
    slices: [Vec<Segment>; SLICES],
    shape: Shape,
}

type Segment = Vec<Block>;

#[derive(Clone, Copy)]
struct Shape {
    passes: u32,
    lanes: u32,
    segment_len: usize,
}

impl Shape {
    fn lane_len(&self) -> usize {
        SLICES * self.segment_len
    }

    fn blocks(&self) -> usize {
        self.lanes as usize * self.lane_len()
    }
}

/// Which segment is being filled.
#[derive(Clone, Copy)]
struct Position {
    pass: u32,
    lane: u32,
    slice: usize,
}

impl Memory {
    /// Reserves the memory.
    pub(super) fn new(params: &Params<'_>) -> Result<Self, Error> {
        let shape = Shape {
            passes: params.time_cost,
            lanes: params.lanes,
            segment_len: (params.memory_kib / params.lanes) as usize / SLICES,
        };
        let mut slices = [const { Vec::new() }; SLICES];
        for slice in &mut slices {
            *slice = reserved(shape.lanes as usize)?;
            for _ in 0..shape.lanes {
                slice.push(reserved(shape.segment_len)?);
            }
        }
        Ok(Self { slices, shape })
    }

    /// Fills the memory; `first_block(lane, index)` gives the first two blocks of each lane.
    ///
    /// # Errors
    /// Those of `first_block`.
    pub(super) fn fill(
        &mut self,
        first_block: impl Fn(u32, u32) -> Result<Block, Error>,
    ) -> Result<(), Error> {
        for (lane, segment) in (0..).zip(&mut self.slices[0]) {
            for index in 0..2 {
                segment.push(first_block(lane, index)?);
            }
        }
        for pass in 0..self.shape.passes {
            for slice in 0..SLICES {
                self.fill_slice(pass, slice);
            }
        }
        Ok(())
    }

    /// The sum of the lanes' last blocks.
    pub(super) fn last_blocks_sum(&self) -> Block {
        let mut sum = Block::ZERO;
        for block in self.slices[SLICES - 1].iter().filter_map(|segment| segment.last()) {
            sum.xor_in(block);
        }
        sum
    }

    /// Fills one slice in all lanes. Threads take lanes from a queue, so that it works with any number of them, and
    /// where none can be spawned the caller's own does everything.
    fn fill_slice(&mut self, pass: u32, slice: usize) {
        // The slice being filled is taken out, so that it can be written while the others are read.
        let mut current = core::mem::take(&mut self.slices[slice]);
        let (others, shape) = (&self.slices, self.shape);
        let threads = current.len().min(MAX_THREADS);
        let queue = Mutex::new((0..).zip(&mut current));
        let next = || queue.lock().ok()?.next();
        let work = || {
            while let Some((lane, segment)) = next() {
                fill_segment(segment, others, shape, Position { pass, lane, slice });
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        self.slices[slice] = current;
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for segment in self.slices.iter_mut().flatten() {
            segment.as_mut_slice().iter_mut().for_each(Zeroize::zeroize);
        }
    }
}

/// An empty vector with room.
fn reserved<T>(len: usize) -> Result<Vec<T>, Error> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(len).map_err(|_| Error::OutOfMemory)?;
    Ok(vector)
}

/// Fills one lane's part of a slice.
fn fill_segment(segment: &mut Segment, slices: &[Vec<Segment>; SLICES], shape: Shape, position: Position) {
    let Position { pass, lane, slice } = position;
    let own = lane as usize;
    // The first two blocks of a lane are there already.
    let start = if pass == 0 && slice == 0 { 2 } else { 0 };
    let mut addresses = Block::ZERO;
    for index in start..shape.segment_len {
        if index == start || index % ADDRESSES == 0 {
            addresses = address_block(shape, position, index);
        }
        let reference = shape.reference(position, index, addresses.0[index % ADDRESSES]);
        let previous = match index.checked_sub(1) {
            Some(before) => &segment[before],
            None => &slices[(slice + SLICES - 1) % SLICES][own][shape.segment_len - 1],
        };
        let reference = if reference.slice == slice {
            &segment[reference.index]
        } else {
            &slices[reference.slice][reference.lane][reference.index]
        };
        let block = Block::compress(previous, reference);
        if pass == 0 {
            segment.push(block);
        } else {
            segment[index].xor_in(&block);
        }
    }
}

/// The 128 pseudo-random values for the blocks from `index` on, which depend on the position alone (section 3.4.1.2).
fn address_block(shape: Shape, position: Position, index: usize) -> Block {
    let mut input = Block::ZERO;
    let words = [
        u64::from(position.pass),
        u64::from(position.lane),
        position.slice as u64,
        shape.blocks() as u64,
        u64::from(shape.passes),
        u64::from(TYPE),
        (index / ADDRESSES) as u64 + 1,
    ];
    input.0[..words.len()].copy_from_slice(&words);
    Block::compress(&Block::ZERO, &Block::compress(&Block::ZERO, &input))
}

/// Where a block is.
struct Reference {
    lane: usize,
    slice: usize,
    index: usize,
}

impl Shape {
    /// The block that a pseudo-random value points at (section 3.4.2): one that is finished, and in another lane not
    /// of the slice being filled.
    fn reference(&self, position: Position, index: usize, value: u64) -> Reference {
        let Position { pass, lane, slice } = position;
        let (low, high) = (value & 0xffff_ffff, value >> 32);
        let first_slice = pass == 0 && slice == 0;
        let own = lane as usize;
        let lane = if first_slice { own } else { (high % u64::from(self.lanes)) as usize };
        let finished = if pass == 0 { slice } else { SLICES - 1 } * self.segment_len;
        let area = if lane == own { finished + index - 1 } else { finished - usize::from(index == 0) };
        let start = if pass == 0 { 0 } else { (slice + 1) % SLICES * self.segment_len };
        // Nearer blocks more often: the square of an even distribution.
        let back = (area as u64 * ((low * low) >> 32)) >> 32;
        let at = (start + area - 1 - back as usize) % self.lane_len();
        Reference { lane, slice: at / self.segment_len, index: at % self.segment_len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_cannot_be_had_is_an_error() {
        assert_eq!(reserved::<Block>(usize::MAX).map(|_| ()), Err(Error::OutOfMemory));
    }
}
