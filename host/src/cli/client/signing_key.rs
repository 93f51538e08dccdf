//! `crossdock signing-key`: the keys that modules are signed with. The private half is a file on the signer's machine and
//! never leaves it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use clap::{Args, Subcommand};
use ed25519_dalek::{Signer as _, SigningKey};
use reqwest::Method;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::output::{self, field, instant};
use super::{Ask, Body, Common, Error, HELP};
use crate::model::Digest;
use crate::registry::signed_message;

/// What a key's file begins with, so that no other file is taken for one.
const MARK: &str = "crossdock-signing-key-v1:";

/// Keys that modules are signed with.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct SigningKeys {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key pair: the private half into a file that only you can read, the public half to standard output
    New {
        /// The file to make
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Print the public half of a key
    Public { key: PathBuf },
    /// List the tenant's keys
    List,
    /// Register the public half of a key, or a public key in base64
    Add {
        /// What people call it
        #[arg(long)]
        name: String,
        /// The private key's file; only its public half is sent
        #[arg(long, value_name = "FILE", conflicts_with = "public", required_unless_present = "public")]
        key: Option<PathBuf>,
        /// The 32 bytes of a public key in base64
        #[arg(long, value_name = "BASE64")]
        public: Option<String>,
    },
    /// Take a key away; modules that were signed with it stay
    Remove { id: String },
}

pub fn run(arguments: &SigningKeys) -> ExitCode {
    super::run(|| keys(arguments))
}

async fn keys(arguments: &SigningKeys) -> Result<(), Error> {
    let Common { server, output } = &arguments.common;
    let output = *output;
    let shown = |public: String| {
        output::one(output, &json!({ "public_key": public }), |key| format!("{}\n", field(key, "/public_key")))
    };
    match &arguments.command {
        Command::New { out } => shown(public_of(&make(out)?)),
        Command::Public { key } => shown(public_of(&read(key)?)),
        Command::List => {
            let server = server.open()?;
            super::list(
                &server,
                output,
                &server.of_tenant(&["signing-keys"])?,
                usize::MAX,
                &[
                    ("ID", |one| field(one, "/id")),
                    ("NAME", |one| field(one, "/name")),
                    ("PUBLIC KEY", |one| field(one, "/public_key")),
                    ("SINCE", |one| instant(one, "/created_at")),
                ],
            )
            .await
        }
        Command::Add { name, key, public } => {
            let public = match (key, public) {
                (Some(file), _) => public_of(&read(file)?),
                (None, public) => public.clone().unwrap_or_default(),
            };
            let server = server.open()?;
            let body = Body::Json(json!({ "name": name, "public_key": public }));
            let ask = Ask { body, ..Ask::default() };
            let added = server.ask(Method::POST, &server.of_tenant(&["signing-keys"])?, ask).await?.body;
            output::done(output, &added, &format!("signing key {} registered", field(&added, "/id")))
        }
        Command::Remove { id } => {
            let server = server.open()?;
            let path = server.of_tenant(&["signing-keys", id])?;
            let answer: Value = server.ask(Method::DELETE, &path, Ask::default()).await?.body;
            output::done(output, &answer, &format!("signing key {id} removed"))
        }
    }
}

/// The signature of a component, in base64.
pub fn sign(key: &Path, component: &[u8]) -> Result<String, Error> {
    let message = signed_message(&Digest::of(component));
    Ok(BASE64.encode(read(key)?.sign(message.as_bytes()).to_bytes()))
}

fn public_of(key: &SigningKey) -> String {
    BASE64.encode(key.verifying_key().as_bytes())
}

fn make(path: &Path) -> Result<SigningKey, Error> {
    let seed = Zeroizing::new(rand::random::<[u8; 32]>());
    let text = Zeroizing::new(format!("{MARK}{}\n", BASE64.encode(*seed)));
    // Never over another key.
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| Error::File(format!("cannot make {}: {error}", path.display())))?;
    Ok(SigningKey::from_bytes(&seed))
}

fn read(path: &Path) -> Result<SigningKey, Error> {
    let unusable = |why: &str| Error::Usage(format!("{} {why}", path.display()));
    let mode = fs::metadata(path).map_err(|error| unusable(&format!("cannot be read: {error}")))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(unusable("can be read by others: it must have mode 0600"));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| unusable(&format!("cannot be read: {error}")))?);
    let seed = text.trim().strip_prefix(MARK).and_then(|text| BASE64.decode(text).ok()).map(Zeroizing::new);
    let seed = seed.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok()).map(Zeroizing::new);
    let seed = seed.ok_or_else(|| unusable("is no signing key: crossdock signing-key new makes one"))?;
    Ok(SigningKey::from_bytes(&seed))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signature;

    use super::*;

    #[test]
    fn a_key_signs_what_its_public_half_verifies_and_nobody_else_can_read_it() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("build.key");
        let made = make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(make(&path).is_err(), "a key is never written over");
        let signature: [u8; 64] = BASE64.decode(sign(&path, b"one").unwrap()).unwrap().try_into().unwrap();
        let message = signed_message(&Digest::of(b"one"));
        made.verifying_key().verify_strict(message.as_bytes(), &Signature::from_bytes(&signature)).unwrap();

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).is_err());
        let other = temp.path().join("other");
        fs::write(&other, "crossdock-signing-key-v1:AAAA").unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
        let said = read(&other).unwrap_err().to_string();
        assert!(said.contains("no signing key") && !said.contains("AAAA"), "{said}");
    }
}
