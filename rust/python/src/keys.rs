//! The classes `PrivateKey` and `PublicKey`.

use std::sync::Arc;

use e4_core::curve;
use e4_core::hash::Id;
use pyo3::prelude::*;

use crate::failure::{Class, Failure};
use crate::input::Data;

/// An Ed25519 private key and the id it signs under.
#[pyclass(frozen, module = "e4._native")]
pub(crate) struct PrivateKey {
    pub(crate) key: curve::PrivateKey,
    pub(crate) id: Id,
}

#[pymethods]
impl PrivateKey {
    #[new]
    #[pyo3(signature = (private_key, id, /))]
    fn new(py: Python<'_>, private_key: Data<'_>, id: Data<'_>) -> Result<Self, Failure> {
        let key = curve::PrivateKey::from_bytes(&private_key)?;
        let id = Id((*id).try_into().map_err(|_| Class::InvalidId.raised(py))?);
        Ok(Self { key, id })
    }

    #[expect(clippy::unused_self, reason = "shows no more than the class")]
    fn __repr__(&self) -> &'static str {
        "<e4._native.PrivateKey>"
    }
}

/// An Ed25519 public key, checked and decompressed once.
#[pyclass(frozen, module = "e4._native")]
pub(crate) struct PublicKey(pub(crate) Arc<curve::PublicKey>);

#[pymethods]
impl PublicKey {
    #[new]
    #[pyo3(signature = (public_key, /))]
    fn new(public_key: Data<'_>) -> Result<Self, Failure> {
        Ok(Self(Arc::new(curve::PublicKey::from_bytes(&public_key)?)))
    }

    #[expect(clippy::unused_self, reason = "shows no more than the class")]
    fn __repr__(&self) -> &'static str {
        "<e4._native.PublicKey>"
    }
}
