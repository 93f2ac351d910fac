//! What AES-SIV does block by block: CMAC, S2V and CTR, given one of the block cipher's implementations.

use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockSizeUser, ParBlocks};
use zeroize::ZeroizeOnDrop;

const BLOCK_LEN: usize = 16;

pub(super) type Block = [u8; BLOCK_LEN];

/// What CMAC and S2V need beside the cipher itself; it depends on the key alone.
#[derive(ZeroizeOnDrop)]
pub(super) struct Subkeys {
    /// CMAC: added to a last block that is full (RFC 4493, K1).
    full: Block,
    /// CMAC: added to a last block that was padded (RFC 4493, K2).
    padded: Block,
    /// S2V: CMAC of the zero block.
    zero: Block,
    /// S2V: the same, doubled.
    zero_doubled: Block,
}

impl Subkeys {
    /// `run` runs a closure of the block cipher.
    pub(super) fn new(run: impl FnOnce(Derive<'_>)) -> Self {
        let mut result = Self { full: [0; 16], padded: [0; 16], zero: [0; 16], zero_doubled: [0; 16] };
        run(Derive { subkeys: &mut result });
        result
    }

    /// The sum `d` of S2V after one string of associated data, given its CMAC.
    #[inline(always)]
    pub(super) fn after_one(&self, cmac: Block) -> Block {
        xor(self.zero_doubled, cmac)
    }
}

pub(super) struct Derive<'a> {
    subkeys: &'a mut Subkeys,
}

impl BlockSizeUser for Derive<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Derive<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let subkeys = self.subkeys;
        subkeys.full = double(encrypt(backend, [0; BLOCK_LEN]));
        subkeys.padded = double(subkeys.full);
        subkeys.zero = cmac(backend, subkeys, &[0; BLOCK_LEN]);
        subkeys.zero_doubled = double(subkeys.zero);
    }
}

/// S2V of RFC 5297, section 2.4. The plaintext is always there, if only as the empty string.
#[inline(always)]
pub(super) fn s2v<B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    subkeys: &Subkeys,
    associated_data: &[&[u8]],
    plaintext: &[u8],
) -> Block {
    let d = s2v_start(backend, subkeys, associated_data);
    let (head, tail) = split(plaintext);
    let mut chain = [0; BLOCK_LEN];
    for block in head {
        chain = encrypt(backend, xor(chain, *block));
    }
    let mut ends = Ends::NONE;
    ends.set(subkeys, d, tail);
    for block in ends.blocks() {
        chain = encrypt(backend, xor(chain, *block));
    }
    chain
}

/// S2V up to the plaintext.
#[inline(always)]
pub(super) fn s2v_start<B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    subkeys: &Subkeys,
    associated_data: &[&[u8]],
) -> Block {
    let mut d = subkeys.zero;
    for (i, data) in associated_data.iter().enumerate() {
        let doubled = if i == 0 { subkeys.zero_doubled } else { double(d) };
        d = xor(doubled, cmac(backend, subkeys, data));
    }
    d
}

/// Splits a plaintext into the whole blocks that S2V takes as they are, and the end: 16 to 31 bytes, or all there is.
#[inline(always)]
pub(super) fn split(plaintext: &[u8]) -> (&[Block], &[u8]) {
    let (head, tail) = plaintext.split_at((plaintext.len() / BLOCK_LEN).saturating_sub(1) * BLOCK_LEN);
    (head.as_chunks().0, tail)
}

/// The last one or two blocks of the CMAC that ends S2V, with all that is added to them already added.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    blocks: [Block; 2],
    count: usize,
}

impl Ends {
    /// No block.
    pub(super) const NONE: Self = Self { blocks: [[0; BLOCK_LEN]; 2], count: 0 };

    /// From the sum `d` of what came before, and the plaintext's end as [`split`] gives it.
    #[inline(always)]
    pub(super) fn set(&mut self, subkeys: &Subkeys, d: Block, tail: &[u8]) {
        let (Some((first, _)), Some((rest, last))) =
            (tail.split_first_chunk::<BLOCK_LEN>(), tail.split_last_chunk())
        else {
            return self.set_one(xor(xor(double(d), pad(tail)), subkeys.full));
        };
        // The last 16 bytes have d added ("xorend").
        let last = xor(*last, d);
        if rest.is_empty() {
            return self.set_one(xor(last, subkeys.full));
        }
        // These lie across two blocks, of which the second is padded.
        let mut end = [0; 2 * BLOCK_LEN];
        end[..BLOCK_LEN].copy_from_slice(first);
        end[rest.len()..rest.len() + BLOCK_LEN].copy_from_slice(&last);
        end[rest.len() + BLOCK_LEN] = PADDING;
        let [first, second] = [0, BLOCK_LEN].map(|start| core::array::from_fn(|i| end[start + i]));
        self.blocks = [first, xor(second, subkeys.padded)];
        self.count = 2;
    }

