//! Results: new `bytes` objects, written in place.
//!
//! The one file of this crate with `unsafe`: PyO3 hands out one new `bytes` object at a time, and a batch writes many.
#![allow(unsafe_code, reason = "many new bytes objects at once; see above")]

use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
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

/// About `count` new `bytes` objects of these lengths, which `write` fills, all at once; detached where there is much to write.
pub(crate) fn new_bytes_many<'py, R: Send>(
    py: Python<'py>,
    count: usize,
    lens: impl Iterator<Item = usize>,
    write: impl FnOnce(Vec<&mut [u8]>) -> R + Send,
) -> PyResult<(Vec<Bound<'py, PyBytes>>, R)> {
    let (mut objects, mut outs) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut total = 0;
    for len in lens {
        let size = ffi::Py_ssize_t::try_from(len).map_err(|_| PyMemoryError::new_err(()))?;
        // SAFETY: attached, and a null pointer asks for an object with `size` bytes to be written; null is an error.
        let object = unsafe {
            Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(core::ptr::null(), size))?
        };
        // SAFETY: the object is a `bytes`.
        let object = unsafe { object.cast_into_unchecked::<PyBytes>() };
        // SAFETY: the memory is `len` bytes of an object that nothing else has seen, and is zeroed before it is a
        // slice. It lives as long as `objects`, which outlives `outs`, and each object is in `outs` once. The shared
        // empty `bytes` has no byte that could be written.
        outs.push(unsafe {
            let start = ffi::PyBytes_AsString(object.as_ptr()).cast::<u8>();
            start.write_bytes(0, len);
            core::slice::from_raw_parts_mut(start, len)
        });
        objects.push(object);
        total += len;
    }
    let result = if total >= DETACH_FROM { py.detach(|| write(outs)) } else { write(outs) };
    Ok((objects, result))
}
