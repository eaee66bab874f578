//! Object names: which ones are accepted, and how those are spelled where a backend is narrower.
//!
//! A name is slash-separated and means the same on every backend. Backends that cannot hold some characters spell them as
//! `%XX`; since `%` itself is always spelled so, undoing it gives back exactly the name that was written.

use crate::StorageError;

/// Most bytes of a name that every backend accepts.
pub const NAME_BYTES_MAX: usize = 900;

/// Accepts a name that every backend can hold.
///
/// # Errors
/// `Invalid` for an empty name or segment, `.`, `..`, a control character, or more than [`NAME_BYTES_MAX`] bytes.
pub fn check(name: &str) -> Result<(), StorageError> {
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > NAME_BYTES_MAX {
        "it is longer than 900 bytes"
    } else if name.chars().any(char::is_control) {
        "it holds a control character"
    } else if name.split('/').any(str::is_empty) {
        "it begins or ends with '/', or holds '//'"
    } else if name.split('/').any(|segment| segment == "." || segment == "..") {
        "it holds the segment '.' or '..'"
    } else {
        return Ok(());
    };
    Err(StorageError::Invalid {
        problem: format!("object name {name:?} cannot be used: {problem}"),
    })
}

/// A folder name without slashes at its ends, or empty for the root.
///
/// # Errors
/// As [`check`], unless it is empty.
pub(crate) fn folder(prefix: &str) -> Result<&str, StorageError> {
    let folder = prefix.trim_matches('/');
    if !folder.is_empty() {
        check(folder)?;
    }
    Ok(folder)
}

/// Whether `name` lies in `folder`; everything lies in the root.
pub(crate) fn is_in(name: &str, folder: &str) -> bool {
    folder.is_empty()
        || name.strip_prefix(folder).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

/// Spells `segment` with `%XX` for `%` and for each byte that `refused` picks.
pub(crate) fn escape(segment: &str, refused: impl Fn(usize, u8) -> bool) -> String {
    let mut spelled = String::with_capacity(segment.len());
    for (at, c) in segment.char_indices() {
        let byte = u8::try_from(c).unwrap_or(u8::MAX);
        if c == '%' || (c.is_ascii() && refused(at, byte)) {
            spelled.push_str(&format!("%{byte:02X}"));
        } else {
            spelled.push(c);
        }
    }
    spelled
}

/// Undoes [`escape`]; `None` if the text holds a broken `%XX` or is not UTF-8 afterwards.
pub(crate) fn unescape(spelled: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(spelled.len());
    let mut rest = spelled.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let [high, low, after @ ..] = tail else { return None };
            bytes.push((nibble(*high)? << 4) | nibble(*low)?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_some_backend_cannot_hold_are_refused() {
        for name in ["", "/", "a/", "/a", "a//b", ".", "a/../b", "a/.", "a\nb", "a\0", "\u{7f}"] {
            assert!(check(name).is_err(), "{name:?}");
        }
        assert!(check(&"x".repeat(NAME_BYTES_MAX + 1)).is_err());
        for name in ["a", "a/b", "sp ace/ü=1%20+&#/x~y", ".hidden", "..."] {
            assert!(check(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn a_folder_is_not_a_prefix_of_names() {
        assert!(is_in("a/b", "a"));
        assert!(!is_in("ab", "a"));
        assert!(!is_in("a", "a"));
        assert!(!is_in("a/", "a"));
        assert!(is_in("a", ""));
    }

    #[test]
    fn escaping_is_undone_exactly() {
        for name in ["a", "100%", "%41", "ü ?", ".x", "a:b*c"] {
            let spelled =
                escape(name, |at, byte| (at == 0 && byte == b'.') || b":*?".contains(&byte));
            assert_eq!(unescape(&spelled).as_deref(), Some(name), "{spelled}");
        }
        for broken in ["%", "%4", "%zz", "%FF"] {
            assert_eq!(unescape(broken), None);
        }
    }
}
