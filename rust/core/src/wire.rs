//! Lengths, offsets and opcodes of the protocol, version 1: the one Rust place that knows a layout.
//!
//! `python/e4/_wire.py` is its twin; a test compares the two by [`NAMED`]. Imports nothing.

/// Declares the constants, and lists them by name in `NAMED`.
macro_rules! constants {
    ($($(#[$attribute:meta])* $name:ident: $kind:ty = $value:expr;)*) => {
        $($(#[$attribute])* pub const $name: $kind = $value;)*

        /// Every number of this module by its name, for comparison with its Python twin.
        pub const NAMED: &[(&str, u64)] = &[$((stringify!($name), $name as u64)),*];
    };
}

constants! {
    /// Length of a symmetric key.
    KEY_LEN: usize = 32;
    /// Length of a client's id.
    ID_LEN: usize = 16;
    /// Length of a topic hash.
    TOPIC_HASH_LEN: usize = 16;
    /// Length of a timestamp: seconds since the Unix epoch, little-endian.
    TIMESTAMP_LEN: usize = 8;
    /// Length of a synthetic IV.
    SIV_LEN: usize = 16;
    /// Length of an Ed25519 seed.
    SEED_LEN: usize = 32;
    /// Length of an Ed25519 private key: seed(32) ‖ public(32).
    PRIVATE_KEY_LEN: usize = 64;
    /// Length of a public key (Ed25519 or X25519), and of an X25519 private key.
    PUBLIC_KEY_LEN: usize = 32;
    /// Length of an Ed25519 signature.
    SIGNATURE_LEN: usize = 64;

    /// Offset of the synthetic IV in an SK message or a command.
    SYM_SIV: usize = TIMESTAMP_LEN;
    /// Offset of the ciphertext in an SK message or a command.
    SYM_CIPHERTEXT: usize = SYM_SIV + SIV_LEN;
    /// How much longer an SK message is than its payload.
    SYM_OVERHEAD: usize = SYM_CIPHERTEXT;

    /// Offset of the signer's id in a PK message.
    PUB_ID: usize = TIMESTAMP_LEN;
    /// Offset of the synthetic IV in a PK message.
    PUB_SIV: usize = PUB_ID + ID_LEN;
    /// Offset of the ciphertext in a PK message.
    PUB_CIPHERTEXT: usize = PUB_SIV + SIV_LEN;
    /// How much longer a PK message is than its payload.
    PUB_OVERHEAD: usize = PUB_CIPHERTEXT + SIGNATURE_LEN;

    /// Opcode of RemoveTopic: topic hash(16).
    REMOVE_TOPIC: u8 = 0x00;
    /// Opcode of ResetTopics: no field.
    RESET_TOPICS: u8 = 0x01;
    /// Opcode of SetIdKey: key(32) in SK mode, private key(64) in PK mode.
    SET_ID_KEY: u8 = 0x02;
    /// Opcode of SetTopicKey: key(32) ‖ topic hash(16).
    SET_TOPIC_KEY: u8 = 0x03;
    /// Opcode of RemovePubKey: id(16).
    REMOVE_PUB_KEY: u8 = 0x04;
    /// Opcode of ResetPubKeys: no field.
    RESET_PUB_KEYS: u8 = 0x05;
    /// Opcode of SetPubKey: Ed25519 public key(32) ‖ id(16).
    SET_PUB_KEY: u8 = 0x06;
    /// Opcode of SetC2Key: X25519 public key(32).
    SET_C2_KEY: u8 = 0x07;

    /// The longest name, in bytes of UTF-8.
    NAME_MAX: usize = 255;
    /// The shortest password, in bytes of UTF-8.
    PASSWORD_MIN: usize = 16;
    /// The longest topic, in bytes of UTF-8.
    TOPIC_MAX: usize = 65535;
    /// By default, how far a timestamp may be ahead of the clock, in seconds.
    MAX_AHEAD: u64 = 60;
    /// By default, how old a message may be, in seconds.
    MAX_AGE: u64 = 600;
    /// By default, how long a topic's previous key is used, in seconds.
    MAX_PREVIOUS_AGE: u64 = 3600;

    /// Key from password: Argon2i passes.
    KDF_TIME_COST: u32 = 1;
    /// Key from password: Argon2i memory in KiB.
    KDF_MEMORY_KIB: u32 = 65536;
    /// Key from password: Argon2i lanes.
    KDF_LANES: u32 = 4;
}

/// What a control topic's name begins with; the id in lower-case hex follows.
pub const CONTROL_TOPIC_PREFIX: &str = "e4/";

/// The lengths of an opcode's two fields (0: the field is absent), one pair per shape; none for an unknown opcode.
///
/// SetIdKey alone has two shapes, one per mode.
#[must_use]
pub const fn command_fields(opcode: u8) -> &'static [(usize, usize)] {
    match opcode {
        REMOVE_TOPIC => &[(TOPIC_HASH_LEN, 0)],
        RESET_TOPICS | RESET_PUB_KEYS => &[(0, 0)],
        SET_ID_KEY => &[(KEY_LEN, 0), (PRIVATE_KEY_LEN, 0)],
        SET_TOPIC_KEY => &[(KEY_LEN, TOPIC_HASH_LEN)],
        REMOVE_PUB_KEY => &[(ID_LEN, 0)],
        SET_PUB_KEY => &[(PUBLIC_KEY_LEN, ID_LEN)],
        SET_C2_KEY => &[(PUBLIC_KEY_LEN, 0)],
        _ => &[],
    }
}
