//! The classes `SymKey` and `SignedTopicKey`: they protect and unprotect, one message or many, in one crossing.

use std::sync::Arc;

use e4_core::hash::Id;
use e4_core::message::{self, Limits, PubMessage, SymMessage};
use e4_core::{Error, curve, wire};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping};

use crate::failure::Failure;
use crate::input::{Data, or_present, seconds, time};
use crate::keys;
use crate::output::new_bytes;

/// The context of one 32-byte symmetric key, with the previous key during a transition.
#[pyclass(frozen, module = "e4._native")]
pub(crate) struct SymKey(message::SymKey);

#[pymethods]
impl SymKey {
    #[new]
    #[pyo3(signature = (
        key, *, previous=None, previous_since=0, max_ahead=60, max_age=600, max_previous_age=3600
    ))]
    fn new(
        key: Data<'_>,
        previous: Option<Data<'_>>,
        #[pyo3(from_py_with = seconds)] previous_since: u64,
        #[pyo3(from_py_with = seconds)] max_ahead: u64,
        #[pyo3(from_py_with = seconds)] max_age: u64,
        #[pyo3(from_py_with = seconds)] max_previous_age: u64,
    ) -> Result<Self, Failure> {
        let context = message::SymKey::new(&key, Limits { max_ahead, max_age, max_previous_age })?;
        Ok(Self(match previous {
            Some(previous) => context.with_previous(&previous, previous_since)?,
            None => context,
        }))
    }

    /// Protect one payload: bytes to bytes that are 24 longer.
    #[pyo3(signature = (payload, timestamp=None, /))]
    fn protect<'py>(
        &self,
        py: Python<'py>,
        payload: Data<'_>,
        #[pyo3(from_py_with = time)] timestamp: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>, Failure> {
        self.protect_one(py, &payload, or_present(timestamp))
    }

    /// Check one message and return its payload.
    #[pyo3(signature = (message, now=None, /))]
    fn unprotect<'py>(
        &self,
        py: Python<'py>,
        message: Data<'_>,
        #[pyo3(from_py_with = time)] now: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>, Failure> {
        self.unprotect_one(py, &message, or_present(now))
    }

    /// Protect many payloads, all with one timestamp.
    #[pyo3(signature = (payloads, timestamp=None, /))]
    fn protect_many<'py>(
        &self,
        payloads: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = time)] timestamp: Option<u64>,
    ) -> Result<Bound<'py, PyList>, Failure> {
        protect_many(self, payloads, or_present(timestamp))
    }

    /// Unprotect many messages; a refused one gives its error in its place.
    #[pyo3(signature = (messages, now=None, /))]
    fn unprotect_many<'py>(
        &self,
        messages: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = time)] now: Option<u64>,
    ) -> Result<Bound<'py, PyList>, Failure> {
        unprotect_many(self, messages, or_present(now))
    }

    #[expect(clippy::unused_self, reason = "shows no more than the class")]
    fn __repr__(&self) -> &'static str {
        "<e4._native.SymKey>"
    }
}

impl Context for SymKey {
    fn protect_one<'py>(
        &self,
        py: Python<'py>,
        payload: &[u8],
        timestamp: u64,
    ) -> Result<Bound<'py, PyBytes>, Failure> {
        new_bytes(py, payload.len() + wire::SYM_OVERHEAD, |out| self.0.protect(payload, timestamp, out))
    }

    fn unprotect_one<'py>(
        &self,
        py: Python<'py>,
        message: &[u8],
        now: u64,
    ) -> Result<Bound<'py, PyBytes>, Failure> {
        let message = SymMessage::parse(message)?;
        new_bytes(py, message.payload_len(), |out| self.0.unprotect(&message, now, out))
    }
}

/// The context of one topic in PK mode: a topic key, a signer, and the signers it knows.
#[pyclass(frozen, module = "e4._native")]
pub(crate) struct SignedTopicKey {
    topic_key: Py<SymKey>,
    private_key: Py<keys::PrivateKey>,
    public_keys: Py<PyMapping>,
}

#[pymethods]
impl SignedTopicKey {
    #[new]
    #[pyo3(signature = (topic_key, private_key, public_keys, /))]
    fn new(
        topic_key: Py<SymKey>,
        private_key: Py<keys::PrivateKey>,
        public_keys: Bound<'_, PyMapping>,
    ) -> Self {
        Self { topic_key, private_key, public_keys: public_keys.unbind() }
    }

