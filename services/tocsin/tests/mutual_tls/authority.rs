//! An authority that issues certificates, as `openssl ca` or a deployment's own would.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use time::OffsetDateTime;

pub struct Authority {
    params: CertificateParams,
    pem: String,
    key: KeyPair,
}

/// A certificate and its private key, in PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// For what a certificate is.
pub struct Of(CertificateParams);

impl Of {
    pub fn server() -> Of {
        Of::usage(ExtendedKeyUsagePurpose::ServerAuth, "localhost")
    }

    pub fn client() -> Of {
        Of::usage(ExtendedKeyUsagePurpose::ClientAuth, "machine")
    }

    fn usage(usage: ExtendedKeyUsagePurpose, name: &str) -> Of {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        Of(params)
    }

    pub fn between(mut self, not_before: OffsetDateTime, not_after: OffsetDateTime) -> Of {
        (self.0.not_before, self.0.not_after) = (not_before, not_after);
        self
    }
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Authority {
            pem: params.self_signed(&key).unwrap().pem(),
            params,
            key,
        }
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn issue(&self, of: Of) -> Pair {
        self.sign(of, KeyPair::generate().unwrap())
    }

    /// Another certificate over the same key pair.
    pub fn renew(&self, pair: &Pair, of: Of) -> Pair {
        self.sign(of, KeyPair::from_pem(&pair.key).unwrap())
    }

    /// Its own certificate, as a client would show it.
    pub fn own(&self) -> Pair {
        Pair {
            certificate: self.pem.clone(),
            key: self.key.serialize_pem(),
        }
    }

    fn sign(&self, of: Of, key: KeyPair) -> Pair {
        let issuer = Issuer::from_params(&self.params, &self.key);
        Pair {
            certificate: of.0.signed_by(&key, &issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Pair {
    /// Writes `NAME.pem` and `NAME.key`.
    pub fn write(&self, directory: &Path, name: &str) {
        std::fs::write(directory.join(format!("{name}.pem")), &self.certificate).unwrap();
        std::fs::write(directory.join(format!("{name}.key")), &self.key).unwrap();
    }

    /// The certificate in one line of base64.
    pub fn base64(&self) -> String {
        let is_body = |line: &&str| !line.starts_with("-----");
        self.certificate.lines().filter(is_body).collect()
    }
}
