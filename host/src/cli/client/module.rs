//! `crossdock module`: uploaded, looked at, signed, fetched, deleted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::form::Form;
use super::output::{self, digest, field, instant, number, size};
use super::{Ask, Body, Common, Error, HELP, Server, signing_key};
use crate::model::{Digest, ModuleRef};

/// Modules that were uploaded. A name and version stays what it is for ever.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Modules {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the tenant's modules
    List {
        /// At most so many
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Show a module and what its upload was answered with
    Show {
        /// name@version, or the digest
        module: String,
    },
    /// Upload a component; the same bytes again change nothing
    #[command(
        after_help = "Example: crossdock module upload saleout.wasm --sample 166001=cases/1/input.json --sign build.key"
    )]
    Upload(Upload),
    /// Print the signature of a component, in base64
    Sign {
        /// The component
        component: PathBuf,
        /// The key that `signing-key new` made
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
    },
    /// Fetch a component, byte for byte as it was uploaded
    Download {
        /// name@version, or the digest
        module: String,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Delete a module that no scheme runs or could roll back to; its name and version stay taken
    Delete {
        /// name@version, or the digest
        module: String,
    },
}

#[derive(Debug, Args)]
struct Upload {
    /// The component
    component: PathBuf,
    /// A document to try it with, and its key; without KEY= the file's name without .json is the key. May be repeated
    #[arg(long, value_name = "[KEY=]FILE")]
    sample: Vec<String>,
    /// The parameters of the trial, a JSON object
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
    /// A reference table of the trial, a JSON object; may be repeated
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    table: Vec<(String, PathBuf)>,
    /// Sign it with the key that `signing-key new` made
    #[arg(long, value_name = "KEYFILE", conflicts_with = "signature")]
    sign: Option<PathBuf>,
    /// A signature that was made elsewhere, in base64
    #[arg(long, value_name = "BASE64")]
    signature: Option<String>,
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("write it as NAME=FILE")?;
    Ok((name.to_owned(), file.into()))
}

pub fn run(arguments: &Modules) -> ExitCode {
    super::run(|| modules(arguments))
}

async fn modules(arguments: &Modules) -> Result<(), Error> {
    let Common { server, output } = &arguments.common;
    let output = *output;
    match &arguments.command {
        Command::List { limit } => {
            let server = server.open()?;
            super::list(
                &server,
                output,
                &server.of_tenant(&["modules"])?,
                *limit,
                &[
                    ("MODULE", |one| format!("{}@{}", field(one, "/name"), field(one, "/version"))),
                    ("DIGEST", |one| digest(one, "/digest")),
                    ("CLASS", |one| field(one, "/class")),
                    ("SIZE", |one| size(one, "/size")),
                    ("SIGNED BY", |one| field(one, "/signed_by")),
                    ("UPLOADED", |one| instant(one, "/uploaded_at")),
                ],
            )
            .await
        }
        Command::Show { module } => {
            let server = server.open()?;
            let wanted = find(&server, module).await?;
            let found = server.get(&server.of_tenant(&["modules", &wanted])?).await?.body;
            output::one(output, &found, |found| report(found.get("report").unwrap_or(&Value::Null)))
        }
        Command::Upload(upload) => {
            // What is wrong with the files is said before anybody is asked.
            let form = upload.form()?;
            let server = server.open()?;
            let (content_type, bytes) = form.done();
            let ask = Ask { body: Body::Bytes { content_type, bytes }, ..Ask::default() };
            let answer = server.ask(Method::POST, &server.of_tenant(&["modules"])?, ask).await?.body;
            output::one(output, &answer, report)
        }
        Command::Sign { component, key } => {
            let signature = signing_key::sign(key, &super::read_bytes(component)?)?;
            let answer = serde_json::json!({ "signature": signature });
            output::one(output, &answer, |answer| format!("{}\n", field(answer, "/signature")))
        }
        Command::Download { module, out } => {
            let server = server.open()?;
            let wanted = find(&server, module).await?;
            let length = download(&server, &wanted, out).await?;
            let answer = serde_json::json!({ "digest": wanted, "size": length });
            output::done(output, &answer, &format!("{}: {} bytes", out.display(), number(length)))
        }
        Command::Delete { module } => {
            let server = server.open()?;
            let wanted = find(&server, module).await?;
            let path = server.of_tenant(&["modules", &wanted])?;
            let answer = server.ask(Method::DELETE, &path, Ask::default()).await?.body;
            output::done(output, &answer, &format!("module {module} deleted"))
        }
    }
}

