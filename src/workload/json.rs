//! The payload.

use serde_json::value::RawValue;

use super::db::Product;

/// Encodes the rows; the answer carries the result as it is.
///
/// # Errors
/// When a row cannot be encoded.
// With a frame of its own, so that a profile names it.
#[inline(never)]
pub fn encode(rows: &[Product]) -> Result<Box<RawValue>, serde_json::Error> {
    serde_json::value::to_raw_value(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_an_array_of_objects() {
        let row = Product { id: 7, sku: "P-7".into(), name: "a \"b\"".into(), price_cents: 250, stock: 3 };
        let value: serde_json::Value = serde_json::from_str(encode(&[row]).unwrap().get()).unwrap();
        assert_eq!(value[0]["name"], "a \"b\"");
        assert_eq!(value[0]["price_cents"], 250);
        assert_eq!(encode(&[]).unwrap().get(), "[]");
    }
}
