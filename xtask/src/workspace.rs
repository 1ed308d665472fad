//! The tree as the rules see it: the files that git tracks or would track, in memory, and the crates among them.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::manifest::Manifest;

/// One text file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The part of its crate that the file belongs to: `src`, `tests`, `benches`, `examples`, or "" (`build.rs`).
    fn part(&self, folder: &str) -> Option<&str> {
        let inside = self.path.strip_prefix(folder)?.strip_prefix('/')?;
        Some(inside.split_once('/').map_or("", |(part, _)| part))
    }
}

/// Files and crates.
#[derive(Debug)]
pub(crate) struct Workspace {
    files: Vec<File>,
    crates: Vec<Manifest>,
}

impl Workspace {
    /// Reads what `git` lists under `root`: tracked files and new ones that nothing ignores.
    pub(crate) fn read(root: &Path) -> Result<Self, Error> {
        const COMMAND: &str = "git ls-files";
        let refused = |message: String| Error::Command { command: COMMAND, message };
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .map_err(|error| refused(error.to_string()))?;
        if !listed.status.success() {
            return Err(refused(String::from_utf8_lossy(&listed.stderr).trim().to_owned()));
        }
        let mut files = Vec::new();
        for name in listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let name = String::from_utf8_lossy(name).into_owned();
            let path = root.join(&name);
            // A file that was deleted but not yet committed is still listed; a link or a picture has no text.
            if !path.is_file() {
                continue;
            }
            let bytes = std::fs::read(&path).map_err(|source| Error::Io { path, source })?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push((name, text));
            }
        }
        Self::from_files(files)
    }

    /// The same, from memory.
    pub(crate) fn from_files(files: impl IntoIterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut files: Vec<File> = files.into_iter().map(|(path, text)| File { path, text }).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut crates = Vec::new();
        for file in &files {
            let Some(folder) = file.path.strip_suffix("/Cargo.toml") else { continue };
            let direct = folder.strip_prefix("crates/").is_some_and(|name| !name.contains('/'));
            if direct || folder == "xtask" {
                crates.push(Manifest::parse(folder, &file.text)?);
            }
        }
        Ok(Self { files, crates })
    }

    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    pub(crate) fn crates(&self) -> &[Manifest] {
        &self.crates
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// The crate of that package name.
    pub(crate) fn package(&self, name: &str) -> Option<&Manifest> {
        self.crates.iter().find(|krate| krate.package == name)
    }

    /// The Rust files of a crate that lie in one of `parts` (see [`File::part`]).
    pub(crate) fn sources<'a>(&'a self, krate: &'a Manifest, parts: &'a [&str]) -> impl Iterator<Item = &'a File> {
        self.files
            .iter()
            .filter(|file| file.is_rust() && file.part(&krate.folder).is_some_and(|part| parts.contains(&part)))
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    //! Small trees for the tests of the rules.

    use super::Workspace;

    /// A manifest that keeps every rule, on `floor`, with more lines after it.
    pub(crate) fn manifest(name: &str, floor: &str, more: &str) -> String {
        format!(
            "[package]\nname = \"atomr-agents-{name}\"\ndescription = \"Does {name}.\"\n\
             [package.metadata.atomr]\nfloor = {floor}\n[lints]\nworkspace = true\n{more}"
        )
    }

    pub(crate) fn workspace(files: &[(&str, &str)]) -> Workspace {
        Workspace::from_files(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))).unwrap()
    }
}
