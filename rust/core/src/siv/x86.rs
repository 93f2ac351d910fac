//! AES-256 with the instructions of x86-64: AES-NI for one block or eight, VAES with AVX-512 for 32 texts at a time.
//!
//! The one file of this crate with `unsafe`. Its reasons: functions compiled for features that a processor may lack,
//! which [`Cipher::new`] asks for first; and loads and stores by address, each of memory that a reference stands for.
//! Every engine is compared with the portable one, and with the crate `aes-siv`, in `tests/engines.rs`.
#![allow(unsafe_code, reason = "processor features and vector loads; see above")]

use core::arch::x86_64::*;

use aes::cipher::array::Array;
use aes::cipher::consts::{U8, U16};
use aes::cipher::inout::InOut;
use aes::cipher::{
    Block as CipherBlock, BlockCipherEncBackend, BlockCipherEncClosure, BlockSizeUser, ParBlocks,
    ParBlocksSizeUser,
};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::blocks::{Block, COUNTER_MASK, ctr};
use super::engine::{CtrText, LANES, Lane};
use crate::wire::KEY_LEN;

const ROUNDS: usize = 14;

/// An AES-256 key schedule, 240 bytes, and which of the two engines uses it.
pub(super) struct Cipher {
    keys: [Block; ROUNDS + 1],
    wide: bool,
}

impl Cipher {
    /// Whether this processor has what the narrow or the wide engine needs.
    pub(super) fn is_available(wide: bool) -> bool {
        is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("sse4.1")
            && (!wide
                || (is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("vaes")))
    }

    /// The schedule, or nothing where [`is_available`](Self::is_available) says no.
    pub(super) fn new(key: &[u8; KEY_LEN], wide: bool) -> Option<Self> {
        // SAFETY: the processor has AES-NI and SSE4.1.
        Self::is_available(wide).then(|| Self { keys: unsafe { expand(key) }, wide })
    }

    pub(super) fn is_wide(&self) -> bool {
        self.wide
    }

    /// Runs a closure of the block cipher.
    #[inline(always)]
    pub(super) fn run(&self, closure: impl BlockCipherEncClosure<BlockSize = U16>) {
        // SAFETY: `new` has found AES-NI and SSE4.1.
        unsafe { run(self, closure) }
    }

    /// See `engine::Cipher::chains`. Only where [`is_wide`](Self::is_wide).
    pub(super) fn chains(&self, lanes: &[Lane<'_>; LANES], count: usize, results: &mut [Block; LANES]) {
        assert!(self.wide);
        // SAFETY: `new` has found VAES and AVX-512 (F, BW).
        unsafe {
            match count {
                0..=4 => chains::<1>(&self.keys, lanes, results),
                5..=8 => chains::<2>(&self.keys, lanes, results),
                9..=16 => chains::<4>(&self.keys, lanes, results),
                _ => chains::<8>(&self.keys, lanes, results),
            }
        }
    }

    /// See `engine::Cipher::ctr_many`. Only where [`is_wide`](Self::is_wide).
    pub(super) fn ctr_many<'a>(&self, texts: impl Iterator<Item = CtrText<'a>>) {
        assert!(self.wide);
        // SAFETY: `new` has found VAES and AVX-512 (F, BW).
        unsafe { ctr_many(self, texts) }
    }
}

impl Drop for Cipher {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

impl ZeroizeOnDrop for Cipher {}

/// The key expansion of FIPS 197, section 5.2, a word at a time.
#[target_feature(enable = "aes,sse4.1")]
fn expand(key: &[u8; KEY_LEN]) -> [Block; ROUNDS + 1] {
    const KEY_WORDS: usize = KEY_LEN / 4;
    let mut words = [0_u32; 4 * (ROUNDS + 1)];
    for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut round_constant = 1;
    for i in KEY_WORDS..words.len() {
        let mut word = words[i - 1];
        if i % KEY_WORDS == 0 {
            word = substituted(word).rotate_right(8) ^ round_constant;
            round_constant <<= 1;
        } else if i % KEY_WORDS == 4 {
            word = substituted(word);
        }
        words[i] = words[i - KEY_WORDS] ^ word;
    }
    let mut keys = [Block::default(); ROUNDS + 1];
    for (bytes, word) in keys.as_flattened_mut().as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    words.zeroize();
    keys
}

/// The S-box on each byte of a word.
#[target_feature(enable = "aes")]
fn substituted(word: u32) -> u32 {
    let words = _mm_set1_epi32(word.cast_signed());
    _mm_cvtsi128_si32(_mm_aeskeygenassist_si128::<0>(words)).cast_unsigned()
}

#[target_feature(enable = "aes,sse4.1")]
fn run(cipher: &Cipher, closure: impl BlockCipherEncClosure<BlockSize = U16>) {
    closure.call(cipher);
}

impl BlockSizeUser for Cipher {
    type BlockSize = U16;
}

impl ParBlocksSizeUser for Cipher {
    type ParBlocksSize = U8;
}

/// Called by [`run`] alone, into which it is inlined.
impl BlockCipherEncBackend for Cipher {
    #[inline(always)]
    fn encrypt_block(&self, mut block: InOut<'_, '_, CipherBlock<Self>>) {
        // SAFETY: `new` has found AES-NI.
        *block.get_out() = Array(unsafe { encrypt(&self.keys, [block.get_in().0]) }[0]);
    }

