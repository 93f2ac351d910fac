//! Arguments: bytes-like objects, times, and small integers.

use std::ops::Deref;
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBufferError, PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyList, PyMemoryView, PyTuple};
use zeroize::Zeroizing;

use crate::failure::{Class, Failure};

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
    let buffer = match PyBuffer::<u8>::get(object) {
        Ok(buffer) => buffer,
        // Items of another type, or no buffer at all.
        Err(_) => of_items(&PyMemoryView::from(object)?)?,
    };
    if !buffer.is_c_contiguous() {
        return Err(PyBufferError::new_err("the buffer is not contiguous"));
    }
    let mut bytes = Zeroizing::new(vec![0; buffer.len_bytes()]);
    buffer.copy_to_slice(object.py(), &mut bytes)?;
    Ok(bytes)
}

fn of_items(view: &Bound<'_, PyMemoryView>) -> PyResult<PyBuffer<u8>> {
    if !view.getattr("c_contiguous")?.is_truthy()? {
        return Err(PyBufferError::new_err("the buffer is not contiguous"));
    }
    PyBuffer::get(&view.call_method1("cast", ("B",))?)
}

/// Hands on a sequence of bytes-like objects as slices.
pub(crate) fn with_slices<R>(
    sequence: &Bound<'_, PyAny>,
    work: impl FnOnce(&[&[u8]]) -> Result<R, Failure>,
) -> Result<R, Failure> {
    // A list can be changed by another thread meanwhile; a tuple of its items keeps them alive.
    let objects = match sequence.cast::<PyList>() {
        Ok(list) => list.to_tuple(),
        Err(_) => PyTuple::new(sequence.py(), sequence.try_iter()?.collect::<PyResult<Vec<_>>>()?)?,
    };
    let mut slices = Vec::with_capacity(objects.len());
    slices.extend(objects.iter_borrowed().map_while(|object| object.extract::<&[u8]>().ok()));
    if slices.len() == objects.len() {
        return work(&slices);
    }
    let data = objects.iter_borrowed().map(|object| object.extract()).collect::<PyResult<Vec<Data<'_>>>>()?;
    work(&data.iter().map(|data| &**data).collect::<Vec<_>>())
}

/// A time, or `None`, in whole seconds since the Unix epoch.
pub(crate) fn time(object: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    if object.is_none() { Ok(None) } else { seconds(object).map(Some) }
}

/// A time, in whole seconds since the Unix epoch.
pub(crate) fn seconds(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    integer(object, |py| Class::InvalidTimestamp.raised(py))
}

/// The time given, or else the present by the system's clock, in whole seconds since the Unix epoch.
///
/// The clock is read here, not in Python, where that takes longer than the cipher.
pub(crate) fn or_present(time: Option<u64>) -> u64 {
    time.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// A limit of time, in whole seconds.
pub(crate) fn limit(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    integer(object, |py| Class::InvalidTimestamp.raised_with(py, "limits must be 0 to 2**64 - 1 seconds"))
}

/// An integer parameter of Argon2.
pub(crate) fn parameter(object: &Bound<'_, PyAny>) -> PyResult<u32> {
    integer(object, |py| Class::InvalidInput.raised_with(py, "Argon2 parameters must be 0 to 2**32 - 1"))
}

/// A command's opcode.
pub(crate) fn opcode(object: &Bound<'_, PyAny>) -> PyResult<u8> {
    integer(object, |py| Class::InvalidCommand.raised(py))
}

/// An integer, or what counts as one (`__index__`), but no bool: `True` for a time is a mistake.
///
/// Raises `TypeError` for anything else, and the error given for one out of range.
fn integer<'a, 'py, T: FromPyObject<'a, 'py, Error = PyErr>>(
    object: &'a Bound<'py, PyAny>,
    out_of_range: impl FnOnce(Python<'py>) -> PyErr,
) -> PyResult<T> {
    if object.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err("expected int, not bool"));
    }
    object.extract().map_err(|error: PyErr| {
        let py = object.py();
        if error.is_instance_of::<PyOverflowError>(py) { out_of_range(py) } else { error }
    })
}
