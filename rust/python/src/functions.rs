//! The functions of the module: primitives of the protocol's section 2, and commands.

use e4_core::command::Command;
use e4_core::curve::{self, PrivateKey, PublicKey};
use e4_core::kdf::{self, Params};
use e4_core::siv::TwoKeySiv;
use e4_core::{Error, hash, wire};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::failure::Failure;
use crate::input::{Data, opcode as to_opcode, parameter, with_slices};
use crate::output::{new_bytes, new_bytes_detached};

/// SHA3-256 (FIPS 202), 32 bytes.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub(crate) fn sha3_256<'py>(py: Python<'py>, data: Data<'_>) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &hash::sha3_256(&data))
}

/// Argon2i version 1.3 (RFC 9106); any salt length, also none.
#[pyfunction]
#[pyo3(signature = (
    password, salt, /, *, time_cost, memory_kib, lanes, length, secret=Data::EMPTY,
    associated_data=Data::EMPTY
))]
#[expect(clippy::too_many_arguments, reason = "they are the parameters of Argon2")]
pub(crate) fn argon2i<'py>(
    py: Python<'py>,
    password: Data<'_>,
    salt: Data<'_>,
    #[pyo3(from_py_with = parameter)] time_cost: u32,
    #[pyo3(from_py_with = parameter)] memory_kib: u32,
    #[pyo3(from_py_with = parameter)] lanes: u32,
    #[pyo3(from_py_with = parameter)] length: u32,
    secret: Data<'_>,
    associated_data: Data<'_>,
) -> Result<Bound<'py, PyBytes>, Failure> {
    let params = Params {
        time_cost,
        memory_kib,
        lanes,
        salt: &salt,
        secret: &secret,
        associated_data: &associated_data,
    };
    let password = &*password;
    new_bytes_detached(py, length as usize, |out| kdf::argon2i(password, &params, out))
}

/// AES-SIV of RFC 5297 in its two-key form: SIV(16) ‖ ciphertext.
#[pyfunction]
#[pyo3(signature = (key, associated_data, plaintext, /))]
pub(crate) fn siv_seal<'py>(
    py: Python<'py>,
    key: Data<'_>,
    associated_data: &Bound<'py, PyAny>,
    plaintext: Data<'_>,
) -> Result<Bound<'py, PyBytes>, Failure> {
    let siv = TwoKeySiv::new(&key)?;
    with_slices(associated_data, |strings| {
        new_bytes(py, plaintext.len() + wire::SIV_LEN, |out| siv.seal(strings, &plaintext, out))
    })
}

/// The inverse of siv_seal.
#[pyfunction]
#[pyo3(signature = (key, associated_data, sealed, /))]
pub(crate) fn siv_open<'py>(
    py: Python<'py>,
    key: Data<'_>,
    associated_data: &Bound<'py, PyAny>,
    sealed: Data<'_>,
) -> Result<Bound<'py, PyBytes>, Failure> {
    let siv = TwoKeySiv::new(&key)?;
    let len = sealed.len().checked_sub(wire::SIV_LEN).ok_or(Error::Malformed)?;
    with_slices(associated_data, |strings| new_bytes(py, len, |out| siv.open(strings, &sealed, out)))
}

/// The public key of a 32-byte seed, or of a 64-byte private key, which is checked.
#[pyfunction]
#[pyo3(signature = (private_key, /))]
pub(crate) fn ed25519_public_key<'py>(
    py: Python<'py>,
    private_key: Data<'_>,
) -> Result<Bound<'py, PyBytes>, Failure> {
    let key = match (*private_key).try_into() {
        Ok(seed) => PrivateKey::from_seed(seed),
        Err(_) => PrivateKey::from_bytes(&private_key)?,
    };
    Ok(PyBytes::new(py, &key.public_key()))
}

/// The Ed25519 signature (RFC 8032) by a 64-byte private key, which is checked.
#[pyfunction]
#[pyo3(signature = (private_key, message, /))]
pub(crate) fn ed25519_sign<'py>(
    py: Python<'py>,
    private_key: Data<'_>,
    message: Data<'_>,
) -> Result<Bound<'py, PyBytes>, Failure> {
    Ok(PyBytes::new(py, &PrivateKey::from_bytes(&private_key)?.sign(&message)))
}

/// Cofactorless verification of an Ed25519 signature.
#[pyfunction]
#[pyo3(signature = (public_key, message, signature, /))]
pub(crate) fn ed25519_verify(
    public_key: Data<'_>,
    message: Data<'_>,
    signature: Data<'_>,
) -> Result<(), Failure> {
    Ok(PublicKey::from_bytes(&public_key)?.verify(&message, &signature)?)
}

/// The X25519 public key of an Ed25519 public key.
#[pyfunction]
#[pyo3(signature = (public_key, /))]
pub(crate) fn public_ed25519_key_to_curve25519<'py>(
    py: Python<'py>,
    public_key: Data<'_>,
) -> Result<Bound<'py, PyBytes>, Failure> {
    Ok(PyBytes::new(py, &PublicKey::from_bytes(&public_key)?.to_x25519()))
}

/// The X25519 private key of a 64-byte Ed25519 private key, which is checked.
#[pyfunction]
#[pyo3(signature = (private_key, /))]
pub(crate) fn private_ed25519_key_to_curve25519<'py>(
    py: Python<'py>,
    private_key: Data<'_>,
) -> Result<Bound<'py, PyBytes>, Failure> {
    Ok(PyBytes::new(py, PrivateKey::from_bytes(&private_key)?.to_x25519().as_slice()))
}

/// X25519 of a 32-byte private key and the base point.
#[pyfunction]
#[pyo3(signature = (private_key, /))]
pub(crate) fn curve25519_public_key<'py>(
    py: Python<'py>,
    private_key: Data<'_>,
) -> Result<Bound<'py, PyBytes>, Failure> {
    Ok(PyBytes::new(py, &curve::x25519_public_key(&private_key)?))
}

/// X25519 (RFC 7748), 32 bytes.
#[pyfunction]
#[pyo3(signature = (private_key, public_key, /))]
pub(crate) fn curve25519<'py>(
    py: Python<'py>,
    private_key: Data<'_>,
    public_key: Data<'_>,
) -> Result<Bound<'py, PyBytes>, Failure> {
    Ok(PyBytes::new(py, curve::x25519(&private_key, &public_key)?.as_slice()))
}

/// Refuse an X25519 public key that is not 32 bytes or gives an all-zero shared secret.
#[pyfunction]
#[pyo3(signature = (public_key, /))]
pub(crate) fn check_curve25519_public_key(public_key: Data<'_>) -> Result<(), Failure> {
    Ok(curve::check_x25519_public_key(&public_key)?)
}

/// The plaintext of a command: opcode ‖ first ‖ second.
#[pyfunction]
#[pyo3(signature = (opcode, first=Data::EMPTY, second=Data::EMPTY, /))]
pub(crate) fn encode_command<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = to_opcode)] opcode: u8,
    first: Data<'_>,
    second: Data<'_>,
) -> Result<Bound<'py, PyBytes>, Failure> {
    Ok(PyBytes::new(py, &Command::from_fields(opcode, &first, &second)?.encode()))
}

/// The opcode of a command and its fields in wire order, empty for those it does not have.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub(crate) fn parse_command<'py>(
    py: Python<'py>,
    data: Data<'_>,
) -> Result<(u8, Bound<'py, PyBytes>, Bound<'py, PyBytes>), Failure> {
    let command = Command::parse(&data)?;
    let (opcode, first, second) = command.fields();
    Ok((opcode, PyBytes::new(py, first), PyBytes::new(py, second)))
}
