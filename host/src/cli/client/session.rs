//! Who is logged in where: one small file that only its owner can read.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Secret;

/// What `crossdock login` keeps. It prints without the token.
#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    pub server: String,
    pub token: Secret,
    #[serde(default)]
    pub insecure_http: bool,
}

/// The same on its way into the file.
#[derive(Serialize)]
struct Kept<'a> {
    server: &'a str,
    token: &'a str,
    insecure_http: bool,
}

/// `$XDG_CONFIG_HOME/crossdock/session.json`, or below `~/.config`.
pub fn path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("crossdock").join("session.json"))
}

/// `None` where nobody is logged in. A file that others can read is refused: the token in it may be known.
pub fn read() -> Result<Option<Session>, String> {
    path().map_or(Ok(None), |path| read_at(&path))
}

fn read_at(path: &Path) -> Result<Option<Session>, String> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{shown}: {error}")),
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!("{shown} can be read by others; revoke the token, run crossdock logout, and log in again"));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    // The parser's words quote what they could not read.
    let unusable = |_| format!("{shown} is not usable; run crossdock logout, and log in again");
    serde_json::from_str(&text).map(Some).map_err(unusable)
}

pub fn write(session: &Session) -> io::Result<PathBuf> {
    let path = path().ok_or_else(|| io::Error::other("neither XDG_CONFIG_HOME nor HOME says where to keep it"))?;
    write_at(&path, session)?;
    Ok(path)
}

fn write_at(path: &Path, session: &Session) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let Session { server, token, insecure_http } = session;
    let kept = Kept { server, token: token.expose(), insecure_http: *insecure_http };
    // Put in place when it is whole, and never readable by others in between.
    let draft = folder.join(format!(".session.{:016x}.tmp", rand::random::<u64>()));
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        serde_json::to_writer(&mut file, &kept)?;
        file.flush()?;
        fs::rename(&draft, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

/// Whether there was one.
pub fn remove() -> io::Result<bool> {
    let Some(path) = path() else { return Ok(false) };
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_kept_where_only_its_owner_can_read_it() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b/session.json");
        assert!(read_at(&path).unwrap().is_none());
        let session = Session { server: "https://x".into(), token: Secret::new("cd1~a~b~c"), insecure_http: false };
        for _ in 0..2 {
            write_at(&path, &session).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let found = read_at(&path).unwrap().unwrap();
        assert_eq!((found.server.as_str(), found.token.expose()), ("https://x", "cd1~a~b~c"));
        assert!(!format!("{found:?}").contains("cd1~"));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_at(&path).unwrap_err().contains("can be read by others"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "{\"token\":\"cd1~a~b~c\"").unwrap();
        assert!(!read_at(&path).unwrap_err().contains("cd1~"), "what cannot be read is not quoted");
    }
}