    /// Protect and sign one payload: bytes to bytes that are 104 longer.
    #[pyo3(signature = (payload, timestamp=None, /))]
    fn protect<'py>(
        &self,
        py: Python<'py>,
        payload: Data<'_>,
        #[pyo3(from_py_with = time)] timestamp: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>, Failure> {
        self.protect_one(py, &payload, or_present(timestamp))
    }

    /// Check one signed message and return its payload.
    #[pyo3(signature = (message, now=None, /))]
    fn unprotect<'py>(
        &self,
        py: Python<'py>,
        message: Data<'_>,
        #[pyo3(from_py_with = time)] now: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>, Failure> {
        self.unprotect_one(py, &message, or_present(now))
    }

    /// Protect and sign many payloads, all with one timestamp.
    #[pyo3(signature = (payloads, timestamp=None, /))]
    fn protect_many<'py>(
        &self,
        payloads: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = time)] timestamp: Option<u64>,
    ) -> Result<Bound<'py, PyList>, Failure> {
        protect_many(self, payloads, or_present(timestamp))
    }

    /// Unprotect many signed messages; a refused one gives its error in its place.
    #[pyo3(signature = (messages, now=None, /))]
    fn unprotect_many<'py>(
        &self,
        messages: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = time)] now: Option<u64>,
    ) -> Result<Bound<'py, PyList>, Failure> {
        unprotect_many(self, messages, or_present(now))
    }

    #[expect(clippy::unused_self, reason = "shows no more than the class")]
    fn __repr__(&self) -> &'static str {
        "<e4._native.SignedTopicKey>"
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.topic_key)?;
        visit.call(&self.private_key)?;
        visit.call(&self.public_keys)
    }
}

impl SignedTopicKey {
    /// The public key that is stored under an id.
    fn find(&self, id: &Id) -> Result<Arc<curve::PublicKey>, Failure> {
        Python::attach(|py| {
            let keys = self.public_keys.bind(py);
            let id = PyBytes::new(py, &id.0);
            let found = match keys.cast::<PyDict>() {
                Ok(keys) => keys.get_item(id)?,
                Err(_) => Some(keys.call_method1("get", (id,))?).filter(|found| !found.is_none()),
            };
            let found = found.ok_or(Error::PublicKeyMissing)?;
            let key = found.cast::<keys::PublicKey>().map_err(PyErr::from)?;
            Ok(Arc::clone(&key.get().0))
        })
    }
}

impl Context for SignedTopicKey {
    fn protect_one<'py>(
        &self,
        py: Python<'py>,
        payload: &[u8],
        timestamp: u64,
    ) -> Result<Bound<'py, PyBytes>, Failure> {
        let (topic_key, signer) = (&self.topic_key.get().0, self.private_key.get());
        new_bytes(py, payload.len() + wire::PUB_OVERHEAD, |out| {
            topic_key.protect_signed(&signer.key, &signer.id, payload, timestamp, out)
        })
    }

    fn unprotect_one<'py>(
        &self,
        py: Python<'py>,
        message: &[u8],
        now: u64,
    ) -> Result<Bound<'py, PyBytes>, Failure> {
        let message = PubMessage::parse(message)?;
        let topic_key = &self.topic_key.get().0;
        new_bytes(py, message.payload_len(), |out| {
            topic_key.unprotect_signed(&message, now, |id| self.find(id), out)
        })
    }
}

/// What the two classes do with one message; many of them are done alike.
trait Context {
    fn protect_one<'py>(
        &self,
        py: Python<'py>,
        payload: &[u8],
        timestamp: u64,
    ) -> Result<Bound<'py, PyBytes>, Failure>;

    fn unprotect_one<'py>(
        &self,
        py: Python<'py>,
        message: &[u8],
        now: u64,
    ) -> Result<Bound<'py, PyBytes>, Failure>;
}

fn protect_many<'py>(
    context: &impl Context,
    payloads: &Bound<'py, PyAny>,
    timestamp: u64,
) -> Result<Bound<'py, PyList>, Failure> {
    let py = payloads.py();
    let result = PyList::empty(py);
    for payload in payloads.try_iter()? {
        let payload = payload?;
        result.append(context.protect_one(py, &payload.extract::<Data<'_>>()?, timestamp)?)?;
    }
    Ok(result)
}

fn unprotect_many<'py>(
    context: &impl Context,
    messages: &Bound<'py, PyAny>,
    now: u64,
) -> Result<Bound<'py, PyList>, Failure> {
    let py = messages.py();
    let result = PyList::empty(py);
    for message in messages.try_iter()? {
        let message = message?;
        match context.unprotect_one(py, &message.extract::<Data<'_>>()?, now) {
            Ok(payload) => result.append(payload)?,
            Err(Failure::Core(error)) => result.append(PyErr::from(Failure::Core(error)).into_value(py))?,
            Err(failure) => return Err(failure),
        }
    }
    Ok(result)
}
