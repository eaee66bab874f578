//! Letters without their marks: `é` to `e`, `Ł` to `l`, `ß` to `ss`.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Appends `lower`, which is in lower case, without marks: compatibility decomposition less combining marks, and letters of
/// the Latin script that do not decompose by their usual spelling. Other scripts keep their letters, and lose marks that
/// decompose from them.
pub(crate) fn fold(lower: &str, out: &mut String) {
    for c in lower.nfkd().filter(|&c| !is_combining_mark(c)) {
        match c {
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'þ' => out.push_str("th"),
            'ø' => out.push('o'),
            'ł' => out.push('l'),
            'đ' | 'ð' => out.push('d'),
            'ħ' => out.push('h'),
            'ı' => out.push('i'),
            'ŧ' => out.push('t'),
            'ŋ' => out.push('n'),
            'ĸ' => out.push('k'),
            c => out.extend(c.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn marks_go_and_letters_stay() {
        for (text, expected) in [
            ("café", "cafe"),
            ("straße", "strasse"),
            ("łódź", "lodz"),
            ("ångström", "angstrom"),
            ("smørrebrød", "smorrebrod"),
            ("ﬁn", "fin"),
            ("ｆｕｌｌ", "full"),
            ("москва", "москва"),
            ("東京", "東京"),
            ("việt", "viet"),
        ] {
            let mut out = String::new();
            super::fold(text, &mut out);
            assert_eq!(out, expected);
        }
    }
}
