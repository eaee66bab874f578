//! How long files and functions are. A file of more than [`LINES_MAX`] lines is refused.

use super::{
    Finding,
    source::{Rust, line_of, words},
};

/// Past this a file holds two ideas.
const LINES_MAX: usize = 800;

/// A function and its extent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) path: String,
    /// Of the `fn`, from 1.
    pub(super) line: usize,
    pub(super) name: String,
    /// From the `fn` to its closing brace, both counted.
    pub(super) lines: usize,
}

/// Every file with its length in lines, longest first.
pub(super) fn files<'a, 's>(rust: &'a [Rust<'s>]) -> Vec<(usize, &'a Rust<'s>)> {
    let mut files: Vec<_> = rust.iter().map(|file| (file.code.lines().count(), file)).collect();
    files.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.path.cmp(b.1.path)));
    files
}

/// Files that must be split.
pub(super) fn too_long(rust: &[Rust]) -> Vec<Finding> {
    let long = files(rust).into_iter().take_while(|&(lines, _)| lines > LINES_MAX);
    long.map(|(lines, file)| {
        let message = format!("{lines} lines, more than {LINES_MAX}: split it by its second noun");
        Finding::new(file.path, 0, message)
    })
    .collect()
}

/// Every function with a body, longest first.
pub(super) fn functions(rust: &[Rust]) -> Vec<Function> {
    let mut functions: Vec<_> = rust.iter().flat_map(functions_in).collect();
    functions.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.path.cmp(&b.path)));
    functions
}

fn functions_in(file: &Rust) -> Vec<Function> {
    let code = &file.code;
    let function = |at: usize| {
        let rest = code[at + "fn".len()..].trim_start();
        let name = rest.split(|ch: char| !ch.is_alphanumeric() && ch != '_').next()?;
        let end = body_end(code, at)?;
        let line = line_of(code, at);
        let lines = line_of(code, end) - line + 1;
        // `fn(u8) -> u8` is a type.
        let named = !name.is_empty();
        named.then(|| Function { path: file.path.to_owned(), line, name: name.to_owned(), lines })
    };
    words(code, "fn").filter_map(function).collect()
}

/// Where the body of the function at `at` closes; `None` for a signature without a body.
fn body_end(code: &str, at: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (offset, byte) in code.as_bytes()[at..].iter().enumerate() {
        match byte {
            b'{' => braces += 1,
            b'}' => {
                braces = braces.checked_sub(1)?;
                if braces == 0 && brackets == 0 {
                    return Some(at + offset);
                }
            }
            // A semicolon in `[u8; 4]` does not end the signature.
            b'[' | b'(' => brackets += 1,
            b']' | b')' => brackets = brackets.checked_sub(1)?,
            b';' if braces == 0 && brackets == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    #[test]
    fn functions_are_measured_to_their_closing_brace() {
        let text = "trait T {\n    fn no_body(&self, a: [u8; 4]) -> u8;\n}\n\
                    fn long(f: fn(u8) -> u8) {\n    let s = \"}\"; // }\n    if a { b }\n}\n\
                    const fn short() -> [u8; 2] { [1, 2] }\n";
        let file = file("a.rs", text);
        let found: Vec<_> = functions(&[Rust::read(&file)])
            .into_iter()
            .map(|function| (function.name, function.line, function.lines))
            .collect();
        assert_eq!(found, [("long".to_owned(), 4, 4), ("short".to_owned(), 8, 1)]);
    }

    #[test]
    fn a_file_may_have_eight_hundred_lines_and_no_more() {
        let (fits, long) = (file("a.rs", &"\n".repeat(800)), file("b.rs", &"\n".repeat(801)));
        let found = too_long(&[Rust::read(&fits), Rust::read(&long)]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "b.rs");
    }
}
