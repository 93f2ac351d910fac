//! Arguments: bytes-like objects, times, and small integers.

use std::ops::Deref;
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBufferError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use zeroize::Zeroizing;

use crate::failure::Class;

/// The bytes of an argument.
///
/// Those of a `bytes` object, which nobody can change, are used where they are. Any other contiguous buffer is copied
/// out first, for Python code on another thread may write to it at any time; the copy is wiped, as it may be a key.
pub(crate) enum Data<'a> {
    Bytes(&'a [u8]),
    Copied(Zeroizing<Vec<u8>>),
}

impl Data<'_> {
    pub(crate) const EMPTY: Self = Self::Bytes(b"");
}

impl Deref for Data<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Copied(bytes) => bytes,
        }
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Data<'a> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match object.extract() {
            Ok(bytes) => Ok(Self::Bytes(bytes)),
            Err(_) => copied(&object).map(Self::Copied),
        }
    }
}

/// The bytes of any contiguous buffer, whatever its items are.
///
/// Raises `TypeError` for what is no buffer, `BufferError` for one that is not contiguous.
#[cold]
fn copied(object: &Bound<'_, PyAny>) -> PyResult<Zeroizing<Vec<u8>>> {
    let py = object.py();
    let view = PyMemoryView::from(object)?;
    if !view.getattr("c_contiguous")?.is_truthy()? {
        return Err(PyBufferError::new_err("the buffer is not contiguous"));
    }
    let buffer = PyBuffer::<u8>::get(&view.call_method1("cast", ("B",))?)?;
    let mut bytes = Zeroizing::new(vec![0; buffer.len_bytes()]);
    buffer.copy_to_slice(py, &mut bytes)?;
    Ok(bytes)
}

/// A time or a span, in whole seconds.
pub(crate) fn seconds(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    object.extract().map_err(|error: PyErr| {
        let py = object.py();
        if error.is_instance_of::<PyOverflowError>(py) { Class::InvalidTimestamp.raised(py) } else { error }
    })
}

/// A time, or `None`.
pub(crate) fn time(object: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    if object.is_none() { Ok(None) } else { seconds(object).map(Some) }
}

/// The time given, or else the present by the system's clock, in whole seconds since the Unix epoch.
///
/// The clock is read here, not in Python, where that takes longer than the cipher.
pub(crate) fn or_present(time: Option<u64>) -> u64 {
    time.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// An integer parameter of Argon2.
pub(crate) fn parameter(object: &Bound<'_, PyAny>) -> PyResult<u32> {
    object.extract().map_err(|error: PyErr| {
        let py = object.py();
        if error.is_instance_of::<PyOverflowError>(py) {
            Class::InvalidInput.raised_with(py, "Argon2 parameters must be 0 to 2**32 - 1".to_owned())
        } else {
            error
        }
    })
}

/// A command's opcode.
pub(crate) fn opcode(object: &Bound<'_, PyAny>) -> PyResult<u8> {
    object.extract().map_err(|error: PyErr| {
        let py = object.py();
        if error.is_instance_of::<PyOverflowError>(py) { Class::InvalidCommand.raised(py) } else { error }
    })
}
