//! What a person wants done with one document: `crossdock document retry`, `edit`, `discard` and `erase`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::daemon::{CommandRequest, Wish};
use crate::model::{Digest, ModuleRef};
use crate::pipeline::step::RetryMode;

use super::super::exit::Exit;
use super::{Desk, Door, Format, Place, print};

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock document retry 166001 --after-verify")]
pub struct RetryArguments {
    /// The document's key
    key: String,
    #[command(flatten)]
    place: Place,
    /// The document's scheme; needed where several schemes have this key
    #[arg(long)]
    scheme: Option<String>,
    /// The version; the newest parked one where none is named
    #[arg(long)]
    version: Option<u64>,
    /// Ask the target first whether the bill is there
    #[arg(long, conflicts_with = "i_checked")]
    after_verify: bool,
    /// You looked into the target yourself, and the bill is not there
    #[arg(long)]
    i_checked: bool,
    /// Run it with this module, and not with the scheme's: name@version, or the digest
    #[arg(long, value_parser = module)]
    module: Option<Chosen>,
    /// For people, or one JSON object
    #[arg(long = "output", visible_alias = "format", value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock document edit 166001 --body 166001.json")]
pub struct EditArguments {
    /// The document's key, which stays what it is
    key: String,
    #[command(flatten)]
    place: Place,
    /// The document's scheme; needed where several schemes have this key
    #[arg(long)]
    scheme: Option<String>,
    /// The version; the newest parked one where none is named
    #[arg(long)]
    version: Option<u64>,
    /// The body to run instead: a JSON object, as the source would serve it
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// For people, or one JSON object
    #[arg(long = "output", visible_alias = "format", value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: crossdock document discard 166001 --reason 'entered by hand'")]
pub struct DiscardArguments {
    /// The document's key
    key: String,
    #[command(flatten)]
    place: Place,
    /// The document's scheme; needed where several schemes have this key
    #[arg(long)]
    scheme: Option<String>,
    /// The version; the newest parked one where none is named
    #[arg(long)]
    version: Option<u64>,
    /// Why; kept with the document
    #[arg(long)]
    reason: String,
    /// For people, or one JSON object
    #[arg(long = "output", visible_alias = "format", value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: crossdock document erase 166001 --reason 'asked for by the customer, letter of 3 May'\n\n\
                        What the disk still holds of it goes with the next `crossdock compact`; \
                        docs/guides/documents.md says what else there is."
)]
pub struct EraseArguments {
    /// The document's key
    key: String,
    #[command(flatten)]
    place: Place,
    /// The document's scheme; needed where several schemes have this key
    #[arg(long)]
    scheme: Option<String>,
    /// Why; kept with the document, so name nobody in it
    #[arg(long)]
    reason: String,
    /// For people, or one JSON object
    #[arg(long = "output", visible_alias = "format", value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    by: By,
}

/// Who gives an order.
#[derive(Debug, Args)]
pub struct By {
    /// Who wants this, for the document's history; the name you are logged in as where none is given
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl By {
    pub(super) fn name(&self) -> Option<String> {
        let logged_in = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
        self.by.clone().or_else(logged_in).filter(|name| !name.is_empty())
    }
}

/// A module beside the scheme's, as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chosen {
    Digest(Digest),
    Named(ModuleRef),
}

pub(super) fn module(text: &str) -> Result<Chosen, String> {
    if let Ok(digest) = Digest::try_from(text.to_owned()) {
        return Ok(Chosen::Digest(digest));
    }
    let named = text.parse().map(Chosen::Named);
    named.map_err(|_| "is neither name@version nor a digest of 64 hexadecimal digits".to_owned())
}

pub async fn retry(arguments: &RetryArguments) -> Result<(), ExitCode> {
    let RetryArguments { after_verify, i_checked, module, .. } = arguments;
    let door = Desk::open(&arguments.place).await?;
    let wish = Wish::Retry { mode: mode(*after_verify, *i_checked), module: door.module(module.as_ref()).await? };
    let request = CommandRequest {
        scheme: arguments.scheme.clone(),
        key: arguments.key.clone(),
        version: arguments.version,
        wish,
        by: arguments.by.name(),
    };
    command(door, &request, arguments.format, "will be tried again", true).await
}

pub(super) fn mode(after_verify: bool, i_checked: bool) -> RetryMode {
    match (after_verify, i_checked) {
        (true, _) => RetryMode::AfterVerify,
        (_, true) => RetryMode::IChecked,
        (false, false) => RetryMode::Plain,
    }
}

pub async fn edit(arguments: &EditArguments) -> Result<(), ExitCode> {
    let body = std::fs::read_to_string(&arguments.body).map_err(|error| -> ExitCode {
        eprintln!("crossdock: {}: {error}", arguments.body.display());
        Exit::Usage.into()
    })?;
    let request = CommandRequest {
        scheme: arguments.scheme.clone(),
        key: arguments.key.clone(),
        version: arguments.version,
        wish: Wish::Edit { body },
        by: arguments.by.name(),
    };
    command(Desk::open(&arguments.place).await?, &request, arguments.format, "will be run with this body", true).await
}

pub async fn discard(arguments: &DiscardArguments) -> Result<(), ExitCode> {
    let request = CommandRequest {
        scheme: arguments.scheme.clone(),
        key: arguments.key.clone(),
        version: arguments.version,
        wish: Wish::Discard { reason: arguments.reason.clone() },
        by: arguments.by.name(),
    };
    command(Desk::open(&arguments.place).await?, &request, arguments.format, "discarded", false).await
}

pub async fn erase(arguments: &EraseArguments) -> Result<(), ExitCode> {
    let request = CommandRequest {
        scheme: arguments.scheme.clone(),
        key: arguments.key.clone(),
        version: None,
        wish: Wish::Erase { reason: arguments.reason.clone() },
        by: arguments.by.name(),
    };
    command(Desk::open(&arguments.place).await?, &request, arguments.format, "erased, with all before it", false)
        .await?;
    eprintln!("crossdock: {ON_DISK}");
    Ok(())
}

pub(super) const ON_DISK: &str = "no row and no file of the ledger holds it any more; what the disk still has of removed \
                                  rows goes with `crossdock compact`, and backups keep what they hold";

async fn command(
    door: Desk,
    request: &CommandRequest,
    format: Format,
    done: &str,
    works_later: bool,
) -> Result<(), ExitCode> {
    let version = door.command(request).await?;
    match format {
        Format::Json => print(&format!("{}\n", json!({ "key": request.key, "version": version })))?,
        Format::Text => print(&format!("{} v{version}: {done}\n", request.key))?,
    }
    if works_later && matches!(door, Desk::Here(Door::Office(..))) {
        eprintln!("crossdock: no engine runs; it is taken up at the next start");
    }
    door.close()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_by_its_version_or_its_digest() {
        let digest = Digest::of(b"one");
        assert_eq!(module(&digest.to_string()), Ok(Chosen::Digest(digest)));
        assert_eq!(module("saleout@1.1.0"), Ok(Chosen::Named("saleout@1.1.0".parse().unwrap())));
        assert!(module("saleout").unwrap_err().contains("neither name@version nor a digest"));
    }
}
