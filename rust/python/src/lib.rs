//! The Python module `e4._native`: `e4-core` behind the names of the Protocol `Backend` in `python/e4/backend.py`.
//!
//! Only this crate knows PyO3. It checks arguments, maps errors to the classes of `e4.errors`, and decides when to
//! detach from the interpreter; every answer comes from `e4-core`. Nothing relies on the GIL for safety: all classes
//! are frozen, and no reference into memory that Python code could change is ever held.

mod contexts;
mod engine;
mod failure;
mod functions;
mod input;
mod keys;
mod output;

/// The native crypto backend of e4: the Rust core. The Protocol `e4.backend.Backend` documents its names.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;
    use pyo3::types::PyDict;

    #[pymodule_export]
    use crate::contexts::{SignedTopicKey, SymKey};
    #[pymodule_export]
    use crate::functions::{
        argon2i, check_curve25519_public_key, curve25519, curve25519_public_key, ed25519_public_key,
        ed25519_sign, ed25519_verify, encode_command, parse_command, private_ed25519_key_to_curve25519,
        public_ed25519_key_to_curve25519, sha3_256, siv_open, siv_seal,
    };
    #[pymodule_export]
    use crate::keys::{PrivateKey, PublicKey};

    #[pymodule_export]
    const NAME: &str = "native";

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let wire = PyDict::new(module.py());
        for (name, value) in e4_core::wire::NAMED {
            wire.set_item(name, value)?;
        }
        wire.set_item("CONTROL_TOPIC_PREFIX", e4_core::wire::CONTROL_TOPIC_PREFIX)?;
        module.add("WIRE", wire)?;
        module.add("ENGINE", crate::engine::chosen()?.name())
    }
}
