//! Commands: the plaintext of a protected message on a control topic (protocol, section 4).
//!
//! Parses and encodes; what a command does to a client, and whether the keys in it pass the key checks, is decided
//! above.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Error;
use crate::hash::{Id, TopicHash};
use crate::wire::{self, KEY_LEN, PRIVATE_KEY_LEN, PUBLIC_KEY_LEN};

/// One command.
///
/// ```text
/// bytes:  opcode(1) ‖ first field ‖ second field        each field of exact length, or absent
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Forget a topic's keys: topic hash(16).
    RemoveTopic(TopicHash),
    /// Forget all topic keys.
    ResetTopics,
    /// Replace the client's own key: key(32) or private key(64).
    SetIdKey(IdKey),
    /// Set a topic's key: key(32) ‖ topic hash(16).
    SetTopicKey(SecretBytes<KEY_LEN>, TopicHash),
    /// Forget one public key: id(16).
    RemovePubKey(Id),
    /// Forget all public keys.
    ResetPubKeys,
    /// Store an Ed25519 public key under an id: public key(32) ‖ id(16).
    SetPubKey([u8; PUBLIC_KEY_LEN], Id),
    /// Replace C2's X25519 public key: public key(32).
    SetC2Key([u8; PUBLIC_KEY_LEN]),
}

/// A client's own key as SetIdKey brings it; its length tells the mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdKey {
    /// SK mode: a symmetric key.
    Symmetric(SecretBytes<KEY_LEN>),
    /// PK mode: an Ed25519 private key, seed(32) ‖ public(32).
    Private(SecretBytes<PRIVATE_KEY_LEN>),
}

impl Command {
    /// Parses the plaintext of a command.
    ///
    /// # Errors
    /// [`Error::UnknownCommand`] for no byte or an unknown opcode, [`Error::CommandLength`] for any length but that of
    /// the opcode.
    pub fn parse(data: &[u8]) -> Result<Self, Error> {
        let (&opcode, fields) = data.split_first().ok_or(Error::UnknownCommand)?;
        let (first, _) = shape(opcode, |first, second| first + second == fields.len())?;
        let (first, second) = fields.split_at(first);
        Self::from_fields(opcode, first, second)
    }

    /// A command from its opcode and fields in wire order, empty where the opcode has none.
    ///
    /// # Errors
    /// [`Error::UnknownCommand`], [`Error::CommandLength`].
    pub fn from_fields(opcode: u8, first: &[u8], second: &[u8]) -> Result<Self, Error> {
        shape(opcode, |first_len, second_len| first.len() == first_len && second.len() == second_len)?;
        Ok(match opcode {
            wire::REMOVE_TOPIC => Self::RemoveTopic(TopicHash(exact(first)?)),
            wire::RESET_TOPICS => Self::ResetTopics,
            wire::SET_ID_KEY if first.len() == KEY_LEN => {
                Self::SetIdKey(IdKey::Symmetric(SecretBytes::new(first)?))
            }
            wire::SET_ID_KEY => Self::SetIdKey(IdKey::Private(SecretBytes::new(first)?)),
            wire::SET_TOPIC_KEY => Self::SetTopicKey(SecretBytes::new(first)?, TopicHash(exact(second)?)),
            wire::REMOVE_PUB_KEY => Self::RemovePubKey(Id(exact(first)?)),
            wire::RESET_PUB_KEYS => Self::ResetPubKeys,
            wire::SET_PUB_KEY => Self::SetPubKey(exact(first)?, Id(exact(second)?)),
            wire::SET_C2_KEY => Self::SetC2Key(exact(first)?),
            _ => return Err(Error::UnknownCommand),
        })
    }

    /// The opcode and the fields in wire order, empty where the opcode has none.
    #[must_use]
    pub fn fields(&self) -> (u8, &[u8], &[u8]) {
        match self {
            Self::RemoveTopic(topic) => (wire::REMOVE_TOPIC, &topic.0, &[]),
            Self::ResetTopics => (wire::RESET_TOPICS, &[], &[]),
            Self::SetIdKey(IdKey::Symmetric(key)) => (wire::SET_ID_KEY, key.expose(), &[]),
            Self::SetIdKey(IdKey::Private(key)) => (wire::SET_ID_KEY, key.expose(), &[]),
            Self::SetTopicKey(key, topic) => (wire::SET_TOPIC_KEY, key.expose(), &topic.0),
            Self::RemovePubKey(id) => (wire::REMOVE_PUB_KEY, &id.0, &[]),
            Self::ResetPubKeys => (wire::RESET_PUB_KEYS, &[], &[]),
            Self::SetPubKey(key, id) => (wire::SET_PUB_KEY, key, &id.0),
            Self::SetC2Key(key) => (wire::SET_C2_KEY, key, &[]),
        }
    }

    /// The plaintext of the command.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (opcode, first, second) = self.fields();
        let mut data = Zeroizing::new(Vec::with_capacity(1 + first.len() + second.len()));
        data.push(opcode);
        data.extend_from_slice(first);
        data.extend_from_slice(second);
        data
    }
}

/// Names the command, shows ids and topic hashes, and no key.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveTopic(topic) => f.debug_tuple("RemoveTopic").field(topic).finish(),
            Self::ResetTopics => f.write_str("ResetTopics"),
            Self::SetIdKey(key) => f.debug_tuple("SetIdKey").field(key).finish(),
            Self::SetTopicKey(key, topic) => f.debug_tuple("SetTopicKey").field(key).field(topic).finish(),
            Self::RemovePubKey(id) => f.debug_tuple("RemovePubKey").field(id).finish(),
            Self::ResetPubKeys => f.write_str("ResetPubKeys"),
            Self::SetPubKey(_, id) => f.debug_struct("SetPubKey").field("id", id).finish_non_exhaustive(),
            Self::SetC2Key(_) => f.debug_struct("SetC2Key").finish_non_exhaustive(),
        }
    }
}

/// Secret bytes of a command: wiped when dropped, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes<const N: usize>([u8; N]);

impl<const N: usize> SecretBytes<N> {
    /// Copies the bytes.
    ///
    /// # Errors
    /// [`Error::CommandLength`] unless there are exactly `N`.
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        exact(bytes).map(Self)
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

/// Compares in constant time.
impl<const N: usize> PartialEq for SecretBytes<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<const N: usize> Eq for SecretBytes<N> {}

impl<const N: usize> fmt::Debug for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The field lengths of the opcode's shape that fits.
fn shape(opcode: u8, fits: impl Fn(usize, usize) -> bool) -> Result<(usize, usize), Error> {
    let shapes = wire::command_fields(opcode);
    if shapes.is_empty() {
        return Err(Error::UnknownCommand);
    }
    shapes.iter().copied().find(|&(first, second)| fits(first, second)).ok_or(Error::CommandLength)
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::CommandLength)
}
