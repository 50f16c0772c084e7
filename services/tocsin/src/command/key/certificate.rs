use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tocsin_model::{KeyId, PublicKeyDigest, Timestamp};
use tocsin_runtime::tls::ClientCertificate;
use tocsin_store::{BoundCertificate, Store};

/// Client certificates that speak as a machine's key.
#[derive(Debug, Subcommand)]
pub enum CertificateCommand {
    /// Bind a certificate to a key: whoever holds its private key speaks as that key. A renewed one over the same key pair is bound already.
    Add {
        /// The 32 digits of the key that `key list` shows.
        key: KeyId,
        /// The file of the certificate (PEM); of several the first. Its private key stays with the machine.
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
    },
    /// List the certificates of a key.
    List {
        /// The 32 digits of the key.
        key: KeyId,
    },
    /// Take a certificate from a key.
    Remove {
        /// The 32 digits of the key.
        key: KeyId,
        /// The 64 digits that `key certificate list` shows: the SHA-256 of its public key.
        public_key: PublicKeyDigest,
    },
}

impl CertificateCommand {
    pub(super) async fn run(&self, store: &Store) -> Result<()> {
        match self {
            CertificateCommand::Add { key, certificate: path } => {
                let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
                let read = ClientCertificate::from_pem(&text).with_context(|| format!("read {}", path.display()))?;
                let not_after = read.not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
                let certificate = BoundCertificate {
                    public_key: read.public_key,
                    subject: read.subject,
                    not_after: Timestamp(i64::try_from(not_after.as_millis()).unwrap_or(i64::MAX)),
                };
                store.bind_certificate(*key, &certificate).await?;
                println!("{}", told(&certificate));
                eprintln!("Whoever holds its private key speaks as the key {key}.");
            }
            CertificateCommand::List { key } => {
                for listed in store.list_certificates(*key).await? {
                    println!("{}", told(&listed.certificate));
                }
            }
            CertificateCommand::Remove { key, public_key } => {
                if !store.unbind_certificate(*key, public_key).await? {
                    bail!("no certificate of the public key {public_key} is bound to {key}");
                }
                println!("The certificate is taken from the key {key}.");
            }
        }
        Ok(())
    }
}

/// Its digest, until when it is valid, and whom it names; what a certificate says is kept from moving the cursor.
fn told(certificate: &BoundCertificate) -> String {
    let until = OffsetDateTime::from_unix_timestamp(certificate.not_after.0.div_euclid(1_000));
    let until = until.ok().and_then(|until| until.format(&Rfc3339).ok());
    let plain = |character: char| if character.is_control() { '?' } else { character };
    let subject: String = certificate.subject.chars().map(plain).collect();
    let until = until.unwrap_or_else(|| "a time that is none".to_owned());
    format!("{}  until {until}  {subject}", certificate.public_key)
}
