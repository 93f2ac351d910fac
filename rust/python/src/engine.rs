//! Which of the core's AES implementations all contexts use, chosen once.

use std::sync::OnceLock;

use e4_core::siv::Engine;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

/// Forces an engine, for tests: its name.
const VARIABLE: &str = "E4_ENGINE";

static ENGINE: OnceLock<Engine> = OnceLock::new();

/// The engine: the fastest of this processor, or the one that the environment names.
///
/// Raises `ImportError` for a name that is unknown, or is not for this processor; after the import never.
pub(crate) fn chosen() -> PyResult<Engine> {
    if let Some(engine) = ENGINE.get() {
        return Ok(*engine);
    }
    let engine = match std::env::var(VARIABLE) {
        Err(_) => Engine::best(),
        Ok(name) => named(&name)?,
    };
    Ok(*ENGINE.get_or_init(|| engine))
}

fn named(name: &str) -> PyResult<Engine> {
    let usable = Engine::ALL.into_iter().filter(|engine| engine.is_available()).collect::<Vec<_>>();
    usable.iter().copied().find(|engine| engine.name() == name).ok_or_else(|| {
        let names = usable.iter().map(|engine| engine.name()).collect::<Vec<_>>().join(", ");
        PyImportError::new_err(format!("{VARIABLE} is none of this processor's engines: {names}"))
    })
}
