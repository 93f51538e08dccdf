//! Why a project could not be begun.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{name:?} cannot be a module's name: lower-case letters, digits and hyphens, at most 64, a letter first, and no name that cargo or the SDK has taken"
    )]
    Name { name: String },

    #[error("{} is not empty; name another folder with --directory, or empty it", directory.display())]
    NotEmpty { directory: PathBuf },

    #[error(
        "the {side} operation {asked:?} is not known. Known are\n  {}\nor `system:operation` of a system that is not among these",
        known.join("\n  ")
    )]
    UnknownOperation { side: &'static str, asked: String, known: Vec<&'static str> },

    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },

    /// The binary was built from a repository that does not hold together; a test sees to it that none is.
    #[error("the templates in this binary are broken: {problem}")]
    Broken { problem: String },
}
