//! The classes `SymKey` and `SignedTopicKey`: they protect and unprotect, one message or many, in one crossing.

use std::sync::Arc;

use e4_core::hash::Id;
use e4_core::message::{self, Incoming, Limits, Outgoing, PubMessage, SymMessage};
use e4_core::{Error, curve, wire};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping};

use crate::engine;
use crate::failure::Failure;
use crate::input::{Data, limit, or_present, seconds, time, with_slices};
use crate::keys;
use crate::output::{new_bytes, new_bytes_many};

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
        #[pyo3(from_py_with = limit)] max_ahead: u64,
        #[pyo3(from_py_with = limit)] max_age: u64,
        #[pyo3(from_py_with = limit)] max_previous_age: u64,
    ) -> Result<Self, Failure> {
        let context =
            message::SymKey::new(&key, Limits { max_ahead, max_age, max_previous_age }, engine::chosen()?)?;
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
        let (payload, timestamp) = (&*payload, or_present(timestamp));
        new_bytes(py, payload.len() + wire::SYM_OVERHEAD, |out| self.0.protect(payload, timestamp, out))
    }

    /// Check one message and return its payload.
    #[pyo3(signature = (message, now=None, /))]
    fn unprotect<'py>(
        &self,
        py: Python<'py>,
        message: Data<'_>,
        #[pyo3(from_py_with = time)] now: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>, Failure> {
        let (message, now) = (SymMessage::parse(&message)?, or_present(now));
        new_bytes(py, message.payload_len(), |out| self.0.unprotect(&message, now, out))
    }

    /// Protect many payloads, all with one timestamp.
    #[pyo3(signature = (payloads, timestamp=None, /))]
    fn protect_many<'py>(
        &self,
        payloads: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = time)] timestamp: Option<u64>,
    ) -> Result<Bound<'py, PyList>, Failure> {
        let (py, timestamp) = (payloads.py(), or_present(timestamp));
        with_slices(payloads, |payloads| {
            let lens = payloads.iter().map(|payload| payload.len() + wire::SYM_OVERHEAD);
            let (messages, result) = new_bytes_many(py, payloads.len(), lens, |outs| {
                let mut outgoing: Vec<_> = payloads
                    .iter()
                    .zip(outs)
                    .map(|(payload, message)| Outgoing { payload, message })
                    .collect();
                self.0.protect_many(&mut outgoing, timestamp)
            })?;
            result?;
            Ok(PyList::new(py, messages)?)
        })
    }

    /// Unprotect many messages; a refused one gives its error in its place.
    #[pyo3(signature = (messages, now=None, /))]
    fn unprotect_many<'py>(
        &self,
        messages: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = time)] now: Option<u64>,
    ) -> Result<Bound<'py, PyList>, Failure> {
        let (py, now) = (messages.py(), or_present(now));
        with_slices(messages, |messages| {
            let lens = messages.iter().map(|message| Incoming::payload_len(message.len()));
            let (payloads, outcomes) = new_bytes_many(py, messages.len(), lens, |outs| {
                let mut incoming: Vec<_> = messages
                    .iter()
                    .zip(outs)
                    .map(|(message, payload)| Incoming { message, payload })
                    .collect();
                self.0.unprotect_many(&mut incoming, now)
            })?;
            if outcomes.iter().all(Result::is_ok) {
                return Ok(PyList::new(py, payloads)?);
            }
            let list = PyList::empty(py);
            payloads.into_iter().zip(outcomes).try_for_each(|(payload, outcome)| match outcome {
                Ok(()) => Ok(list.append(payload)?),
                Err(error) => append_error(&list, error),
            })?;
            Ok(list)
        })
    }

    #[expect(clippy::unused_self, reason = "shows no more than the class")]
    fn __repr__(&self) -> &'static str {
        "<e4._native.SymKey>"
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
        let (result, timestamp) = (PyList::empty(payloads.py()), or_present(timestamp));
        with_slices(payloads, |payloads| {
            payloads.iter().try_for_each(|payload| {
                Ok(result.append(self.protect_one(result.py(), payload, timestamp)?)?)
            })
        })?;
        Ok(result)
    }

    /// Unprotect many signed messages; a refused one gives its error in its place.
    #[pyo3(signature = (messages, now=None, /))]
    fn unprotect_many<'py>(
        &self,
        messages: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = time)] now: Option<u64>,
    ) -> Result<Bound<'py, PyList>, Failure> {
        let (result, now) = (PyList::empty(messages.py()), or_present(now));
        with_slices(messages, |messages| {
            messages.iter().try_for_each(|message| match self.unprotect_one(result.py(), message, now) {
                Ok(payload) => Ok(result.append(payload)?),
                Err(Failure::Core(error)) => append_error(&result, error),
                Err(failure) => Err(failure),
            })
        })?;
        Ok(result)
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

/// A refused message's error takes its place in the list.
fn append_error(list: &Bound<'_, PyList>, error: Error) -> Result<(), Failure> {
    Ok(list.append(PyErr::from(Failure::Core(error)).into_value(list.py()))?)
}