impl Upload {
    fn form(&self) -> Result<Form, Error> {
        let component = super::read_bytes(&self.component)?;
        let mut form = Form::new();
        if let Some(key) = &self.sign {
            form.text("signature", &signing_key::sign(key, &component)?);
        } else if let Some(signature) = &self.signature {
            form.text("signature", signature.trim());
        }
        form.file("module", "module.wasm", "application/wasm", &component);
        if let Some(file) = &self.parameters {
            form.file("parameters", "parameters.json", "application/json", &super::read_bytes(file)?);
        }
        for (name, file) in &self.table {
            form.file(&format!("table.{name}"), "table.json", "application/json", &super::read_bytes(file)?);
        }
        for text in &self.sample {
            let (name, file) = sample(text);
            form.file("sample", &name, "application/json", &super::read_bytes(file)?);
        }
        Ok(form)
    }
}

/// A sample's name, whose key is what stands before `.json`, and its file. A file that is there is one, whatever its name.
fn sample(text: &str) -> (String, &Path) {
    if let Some((key, file)) = text.split_once('=').filter(|(key, _)| !key.is_empty() && !Path::new(text).exists()) {
        return (format!("{key}.json"), Path::new(file));
    }
    let file = Path::new(text);
    (file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned(), file)
}

/// The digest of a module that is named by it or as name@version.
pub async fn find(server: &Server, module: &str) -> Result<String, Error> {
    if let Ok(digest) = Digest::try_from(module.to_owned()) {
        return Ok(digest.to_string());
    }
    let wanted: ModuleRef = module.parse().map_err(|_| {
        Error::Usage(format!("{module:?} is neither name@version nor a digest of 64 hexadecimal digits"))
    })?;
    let all = server.list(&server.of_tenant(&["modules"])?, Vec::new(), usize::MAX).await?;
    let is_wanted = |one: &&Value| field(one, "/name") == wanted.name && field(one, "/version") == wanted.version;
    let found = all.iter().find(is_wanted).map(|one| field(one, "/digest"));
    found.ok_or_else(|| Error::File(format!("the tenant has no module {wanted}")))
}

/// Into a file that is put in place when it is whole, and is what was asked for.
async fn download(server: &Server, digest: &str, out: &Path) -> Result<u64, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::File(format!("cannot write {}: {error}", out.display()));
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut draft = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    let length = server.download(&server.of_tenant(&["modules", digest, "component"])?, &mut draft).await?;
    let bytes = fs::read(draft.path()).map_err(|error| failed(&error))?;
    if Digest::of(bytes).to_string() != digest {
        return Err(Error::File(format!("what came is not {digest}")));
    }
    draft.persist(out).map_err(|error| failed(&error.error))?;
    Ok(length)
}

/// What an upload was answered with.
fn report(report: &Value) -> String {
    let at = |pointer: &str| field(report, pointer);
    let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).map_or_else(|| "-".into(), number);
    let rows = [
        ("module", format!("{}@{}", at("/name"), at("/version"))),
        ("digest", at("/digest")),
        ("maps", format!("{} to {}", at("/source"), at("/target"))),
        ("world", at("/world")),
        ("class", format!("{}, {}", at("/class"), size(report, "/size_bytes"))),
        ("signed by", at("/signed_by")),
        ("compiled", format!("in {} ms, {}", count("/compiled/elapsed_ms"), size(report, "/compiled/artefact_bytes"))),
        ("functions", count("/counted/functions")),
    ];
    let mut text = output::aligned(rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect());
    let samples = report.pointer("/trial/samples").and_then(Value::as_array);
    let Some(samples) = samples.filter(|samples| !samples.is_empty()) else { return text };
    let mut rows = vec![["SAMPLE", "OUTCOME", "FUEL", "MEMORY", "SAID"].map(ToOwned::to_owned).to_vec()];
    for sample in samples {
        let fuel = sample.get("fuel").and_then(Value::as_u64).map_or_else(|| "-".into(), number);
        let said = [field(sample, "/code"), field(sample, "/message")].join(" ").replace("- -", "-");
        let outcome = match sample.get("bills").and_then(Value::as_array).map(Vec::len) {
            Some(bills) => format!("{} {bills}", field(sample, "/outcome")),
            None => field(sample, "/outcome"),
        };
        rows.push(vec![field(sample, "/name"), outcome, fuel, size(sample, "/memory_bytes"), said]);
    }
    text.push('\n');
    text.push_str(&output::aligned(rows));
    if let Some(safe) = report.pointer("/trial/batch_safe").and_then(Value::as_bool) {
        let words =
            if safe { "the samples came out the same in one instance" } else { "not safe for isolation = \"batch\"" };
        text.push_str(&format!("{words}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_the_key_that_is_given_or_its_files_name() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("a=b.json");
        fs::write(&there, "{}").unwrap();
        let there = there.to_str().unwrap();
        for (text, name, file) in [
            ("cases/1/166001.json", "166001.json", "cases/1/166001.json"),
            ("166001=cases/1/input.json", "166001.json", "cases/1/input.json"),
            ("SO/1=x=y.json", "SO/1.json", "x=y.json"),
            (there, "a=b.json", there),
        ] {
            assert_eq!(sample(text), (name.to_owned(), Path::new(file)), "{text}");
        }
    }
}