    /// CMAC over fewer than 16 bytes, as one block.
    #[inline(always)]
    pub(super) fn set_short(&mut self, subkeys: &Subkeys, message: &[u8]) {
        self.set_one(xor(pad(message), subkeys.padded));
    }

    #[inline(always)]
    fn set_one(&mut self, block: Block) {
        self.blocks[0] = block;
        self.count = 1;
    }

    #[inline(always)]
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks[..self.count]
    }
}

/// AES-CMAC (RFC 4493).
#[inline(always)]
fn cmac<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, subkeys: &Subkeys, message: &[u8]) -> Block {
    let (head, last) = message.split_at(message.len().saturating_sub(1) / BLOCK_LEN * BLOCK_LEN);
    let mut chain = [0; BLOCK_LEN];
    for block in head.as_chunks().0 {
        chain = encrypt(backend, xor(chain, *block));
    }
    let last = match last.try_into() {
        Ok(full) => xor(full, subkeys.full),
        Err(_) => xor(pad(last), subkeys.padded),
    };
    encrypt(backend, xor(chain, last))
}

/// Clears two bits of the synthetic IV, so that counting in 31 bits never carries over (RFC 5297, section 2.5).
pub(super) const COUNTER_MASK: u128 = !(1 << 63 | 1 << 31);

/// CTR of RFC 5297, section 2.5: from the SIV with two bits cleared, counting in all 128.
#[inline(always)]
pub(super) fn ctr<B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    siv: Block,
    input: &[u8],
    output: &mut [u8],
) {
    let mut counter = u128::from_be_bytes(siv) & COUNTER_MASK;
    let mut next = || {
        let block = counter.to_be_bytes();
        counter = counter.wrapping_add(1);
        block
    };
    let (input, input_rest) = input.as_chunks();
    let (output, output_rest) = output.as_chunks_mut();
    let parallel = B::ParBlocksSize::USIZE;
    let split = input.len() / parallel * parallel;
    let (wide_input, narrow_input) = input.split_at(split);
    let (wide_output, narrow_output) = output.split_at_mut(split);
    for (from, to) in wide_input.chunks_exact(parallel).zip(wide_output.chunks_exact_mut(parallel)) {
        let mut keystream: ParBlocks<B> = Array::from_fn(|_| Array(next()));
        backend.encrypt_par_blocks_inplace(&mut keystream);
        for ((to, from), key) in to.iter_mut().zip(from).zip(&keystream) {
            *to = xor(*from, key.0);
        }
    }
    // Independent blocks in a loop: a processor with AES instructions overlaps them by itself.
    for (to, from) in narrow_output.iter_mut().zip(narrow_input) {
        *to = xor(*from, encrypt(backend, next()));
    }
    if !input_rest.is_empty() {
        let key = encrypt(backend, next());
        for ((to, from), key) in output_rest.iter_mut().zip(input_rest).zip(key) {
            *to = from ^ key;
        }
    }
}

#[inline(always)]
pub(super) fn encrypt<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, block: Block) -> Block {
    let mut block = Array(block);
    backend.encrypt_block_inplace(&mut block);
    block.0
}

#[inline(always)]
pub(super) fn xor(a: Block, b: Block) -> Block {
    (u128::from_ne_bytes(a) ^ u128::from_ne_bytes(b)).to_ne_bytes()
}

/// Doubling in GF(2^128) with the polynomial of RFC 5297, section 2.3; in constant time.
#[inline(always)]
fn double(block: Block) -> Block {
    let value = u128::from_be_bytes(block);
    let carry = 0_u128.wrapping_sub(value >> 127) & 0x87;
    (value << 1 ^ carry).to_be_bytes()
}

const PADDING: u8 = 0x80;

/// Fewer than 16 bytes, then one bit, then zeros.
#[inline(always)]
fn pad(partial: &[u8]) -> Block {
    let mut block = [0; BLOCK_LEN];
    block[..partial.len()].copy_from_slice(partial);
    block[partial.len()] = PADDING;
    block
}