    #[inline(always)]
    fn encrypt_par_blocks(&self, mut blocks: InOut<'_, '_, ParBlocks<Self>>) {
        let input = core::array::from_fn::<_, 8, _>(|i| blocks.get_in()[i].0);
        // SAFETY: `new` has found AES-NI.
        let output = unsafe { encrypt(&self.keys, input) };
        *blocks.get_out() = Array::from_fn(|i| Array(output[i]));
    }
}

#[inline]
#[target_feature(enable = "aes,sse4.1")]
fn encrypt<const N: usize>(keys: &[Block; ROUNDS + 1], blocks: [Block; N]) -> [Block; N] {
    let mut state = blocks.map(|block| _mm_xor_si128(load(&block), load(&keys[0])));
    for key in &keys[1..ROUNDS] {
        let key = load(key);
        state = state.map(|block| _mm_aesenc_si128(block, key));
    }
    let key = load(&keys[ROUNDS]);
    state.map(|block| stored(_mm_aesenclast_si128(block, key)))
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(block: &Block) -> __m128i {
    // SAFETY: the reference is to 16 bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn stored(value: __m128i) -> Block {
    let mut block = Block::default();
    // SAFETY: the reference is to 16 bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(block.as_mut_ptr().cast(), value) };
    block
}

/// Each round key four times over.
#[inline]
#[target_feature(enable = "avx512f")]
fn wide_keys(keys: &[Block; ROUNDS + 1]) -> [__m512i; ROUNDS + 1] {
    keys.each_ref().map(|key| _mm512_broadcast_i32x4(load(key)))
}

#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn encrypt_wide<const N: usize>(keys: &[__m512i; ROUNDS + 1], state: [__m512i; N]) -> [__m512i; N] {
    let mut state = state.map(|blocks| _mm512_xor_si512(blocks, keys[0]));
    for key in &keys[1..ROUNDS] {
        for blocks in &mut state {
            *blocks = _mm512_aesenc_epi128(*blocks, *key);
        }
    }
    state.map(|blocks| _mm512_aesenclast_epi128(blocks, keys[ROUNDS]))
}

/// CBC-MAC over the first 4·R lanes, four to a register.
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn chains<const R: usize>(
    keys: &[Block; ROUNDS + 1],
    lanes: &[Lane<'_>; LANES],
    results: &mut [Block; LANES],
) {
    let keys = wide_keys(keys);
    let lanes: &[[Lane<'_>; 4]] = &lanes.as_chunks().0[..R];
    let all = || lanes.as_flattened().iter();
    // Blocks that every lane has come first; then each goes on as long as it has some.
    let common = all().map(|lane| lane.head.len()).min().unwrap_or(0);
    let longest = all().map(|lane| lane.head.len() + lane.ends.blocks().len()).max().unwrap_or(0);
    let mut state = [_mm512_setzero_si512(); R];
    for i in 0..common {
        for (state, lanes) in state.iter_mut().zip(lanes) {
            let blocks = load_four(lanes.each_ref().map(|lane| &lane.head[i]));
            *state = _mm512_xor_si512(*state, blocks);
        }
        state = encrypt_wide(&keys, state);
    }
    let zero = Block::default();
    for i in common..longest {
        let mut masks = [0; R];
        let mut next = state;
        for ((next, lanes), mask) in next.iter_mut().zip(lanes).zip(&mut masks) {
            let mut blocks = [&zero; 4];
            for (j, (block, lane)) in blocks.iter_mut().zip(lanes).enumerate() {
                let (head, ends) = (lane.head, lane.ends.blocks());
                if let Some(present) = head.get(i).or_else(|| ends.get(i - head.len())) {
                    *block = present;
                    *mask |= 0b11 << (2 * j);
                }
            }
            *next = _mm512_xor_si512(*next, load_four(blocks));
        }
        next = encrypt_wide(&keys, next);
        for ((state, next), mask) in state.iter_mut().zip(next).zip(masks) {
            *state = _mm512_mask_blend_epi64(mask, *state, next);
        }
    }
    for (results, state) in results.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        // SAFETY: the reference is to 64 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(results.as_mut_ptr().cast(), state) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_four(blocks: [&Block; 4]) -> __m512i {
    let [a, b, c, d] = blocks;
    let value = _mm512_castsi128_si512(load(a));
    let value = _mm512_inserti32x4::<1>(value, load(b));
    let value = _mm512_inserti32x4::<2>(value, load(c));
    _mm512_inserti32x4::<3>(value, load(d))
}

const CHUNK: usize = 64;

/// From this many bytes on a counter of 31 bits could overflow.
const CTR_LIMIT: usize = CHUNK << 28;

/// How many chunks of up to 64 bytes go together.
const WIDTH: usize = 8;

/// Chunks that wait for their key stream.
struct Queue {
    counters: [__m512i; WIDTH],
    inputs: [*const u8; WIDTH],
    outputs: [*mut u8; WIDTH],
    /// A bit for each byte there is.
    masks: [u64; WIDTH],
}

/// CTR, eight chunks of 64 bytes at a time, whichever texts they belong to.
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn ctr_many<'a>(cipher: &Cipher, texts: impl Iterator<Item = CtrText<'a>>) {
    let keys = wide_keys(&cipher.keys);
    // The last four bytes of each block the other way round: the counter as the processor counts.
    let reversed =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12));
    let first_four = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3);
    let four = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 0, 4));
    let cleared = load(&COUNTER_MASK.to_be_bytes());
    let mut queue = Queue {
        counters: [_mm512_setzero_si512(); WIDTH],
        inputs: [core::ptr::null(); WIDTH],
        outputs: [core::ptr::null_mut(); WIDTH],
        masks: [0; WIDTH],
    };
    let mut waiting = 0;
    for text in texts {
        assert!(text.input.len() == text.output.len());
        if text.input.len() >= CTR_LIMIT {
            cipher.run(Ctr { siv: *text.siv, input: text.input, output: text.output });
            continue;
        }
        let first = _mm512_broadcast_i32x4(_mm_and_si128(load(text.siv), cleared));
        let mut counters = _mm512_add_epi32(_mm512_shuffle_epi8(first, reversed), first_four);
        for (input, output) in text.input.chunks(CHUNK).zip(text.output.chunks_mut(CHUNK)) {
            queue.counters[waiting] = _mm512_shuffle_epi8(counters, reversed);
            queue.inputs[waiting] = input.as_ptr();
            queue.outputs[waiting] = output.as_mut_ptr();
            queue.masks[waiting] = u64::MAX >> (CHUNK - input.len());
            counters = _mm512_add_epi32(counters, four);
            waiting += 1;
            if waiting == WIDTH {
                // SAFETY: below.
                unsafe { finish(&keys, &queue) };
                waiting = 0;
            }
        }
    }
    if waiting > 0 {
        queue.masks[waiting..].fill(0);
        // SAFETY: each mask covers exactly the bytes of its input and output, which are two borrows of the texts and so
        // live and apart from each other.
        unsafe { finish(&keys, &queue) };
    }
}

/// Encrypts the counters, adds the inputs, writes the outputs.
///
/// # Safety
/// The bytes of each mask must be readable at its input and writable at its output, without overlap.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
unsafe fn finish(keys: &[__m512i; ROUNDS + 1], queue: &Queue) {
    for (i, key_stream) in encrypt_wide(keys, queue.counters).into_iter().enumerate() {
        // SAFETY: as the caller promises; a masked load or store touches no byte outside its mask.
        unsafe {
            let input = _mm512_maskz_loadu_epi8(queue.masks[i], queue.inputs[i].cast());
            let output = _mm512_xor_si512(input, key_stream);
            _mm512_mask_storeu_epi8(queue.outputs[i].cast(), queue.masks[i], output);
        }
    }
}

/// CTR by the narrow engine.
struct Ctr<'a> {
    siv: Block,
    input: &'a [u8],
    output: &'a mut [u8],
}

impl BlockSizeUser for Ctr<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Ctr<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        ctr(backend, self.siv, self.input, self.output);
    }
}
