//! Results: new `bytes` objects, written in place.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::failure::Failure;

/// From this many bytes of output on, other Python threads may run meanwhile. Below, letting them costs more.
const DETACH_FROM: usize = 64 * 1024;

/// A new `bytes` object of a length, which `write` fills; it is dropped where that fails.
///
/// While `write` runs, nothing else can see the object, and the inputs are either copies or `bytes` that the caller
/// holds; so it may run detached from the interpreter.
pub(crate) fn new_bytes<E: Into<Failure> + Send>(
    py: Python<'_>,
    len: usize,
    write: impl FnOnce(&mut [u8]) -> Result<(), E> + Send,
) -> Result<Bound<'_, PyBytes>, Failure> {
    if len >= DETACH_FROM {
        return new_bytes_detached(py, len, write);
    }
    let mut result = Ok(());
    let bytes = PyBytes::new_with(py, len, |out| {
        result = write(out);
        Ok(())
    })?;
    result.map(|()| bytes).map_err(Into::into)
}

/// The same, always detached from the interpreter.
pub(crate) fn new_bytes_detached<E: Into<Failure> + Send>(
    py: Python<'_>,
    len: usize,
    write: impl FnOnce(&mut [u8]) -> Result<(), E> + Send,
) -> Result<Bound<'_, PyBytes>, Failure> {
    let mut result = Ok(());
    let bytes = PyBytes::new_with(py, len, |out| {
        result = py.detach(|| write(out));
        Ok(())
    })?;
    result.map(|()| bytes).map_err(Into::into)
}
