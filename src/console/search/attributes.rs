//! Attributes as somebody writes them: `key=value` after one another, as in Jaeger's search.

/// How they are written.
pub(super) const RULE: &str =
    "key=value, several of them with spaces between; a value with spaces in quotes, as in error.type=\"not found\"";

/// Reads them; `None` where the rule does not hold. In quotes a backslash takes the next character as it is.
pub(super) fn parse(text: &str) -> Option<Vec<(String, String)>> {
    let mut attributes = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        if !is_key(key) {
            return None;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted)?,
            None => {
                let end = after.find(' ').unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        attributes.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Some(attributes)
}

/// Whether a key can be written.
pub(in crate::console) fn is_key(key: &str) -> bool {
    !key.is_empty() && !key.contains([' ', '"', '='])
}

/// What stands before the closing quote, and what comes after it: nothing, or a space.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => {
                let after = &text[at + 1..];
                return (after.is_empty() || after.starts_with(' ')).then_some((value, after));
            }
            '\\' => value.push(chars.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// Writes one so that it can be read again.
pub(in crate::console) fn write(key: &str, value: &str) -> String {
    if value.contains([' ', '"', '\\']) {
        format!("{key}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        format!("{key}={value}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn attributes_are_read() {
        let one = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(parse("  "), Some(vec![]));
        assert_eq!(parse(" a=1  b.c=x=y "), Some(vec![one("a", "1"), one("b.c", "x=y")]));
        assert_eq!(parse(r#"a="1 2" b="\"\\" c="#), Some(vec![one("a", "1 2"), one("b", "\"\\"), one("c", "")]));
        for bad in ["a", "=1", "a b=1", "a=\"1", "a=\"1\"b=2", "a=\"\\", "\"a\"=1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn fuzz_attributes(text in "[ab= \"\\\\é]{0,12}", value in ".*") {
            parse(&text);
            prop_assert_eq!(parse(&format!("x=1 {}", write("k", &value))).unwrap()[1].1.clone(), value);
        }
    }
}
