//! The secret that clients of the private server show.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::config::source::Reader;

const VARIABLE: &str = "PHASELAB_DIAGNOSTICS_TOKEN";
/// The variable that names the file of the token.
pub const TOKEN_FILE: &str = "PHASELAB_DIAGNOSTICS_TOKEN_FILE";

/// Shorter secrets can be guessed.
const MIN_BYTES: usize = 16;

/// Longer ones are no secrets but the wrong file.
const MAX_BYTES: usize = 1_024;

/// Where a token was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// `PHASELAB_DIAGNOSTICS_TOKEN`.
    Variable,
    /// The file that `PHASELAB_DIAGNOSTICS_TOKEN_FILE` names.
    File(PathBuf),
}

/// A secret that is never shown.
#[derive(Clone)]
pub struct Token {
    text: String,
    digest: [u8; 32],
    /// Where it was read from.
    pub source: TokenSource,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It can be guessed.
    #[error("has fewer than 16 bytes")]
    Short,
    /// It is no secret.
    #[error("has more than 1024 bytes")]
    Long,
    /// It would mean something else in an address or a shell.
    #[error("has characters other than letters, digits and . _ ~ -")]
    Characters,
}

/// What makes a good token.
const FIX: &str = "make one with: openssl rand -hex 32";

impl Token {
    /// Checks a secret.
    ///
    /// # Errors
    /// When it is too short or too long, or has characters that addresses or shells read otherwise.
    pub fn new(text: &str, source: TokenSource) -> Result<Self, TokenError> {
        if text.len() < MIN_BYTES {
            return Err(TokenError::Short);
        }
        if text.len() > MAX_BYTES {
            return Err(TokenError::Long);
        }
        // The unreserved ones of RFC 3986: it stands in addresses (http://:<token>@host/) and in command lines.
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte)) {
            return Err(TokenError::Characters);
        }
        Ok(Self { text: text.to_owned(), digest: Sha256::digest(text).into(), source })
    }

    /// Reads a secret from a file that only its owner may read.
    ///
    /// # Errors
    /// The rule that is broken and the fix.
    pub fn from_file(path: &Path) -> Result<Self, (String, String)> {
        let unreadable = |error: std::io::Error| {
            (format!("cannot be read ({error})"), "name a file that this user may read".to_owned())
        };
        // Before it is opened, which waits for a writer where it is a pipe.
        if !path.metadata().map_err(unreadable)?.is_file() {
            return Err(("is no file".to_owned(), FIX.to_owned()));
        }
        let file = File::open(path).map_err(unreadable)?;
        let meta = file.metadata().map_err(unreadable)?;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let rule = format!("can be read or changed by others (its mode is {mode:03o})");
            return Err((rule, format!("chmod 600 {}", path.display())));
        }
        let mut text = String::new();
        file.take(2 * MAX_BYTES as u64).read_to_string(&mut text).map_err(unreadable)?;
        let text = text.trim();
        if text.is_empty() {
            return Err(("is empty".to_owned(), FIX.to_owned()));
        }
        Self::new(text, TokenSource::File(path.to_owned())).map_err(|error| (error.to_string(), FIX.to_owned()))
    }

    /// Whether a client showed this token. The time it takes says nothing about where the two differ: digests are
    /// compared, and all of their bytes.
    #[must_use]
    pub fn matches(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.digest.iter().zip(shown).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
    }

    /// The secret itself, for a request to a process of the same operator.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

/// The one source that is set, if any.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Token> {
    let text = reader.text(VARIABLE);
    let file = reader.text(TOKEN_FILE);
    if let (Some(_), Some(file)) = (&text, &file) {
        reader.refuse(TOKEN_FILE, file, "is set together with PHASELAB_DIAGNOSTICS_TOKEN", "unset one of the two");
    }
    let from_text = text.and_then(|text| {
        Token::new(text.trim(), TokenSource::Variable)
            .map_err(|error| reader.refuse(VARIABLE, &text, &error.to_string(), FIX))
            .ok()
    });
    let from_file = file.and_then(|file| {
        Token::from_file(Path::new(&file)).map_err(|(rule, fix)| reader.refuse(TOKEN_FILE, &file, &rule, &fix)).ok()
    });
    from_text.or(from_file)
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use super::*;

    const GOOD: &str = "0123456789abcdef";

    #[test]
    fn only_the_same_text_matches_and_nothing_shows_it() {
        let token = Token::new(GOOD, TokenSource::Variable).unwrap();
        assert!(token.matches(GOOD));
        for other in ["", "0123456789abcdeF", "0123456789abcdef0", "0123456789abcde"] {
            assert!(!token.matches(other), "{other}");
        }
        assert!(!format!("{token:?}").contains(GOOD));
    }

    #[test]
    fn what_is_no_secret_is_none() {
        let error = |text: &str| Token::new(text, TokenSource::Variable).unwrap_err();
        assert_eq!(error("short"), TokenError::Short);
        assert_eq!(error(&"x".repeat(MAX_BYTES + 1)), TokenError::Long);
        for bad in [' ', '/', '+', '=', '@', '#', '%', '$', '\'', '"', '`', 'é'] {
            assert_eq!(error(&format!("{GOOD}{bad}")), TokenError::Characters, "{bad}");
        }
        assert!(Token::new("0123456789.abc_DEF~-", TokenSource::Variable).is_ok());
    }

    #[test]
    fn a_file_is_refused_with_rule_and_fix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let with = |text: &str, mode: u32| {
            write(&path, text).unwrap();
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            Token::from_file(&path)
        };
        assert!(with(&format!("{GOOD}\n"), 0o600).unwrap().matches(GOOD));
        assert!(with(GOOD, 0o400).is_ok());
        for (text, mode, rule) in [
            (GOOD, 0o644, "its mode is 644"),
            (GOOD, 0o640, "its mode is 640"),
            ("", 0o600, "is empty"),
            ("\n \n", 0o600, "is empty"),
            ("short", 0o600, "fewer than 16"),
        ] {
            let (found, fix) = with(text, mode).unwrap_err();
            assert!(found.contains(rule) && !fix.is_empty(), "{found}: {fix}");
        }
        assert!(Token::from_file(folder.path()).unwrap_err().0.contains("no file"));
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Nobody will ever write to it.
        assert!(Token::from_file(&pipe).unwrap_err().0.contains("no file"));
        assert!(Token::from_file(&folder.path().join("none")).unwrap_err().0.contains("cannot be read"));
    }
}
