//! The protobuf wire format, as far as spans need it (protobuf.dev, "Encoding").
//!
//! Fields whose value is the default are left out, as in proto3, except by the functions whose name ends in `_item`.

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

/// A message in a message.
#[inline]
pub(super) fn message(out: &mut Vec<u8>, field: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    key(out, field, DELIMITED);
    // Most messages are attributes, whose length takes one byte; the others move up to make room for a longer one.
    let at = out.len();
    out.push(0);
    fill(out);
    let length = out.len() - at - 1;
    match u8::try_from(length) {
        Ok(byte) if byte < 0x80 => out[at] = byte,
        _ => move_up(out, at, length),
    }
}

#[inline(never)]
fn move_up(out: &mut Vec<u8>, at: usize, length: usize) {
    let (digits, count) = digits(length as u64);
    out.resize(out.len() + count - 1, 0);
    out.copy_within(at + 1..at + 1 + length, at + count);
    out[at..at + count].copy_from_slice(&digits[..count]);
}

/// Text that may be empty.
pub(super) fn text(out: &mut Vec<u8>, field: u32, value: &str) {
    if !value.is_empty() {
        text_item(out, field, value);
    }
}

/// Text.
pub(super) fn text_item(out: &mut Vec<u8>, field: u32, value: &str) {
    bytes(out, field, value.as_bytes());
}

/// Bytes.
#[inline]
pub(super) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    key(out, field, DELIMITED);
    number(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A whole number that may be zero.
pub(super) fn varint(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        varint_item(out, field, value);
    }
}

/// A whole number.
pub(super) fn varint_item(out: &mut Vec<u8>, field: u32, value: u64) {
    key(out, field, VARINT);
    number(out, value);
}

/// A number of four bytes that is not zero.
pub(super) fn fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    key(out, field, FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A number of eight bytes.
pub(super) fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    key(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A double.
pub(super) fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    fixed64(out, field, value.to_bits());
}

#[inline]
fn key(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    number(out, (field << 3 | wire_type).into());
}

/// Nearly all numbers take one byte: the others shall not keep the compiler from seeing through this.
#[inline]
fn number(out: &mut Vec<u8>, value: u64) {
    match u8::try_from(value) {
        Ok(byte) if byte < 0x80 => out.push(byte),
        _ => long_number(out, value),
    }
}

#[inline(never)]
fn long_number(out: &mut Vec<u8>, value: u64) {
    let (digits, count) = digits(value);
    out.extend_from_slice(&digits[..count]);
}

/// Seven bits a byte, the lowest first; all but the last byte have the eighth bit set.
fn digits(mut value: u64) -> ([u8; 10], usize) {
    let mut digits = [0; 10];
    let mut count = 0;
    loop {
        digits[count] = (value & 0x7f) as u8;
        value >>= 7;
        count += 1;
        if value == 0 {
            return (digits, count);
        }
        digits[count - 1] |= 0x80;
    }
}
