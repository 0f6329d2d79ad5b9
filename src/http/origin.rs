//! Which page a browser sent a request for.

/// Whether `origin`, the value of the header, names a page of the server that was asked as `host`.
pub(crate) fn is_of(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pages_of_the_host_are_its_own() {
        for ours in ["http://lab:8080", "https://LAB:8080"] {
            assert!(is_of(ours, "lab:8080"), "{ours}");
        }
        for other in ["http://lab", "http://evil", "http://lab:8080.evil", "http://lab:8080/", "lab:8080", "null", ""] {
            assert!(!is_of(other, "lab:8080"), "{other}");
        }
    }
}
