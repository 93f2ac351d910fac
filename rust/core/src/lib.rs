//! The cryptographic core of E4, protocol version 1.
//!
//! From the bottom up: [`wire`] (lengths, offsets, opcodes), [`hash`], [`siv`], [`kdf`] and [`curve`] (primitives),
//! [`message`] (protect and unprotect) and [`command`] (parse and encode). All of them fail with [`Error`].
//!
//! Nothing here does I/O, reads a clock or makes randomness: times and keys are arguments, so that every output can
//! be a test vector. Whatever holds a secret is wiped when it is dropped, and its `Debug` shows no secret.

pub mod command;
pub mod curve;
mod error;
pub mod hash;
pub mod kdf;
pub mod message;
pub mod siv;
pub mod wire;

pub use error::{Error, KeyFault};
