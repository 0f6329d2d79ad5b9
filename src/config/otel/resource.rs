//! The resource (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`) and the form of lists.

use crate::config::percent;
use crate::config::source::Reader;

/// `OTEL_SERVICE_NAME` wins over `service.name` among the attributes; one bad pair discards the whole list.
pub(super) fn read(reader: &mut Reader<'_>) -> (String, Vec<(String, String)>) {
    let mut attributes = reader.lenient(
        "OTEL_RESOURCE_ATTRIBUTES",
        Vec::new(),
        (
            "is no list of key=value pairs",
            "write for example deployment.environment.name=lab,team=blue; encode , = and % as %XX",
        ),
        |text| pairs(text, |key| !key.is_empty()),
    );
    let named = attributes.iter().rposition(|(key, _)| key == "service.name").map(|index| attributes.remove(index).1);
    attributes.retain(|(key, _)| key != "service.name");
    let name = reader.text("OTEL_SERVICE_NAME").or(named).unwrap_or_else(|| reader.role().service_name().to_owned());
    (name, attributes)
}

/// `key=value,key=value` with percent-encoded values, the form of resource attributes and headers.
pub(in crate::config) fn pairs(text: &str, valid_key: impl Fn(&str) -> bool) -> Option<Vec<(String, String)>> {
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = percent::decode(key.trim()).ok()?;
            let value = percent::decode(value.trim()).ok()?;
            valid_key(&key).then_some((key, value))
        })
        .collect()
}
