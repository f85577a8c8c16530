//! The unprivileged account that runs PostgreSQL when we are root: PostgreSQL refuses to be root.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// A user of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name, for messages.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the user's first group.
    pub gid: u32,
}

impl Account {
    /// Finds the topmost directory on the way to and including `dir` that this account may not enter.
    #[must_use]
    pub fn first_closed_ancestor(&self, dir: &Path) -> Option<PathBuf> {
        let mut way: Vec<&Path> = dir.ancestors().collect();
        way.reverse();
        way.into_iter().find(|step| !self.may_enter(step)).map(Path::to_path_buf)
    }

    fn may_enter(&self, dir: &Path) -> bool {
        fs::metadata(dir).is_ok_and(|found| {
            let bit = if found.uid() == self.uid {
                0o100
            } else if found.gid() == self.gid {
                0o010
            } else {
                0o001
            };
            found.mode() & bit != 0
        })
    }

    /// Makes this account the owner of `path` and all below it, following no links.
    ///
    /// # Errors
    /// What the system says.
    pub fn take_over(&self, path: &Path) -> std::io::Result<()> {
        lchown(path, Some(self.uid), Some(self.gid))?;
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.take_over(&entry?.path())?;
            }
        }
        Ok(())
    }
}

/// Gives the number of the user that this process acts as.
///
/// # Errors
/// [`Error::Internal`] when `id`, which POSIX demands of every system, does not answer.
pub fn own_uid() -> Result<u32> {
    // On Linux the process's own entry says it, without a process of its own; elsewhere `id` does.
    if let Ok(found) = fs::metadata("/proc/self") {
        return Ok(found.uid());
    }
    let output = Command::new("id")
        .arg("-u")
        .output()
        .map_err(|error| Error::internal("cannot ask `id -u` who we are", error))?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .map_err(|error| Error::internal("cannot understand the answer of `id -u`", error))
}

/// Finds the account to run PostgreSQL as: `postgres`, which the packages make, or else `nobody`.
///
/// # Errors
/// [`Error::Internal`] when neither exists.
pub fn unprivileged() -> Result<Account> {
    let users = fs::read_to_string("/etc/passwd")
        .map_err(|error| Error::internal("cannot read /etc/passwd", error))?;
    find(&users, "postgres").or_else(|| find(&users, "nobody")).ok_or_else(|| {
        Error::bug(
            "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it; \
             start as an ordinary user",
        )
    })
}

fn find(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (found == name && uid != 0).then(|| Account { name: found.to_owned(), uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name_and_is_never_root() {
        let users =
            "root:x:0:0::/:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:a,b:/:/bin/sh\n";
        let found = find(users, "postgres").unwrap();
        assert_eq!((found.uid, found.gid), (101, 104));
        assert_eq!(find(users, "root"), None);
        assert_eq!(find(users, "nobody"), None);
    }
}
