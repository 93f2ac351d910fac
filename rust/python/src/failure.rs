//! Errors on their way to Python: those of the core become the classes of `e4.errors`, which are imported once.

use e4_core::{Error, KeyFault};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// Why a function of this module did not return.
pub(crate) enum Failure {
    /// The core refused.
    Core(Error),
    /// Python raised, or an argument had a wrong type.
    Python(PyErr),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<KeyFault> for Failure {
    fn from(fault: KeyFault) -> Self {
        Self::Core(fault.into())
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Core(error) => Python::attach(|py| raised(py, error)),
            Failure::Python(error) => error,
        }
    }
}

/// Declares the classes of `e4.errors` that this module raises, each with its place in the cache.
macro_rules! classes {
    ($($class:ident),* $(,)?) => {
        /// A class of `e4.errors`.
        #[derive(Clone, Copy)]
        pub(crate) enum Class { $($class),* }

        impl Class {
            fn get(self, py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
                match self {
                    $(Self::$class => {
                        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
                        CLASS.import(py, "e4.errors", stringify!($class))
                    })*
                }
            }
        }
    };
}

classes!(
    InvalidCommand,
    InvalidId,
    InvalidInput,
    InvalidKey,
    InvalidSignature,
    InvalidTimestamp,
    MalformedMessage,
    NotAuthentic,
    PublicKeyMissing,
    TimestampInFuture,
    TimestampTooOld,
);

impl Class {
    /// An exception with the class's own text.
    pub(crate) fn raised(self, py: Python<'_>) -> PyErr {
        self.get(py).map_or_else(|error| error, |class| PyErr::from_type(class.clone(), ()))
    }

    /// An exception with a text of one line, which must hold no secret.
    pub(crate) fn raised_with(self, py: Python<'_>, text: &str) -> PyErr {
        self.get(py).map_or_else(|error| error, |class| PyErr::from_type(class.clone(), (text.to_owned(),)))
    }
}

fn raised(py: Python<'_>, error: Error) -> PyErr {
    match error {
        Error::Malformed => Class::MalformedMessage.raised(py),
        Error::TimestampInFuture => Class::TimestampInFuture.raised(py),
        Error::TimestampTooOld => Class::TimestampTooOld.raised(py),
        Error::PublicKeyMissing => Class::PublicKeyMissing.raised(py),
        Error::InvalidSignature => Class::InvalidSignature.raised(py),
        Error::NotAuthentic => Class::NotAuthentic.raised(py),
        Error::UnknownCommand | Error::CommandLength => {
            Class::InvalidCommand.raised_with(py, &error.to_string())
        }
        Error::InvalidKey(_) => Class::InvalidKey.raised_with(py, &error.to_string()),
        Error::OutOfMemory => PyMemoryError::new_err(()),
        _ => Class::InvalidInput.raised_with(py, &error.to_string()),
    }
}
