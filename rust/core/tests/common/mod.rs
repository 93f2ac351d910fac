//! What the integration tests share: vectors, hex, and bytes that are arbitrary but the same in every run.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses a part; a test may panic"
)]

use serde_json::Value;

pub const E4: &str = include_str!("../../../../tests/vectors/e4_vectors.json");
pub const FIPS202: &str = include_str!("../../../../tests/vectors/fips202.json");
pub const RFC5297: &str = include_str!("../../../../tests/vectors/rfc5297.json");
pub const RFC7748: &str = include_str!("../../../../tests/vectors/rfc7748.json");
pub const RFC8032: &str = include_str!("../../../../tests/vectors/rfc8032.json");
pub const RFC9106: &str = include_str!("../../../../tests/vectors/rfc9106.json");

/// A file of vectors.
pub fn parse(file: &str) -> Value {
    serde_json::from_str(file).unwrap()
}

/// A list in a file of vectors, which is not empty.
pub fn list(file: &str, name: &str) -> Vec<Value> {
    let list = parse(file)[name].as_array().unwrap().clone();
    assert!(!list.is_empty());
    list
}

/// A member of a vector, in hex.
pub fn hex(vector: &Value, member: &str) -> Vec<u8> {
    hex::decode(vector[member].as_str().unwrap()).unwrap()
}

/// Bytes that look random: SplitMix64 from a seed.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    words.flat_map(u64::to_le_bytes).take(len).collect()
}

/// The same as an array.
pub fn array<const N: usize>(seed: u64) -> [u8; N] {
    bytes(seed, N).try_into().unwrap()
}
