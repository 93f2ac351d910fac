//! What can go wrong. No text here holds a key, a password or a payload.

use core::fmt;

/// Why an operation of this crate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The message is shorter than the layout of its kind.
    Malformed,
    /// The timestamp is further ahead of the clock than the allowed skew.
    TimestampInFuture,
    /// The message is older than the allowed age.
    TimestampTooOld,
    /// The signer's public key is not known.
    PublicKeyMissing,
    /// The Ed25519 signature does not verify.
    InvalidSignature,
    /// The synthetic IV does not verify.
    NotAuthentic,
    /// The first byte is no command's opcode, or there is none.
    UnknownCommand,
    /// A command whose length, or whose field's length, is not exactly that of its opcode.
    CommandLength,
    /// A key was refused.
    InvalidKey(KeyFault),
    /// A parameter is outside what its standard allows; the text says which.
    InvalidParameter(&'static str),
    /// The memory asked for could not be had.
    OutOfMemory,
    /// The buffer given for the output is not exactly as long as the output.
    OutputLength,
}

/// Why a key was refused (protocol, section 4, key checks).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFault {
    /// A symmetric key that is not 32 bytes.
    SymmetricLength,
    /// A symmetric key of zeros only.
    SymmetricZero,
    /// A two-key AES-SIV key that is not 32 or 64 bytes.
    SivLength,
    /// An Ed25519 seed that is not 32 bytes.
    SeedLength,
    /// An Ed25519 private key that is not 64 bytes.
    PrivateLength,
    /// An Ed25519 private key whose public half does not belong to its seed.
    PublicHalf,
    /// An Ed25519 public key that is not 32 bytes.
    PublicLength,
    /// An Ed25519 public key that is no point of the curve.
    NotOnCurve,
    /// An Ed25519 public key of small order.
    SmallOrder,
    /// An X25519 private key that is not 32 bytes.
    X25519PrivateLength,
    /// An X25519 public key that is not 32 bytes.
    X25519PublicLength,
    /// An X25519 public key that gives an all-zero shared secret.
    ZeroSharedSecret,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "message is too short",
            Self::TimestampInFuture => "timestamp is in the future",
            Self::TimestampTooOld => "timestamp is too old",
            Self::PublicKeyMissing => "public key not found",
            Self::InvalidSignature => "signature is not valid",
            Self::NotAuthentic => "message is not authentic",
            Self::UnknownCommand => "unknown command opcode",
            Self::CommandLength => "command has a wrong length",
            Self::InvalidKey(fault) => return fault.fmt(f),
            Self::InvalidParameter(text) => text,
            Self::OutOfMemory => "not enough memory",
            Self::OutputLength => "output buffer has a wrong length",
        })
    }
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SymmetricLength => "symmetric key must be exactly 32 bytes",
            Self::SymmetricZero => "symmetric key is all zero",
            Self::SivLength => "AES-SIV key must be 32 or 64 bytes",
            Self::SeedLength => "Ed25519 seed must be exactly 32 bytes",
            Self::PrivateLength => "Ed25519 private key must be exactly 64 bytes",
            Self::PublicHalf => "Ed25519 private key's public half does not match its seed",
            Self::PublicLength => "Ed25519 public key must be exactly 32 bytes",
            Self::NotOnCurve => "Ed25519 public key is not a point of the curve",
            Self::SmallOrder => "Ed25519 public key is of small order",
            Self::X25519PrivateLength => "X25519 private key must be exactly 32 bytes",
            Self::X25519PublicLength => "X25519 public key must be exactly 32 bytes",
            Self::ZeroSharedSecret => "X25519 public key gives an all-zero shared secret",
        })
    }
}

impl core::error::Error for Error {}

impl From<KeyFault> for Error {
    fn from(fault: KeyFault) -> Self {
        Self::InvalidKey(fault)
    }
}
