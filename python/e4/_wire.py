"""Lengths, offsets and opcodes of the protocol, version 1: the one Python place that knows a layout.

``rust/core/src/wire.rs`` is its twin; a test compares the two. Imports nothing.
"""

from typing import Final

# Lengths, in bytes.
KEY_LEN: Final = 32
ID_LEN: Final = 16
TOPIC_HASH_LEN: Final = 16
TIMESTAMP_LEN: Final = 8
SIV_LEN: Final = 16
SEED_LEN: Final = 32
PRIVATE_KEY_LEN: Final = 64
PUBLIC_KEY_LEN: Final = 32
SIGNATURE_LEN: Final = 64

# SK application message, and a command in either mode: ts(8) ‖ SIV(16) ‖ ciphertext(n).
SYM_SIV: Final = TIMESTAMP_LEN
SYM_CIPHERTEXT: Final = SYM_SIV + SIV_LEN
SYM_OVERHEAD: Final = SYM_CIPHERTEXT

# PK application message: ts(8) ‖ id(16) ‖ SIV(16) ‖ ciphertext(n) ‖ signature(64).
PUB_ID: Final = TIMESTAMP_LEN
PUB_SIV: Final = PUB_ID + ID_LEN
PUB_CIPHERTEXT: Final = PUB_SIV + SIV_LEN
PUB_OVERHEAD: Final = PUB_CIPHERTEXT + SIGNATURE_LEN

# Commands: opcode(1) ‖ fields, each of exact length.
REMOVE_TOPIC: Final = 0x00  # topic hash(16)
RESET_TOPICS: Final = 0x01
SET_ID_KEY: Final = 0x02  # key(32) in SK mode, private key(64) in PK mode
SET_TOPIC_KEY: Final = 0x03  # key(32) ‖ topic hash(16)
REMOVE_PUB_KEY: Final = 0x04  # id(16)
RESET_PUB_KEYS: Final = 0x05
SET_PUB_KEY: Final = 0x06  # public key(32) ‖ id(16)
SET_C2_KEY: Final = 0x07  # public key(32)

# The lengths of each opcode's fields; SetIdKey has one shape per mode.
COMMAND_FIELDS: Final[dict[int, tuple[tuple[int, ...], ...]]] = {
    REMOVE_TOPIC: ((TOPIC_HASH_LEN,),),
    RESET_TOPICS: ((),),
    SET_ID_KEY: ((KEY_LEN,), (PRIVATE_KEY_LEN,)),
    SET_TOPIC_KEY: ((KEY_LEN, TOPIC_HASH_LEN),),
    REMOVE_PUB_KEY: ((ID_LEN,),),
    RESET_PUB_KEYS: ((),),
    SET_PUB_KEY: ((PUBLIC_KEY_LEN, ID_LEN),),
    SET_C2_KEY: ((PUBLIC_KEY_LEN,),),
}

# Names and limits (section 6), and the default limits of time (section 3), in seconds.
NAME_MAX: Final = 255
PASSWORD_MIN: Final = 16
TOPIC_MAX: Final = 65535
CONTROL_TOPIC_PREFIX: Final = "e4/"
MAX_AHEAD: Final = 60
MAX_AGE: Final = 600
MAX_PREVIOUS_AGE: Final = 3600

# Key from password (section 2): Argon2i with an empty salt.
KDF_TIME_COST: Final = 1
KDF_MEMORY_KIB: Final = 65536
KDF_LANES: Final = 4
