use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use tocsin_model::PublicKeyDigest;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

/// What a certificate of X.509 (RFC 5280) says of whom it is for. In the extensions of a request: it was verified in the handshake of the connection on which
/// the request came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// What it is known by: its public key.
    pub public_key: PublicKeyDigest,
    /// Whom it names, as RFC 4514 writes it.
    pub subject: String,
    /// Until when it is valid.
    pub not_after: SystemTime,
}

/// The bytes are no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a certificate of X.509 is wanted, in PEM")]
pub struct CertificateError;

impl ClientCertificate {
    /// Reads the first certificate of a text in PEM. Whether it is valid is not looked at.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        let der = CertificateDer::from_pem_slice(text).map_err(|_| CertificateError)?;
        ClientCertificate::from_der(&der)
    }

    /// Reads a certificate in DER. Whether it is valid is not looked at.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Certificate::from_der(der).map_err(|_| CertificateError)?;
        let told = certificate.tbs_certificate();
        let public_key = told.subject_public_key_info().to_der().map_err(|_| CertificateError)?;
        Ok(ClientCertificate {
            public_key: PublicKeyDigest(Sha256::digest(public_key).into()),
            subject: told.subject().to_string(),
            not_after: told.validity().not_after.to_system_time(),
        })
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a certificate is known by its public key, as other tools tell it.
    #![allow(clippy::unwrap_used)]

    use std::process::{Command, Stdio};

    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _};

    use super::*;

    fn certificate(key: &KeyPair, name: &str) -> rcgen::Certificate {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        params.self_signed(key).unwrap()
    }

    #[test]
    fn what_is_renewed_over_one_key_pair_is_known_by_the_same_digest() {
        let key = KeyPair::generate().unwrap();
        let first = ClientCertificate::from_pem(certificate(&key, "one").pem().as_bytes()).unwrap();
        let second = ClientCertificate::from_der(certificate(&key, "two").der()).unwrap();
        assert_eq!(first.public_key, second.public_key);
        assert_eq!(
            first.public_key.0[..],
            Sha256::digest(key.subject_public_key_info())[..]
        );
        assert!(first.subject.contains("CN=one"), "{}", first.subject);
        let seconds = first
            .not_after
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert_eq!(seconds, 1_927_843_200);
        let other = KeyPair::generate().unwrap();
        let other = ClientCertificate::from_der(certificate(&other, "one").der()).unwrap();
        assert_ne!(other.public_key, first.public_key);
    }

    #[test]
    fn openssl_gives_the_same_digest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("certificate.pem");
        let pem = certificate(&KeyPair::generate().unwrap(), "one").pem();
        std::fs::write(&path, &pem).unwrap();
        let openssl = |arguments: &[&str], input: Vec<u8>| {
            let mut child = Command::new("openssl")
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), &input).unwrap();
            child.wait_with_output().unwrap().stdout
        };
        let public = openssl(
            &["x509", "-in", path.to_str().unwrap(), "-pubkey", "-noout"],
            Vec::new(),
        );
        let der = openssl(&["pkey", "-pubin", "-outform", "der"], public);
        let digest = openssl(&["dgst", "-sha256", "-binary"], der);
        let read = ClientCertificate::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(digest, read.public_key.0);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let pem = certificate(&KeyPair::generate().unwrap(), "one").pem();
        let der = certificate(&KeyPair::generate().unwrap(), "one").der().to_vec();
        let key = KeyPair::generate().unwrap().serialize_pem();
        for bad in ["", "nothing", &pem[..pem.len() / 2], &key] {
            assert_eq!(
                ClientCertificate::from_pem(bad.as_bytes()),
                Err(CertificateError),
                "{bad}"
            );
        }
        for length in 0..der.len() {
            assert_eq!(
                ClientCertificate::from_der(&der[..length]),
                Err(CertificateError),
                "{length}"
            );
        }
        assert_eq!(
            ClientCertificate::from_der(&[&der[..], &[0]].concat()),
            Err(CertificateError)
        );
    }
}
