//! Argon2i version 1.3 (RFC 9106), with any salt, also none: the keys of E4 come from passwords without a salt, which
//! common Argon2 libraries refuse.
//!
//! [`argon2i`] is general; [`key_from_password`] fixes the parameters of the protocol, section 2. Threads are used
//! where they can be had; the result does not depend on them.

mod block;
mod fill;

use blake2::digest::block_api::{UpdateCore, VariableOutputCore};
use blake2::digest::block_buffer::LazyBuffer;
use blake2::{Blake2b512, Blake2bVarCore, Digest};
use zeroize::{Zeroize, Zeroizing};

use crate::Error;
use crate::wire::{KDF_LANES, KDF_MEMORY_KIB, KDF_TIME_COST, KEY_LEN};
use block::{BLOCK_LEN, Block};
use fill::Memory;

/// What RFC 9106 calls "type": 1 is Argon2i.
const TYPE: u32 = 1;
/// Version 1.3.
const VERSION: u32 = 0x13;

/// Parameters of [`argon2i`] beside the password (RFC 9106, section 3.1).
#[derive(Clone, Copy)]
pub struct Params<'a> {
    /// Passes over the memory, t: 1 or more.
    pub time_cost: u32,
    /// Memory in KiB, m: at least 8 for each lane.
    pub memory_kib: u32,
    /// Lanes, p: 1 to 2^24 - 1.
    pub lanes: u32,
    /// The salt S: of any length.
    pub salt: &'a [u8],
    /// The secret K, often called pepper: of any length.
    pub secret: &'a [u8],
    /// The associated data X: of any length.
    pub associated_data: &'a [u8],
}

impl core::fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Params")
            .field("time_cost", &self.time_cost)
            .field("memory_kib", &self.memory_kib)
            .field("lanes", &self.lanes)
            .finish_non_exhaustive()
    }
}

/// The 32 bytes that belong to a password: a symmetric key, or an Ed25519 seed. Takes 64 MiB of memory.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn key_from_password(password: &str) -> Result<Zeroizing<[u8; KEY_LEN]>, Error> {
    let params = Params {
        time_cost: KDF_TIME_COST,
        memory_kib: KDF_MEMORY_KIB,
        lanes: KDF_LANES,
        salt: &[],
        secret: &[],
        associated_data: &[],
    };
    let mut key = Zeroizing::new([0; KEY_LEN]);
    argon2i(password.as_bytes(), &params, key.as_mut_slice())?;
    Ok(key)
}

/// Fills `tag` with Argon2i of a password.
///
/// # Errors
/// [`Error::InvalidParameter`] where a parameter, or the length of `tag` (at least 4), is outside RFC 9106, section
/// 3.1; [`Error::OutOfMemory`].
pub fn argon2i(password: &[u8], params: &Params<'_>, tag: &mut [u8]) -> Result<(), Error> {
    check(params, tag.len())?;
    let h0 = initial_hash(password, params, tag.len())?;
    let mut memory = Memory::new(params)?;
    memory.fill(|lane, index| first_block(&h0, lane, index))?;
    let last = memory.last_blocks_sum();
    hash_long(&[last.to_bytes().as_slice()], tag)
}

fn check(params: &Params<'_>, tag_len: usize) -> Result<(), Error> {
    if params.time_cost == 0 {
        return Err(Error::InvalidParameter("Argon2 time cost must be 1 or more"));
    }
    if params.lanes == 0 || params.lanes >= 1 << 24 {
        return Err(Error::InvalidParameter("Argon2 lanes must be 1 to 2**24 - 1"));
    }
    if params.memory_kib < 8 * params.lanes {
        return Err(Error::InvalidParameter("Argon2 memory must be 8 KiB or more for each lane"));
    }
    if tag_len < 4 || u32::try_from(tag_len).is_err() {
        return Err(Error::InvalidParameter("Argon2 output length must be 4 to 2**32 - 1 bytes"));
    }
    Ok(())
}

/// H0 of RFC 9106, section 3.2.
fn initial_hash(password: &[u8], params: &Params<'_>, tag_len: usize) -> Result<Zeroizing<[u8; 64]>, Error> {
    let mut hasher = Blake2b512::new();
    for number in [params.lanes, length(tag_len)?, params.memory_kib, params.time_cost, VERSION, TYPE] {
        hasher.update(number.to_le_bytes());
    }
    for string in [password, params.salt, params.secret, params.associated_data] {
        hasher.update(length(string.len())?.to_le_bytes());
        hasher.update(string);
    }
    Ok(Zeroizing::new(hasher.finalize().into()))
}

fn length(length: usize) -> Result<u32, Error> {
    u32::try_from(length)
        .map_err(|_| Error::InvalidParameter("Argon2 inputs and outputs must be under 2**32 bytes"))
}

/// B[lane][index] for index 0 and 1: H'^(1024)(H0 ‖ index ‖ lane).
fn first_block(h0: &[u8; 64], lane: u32, index: u32) -> Result<Block, Error> {
    let mut bytes = Zeroizing::new([0; BLOCK_LEN]);
    hash_long(&[h0, &index.to_le_bytes(), &lane.to_le_bytes()], bytes.as_mut_slice())?;
    Ok(Block::from_bytes(&bytes))
}

/// H' of RFC 9106, section 3.3; `out` has at least one byte.
fn hash_long(inputs: &[&[u8]], out: &mut [u8]) -> Result<(), Error> {
    let prefix = length(out.len())?.to_le_bytes();
    let inputs = core::iter::once(prefix.as_slice()).chain(inputs.iter().copied());
    if out.len() <= 64 {
        return hash_short(inputs, out);
    }
    let mut hasher = Blake2b512::new();
    inputs.for_each(|input| hasher.update(input));
    let mut link = hasher.finalize();
    let mut rest = out;
    // Half of each link of the chain is put out, until 33 to 64 bytes remain, which the last link gives whole.
    loop {
        let (chunk, after) = rest.split_at_mut(32);
        chunk.copy_from_slice(&link[..32]);
        rest = after;
        if rest.len() <= 64 {
            break;
        }
        link = Blake2b512::digest(link);
    }
    let result = hash_short([link.as_slice()].into_iter(), rest);
    link.as_mut_slice().zeroize();
    result
}

/// BLAKE2b with an output of 1 to 64 bytes, which is part of what it hashes.
fn hash_short<'a>(inputs: impl Iterator<Item = &'a [u8]>, out: &mut [u8]) -> Result<(), Error> {
    let mut core =
        Blake2bVarCore::new(out.len()).map_err(|_| Error::InvalidParameter("BLAKE2b gives 1 to 64 bytes"))?;
    let mut buffer = LazyBuffer::default();
    for input in inputs {
        buffer.digest_blocks(input, |blocks| core.update_blocks(blocks));
    }
    let mut hash = Default::default();
    core.finalize_variable_core(&mut buffer, &mut hash);
    out.copy_from_slice(&hash[..out.len()]);
    hash.as_mut_slice().zeroize();
    Ok(())
}
