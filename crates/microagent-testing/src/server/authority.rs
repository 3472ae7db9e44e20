//! Certificates for servers over TLS.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use microagent_core::{Error, ErrorKind, Result};

/// An authority that signs certificates for private servers, by the program `openssl`.
#[derive(Debug)]
pub struct TestAuthority {
    folder: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

/// The files of a certificate that a [`TestAuthority`] has signed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedCertificate {
    /// The certificate, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
}

impl TestAuthority {
    /// Makes an authority of this name, with its files in this folder.
    ///
    /// # Errors
    /// [`ErrorKind::Driver`] if `openssl` is missing or fails.
    pub fn create(folder: &Path, name: &str) -> Result<Self> {
        let (certificate, key) = (file(folder, name, "pem"), file(folder, name, "key"));
        let new = format!("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name}");
        openssl(&new, &[("-keyout", &key), ("-out", &certificate)])?;
        Ok(Self {
            folder: folder.to_owned(),
            certificate,
            key,
        })
    }

    /// Returns the file with the certificate of the authority, which clients have to trust.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Makes a key and a certificate for a host, in the same folder. It is valid for the name of the host only.
    ///
    /// # Errors
    /// [`ErrorKind::Driver`] if `openssl` or the folder fails.
    pub fn sign(&self, host: &str) -> Result<SignedCertificate> {
        let path = |ending: &str| file(&self.folder, host, ending);
        let (certificate, key) = (path("pem"), path("key"));
        let (request, names) = (path("request"), path("names"));
        let asked = [("-keyout", &*key), ("-out", &*request)];
        let new = format!("req -newkey rsa:2048 -nodes -subj /CN={host}");
        openssl(&new, &asked)?;
        fs::write(&names, format!("subjectAltName=DNS:{host}\n"))?;
        let signing = [
            ("-in", &*request),
            ("-CA", &*self.certificate),
            ("-CAkey", &*self.key),
            ("-extfile", &*names),
            ("-out", &*certificate),
        ];
        openssl("x509 -req -days 2 -CAcreateserial", &signing)?;
        Ok(SignedCertificate { certificate, key })
    }
}

fn file(folder: &Path, name: &str, ending: &str) -> PathBuf {
    folder.join(format!("{name}.{ending}"))
}

fn openssl(command: &str, files: &[(&str, &Path)]) -> Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.args(command.split(' '));
    for (option, file) in files {
        openssl.arg(option).arg(file);
    }
    let failed = |reason: &str| {
        let text = format!("`openssl {command}` failed: {reason}");
        Error::new(ErrorKind::Driver, text)
    };
    let output = openssl.output();
    let output = output.map_err(|error| failed(&error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(&String::from_utf8_lossy(&output.stderr)))
}
