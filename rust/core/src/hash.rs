//! SHA3-256 and the truncated hashes that name clients and topics.

use core::fmt;

use sha3::{Digest, Sha3_256};

use crate::wire::{CONTROL_TOPIC_PREFIX, ID_LEN, TOPIC_HASH_LEN};

/// Length of a SHA3-256 hash, in bytes.
pub const SHA3_256_LEN: usize = 32;

/// SHA3-256 (FIPS 202).
#[must_use]
pub fn sha3_256(data: &[u8]) -> [u8; SHA3_256_LEN] {
    Sha3_256::digest(data).into()
}

/// A client's id: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(pub [u8; ID_LEN]);

impl Id {
    /// The id that belongs to a name: the first 16 bytes of SHA3-256(name).
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self(truncated(name.as_bytes()))
    }

    /// The topic on which the client of this id receives commands: `e4/` and the id in lower-case hex.
    #[must_use]
    pub fn control_topic(&self) -> String {
        format!("{CONTROL_TOPIC_PREFIX}{self}")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What names a topic in commands and in a client's state: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicHash(pub [u8; TOPIC_HASH_LEN]);

impl TopicHash {
    /// The first 16 bytes of SHA3-256(topic).
    #[must_use]
    pub fn of_topic(topic: &str) -> Self {
        Self(truncated(topic.as_bytes()))
    }
}

fn truncated<const N: usize>(data: &[u8]) -> [u8; N] {
    let hash = sha3_256(data);
    core::array::from_fn(|i| hash[i])
}
