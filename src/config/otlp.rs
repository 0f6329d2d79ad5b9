//! Endpoint, protocol, headers, compression and timeout of one signal (`OTEL_EXPORTER_OTLP_*`).

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Uri};

use super::otel::{milliseconds, pairs};
use super::source::Reader;

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`.
    Grpc,
    /// `http/protobuf`.
    HttpProtobuf,
}

/// How request bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
}

/// Where and how one signal leaves.
#[derive(Debug, Clone)]
pub struct Export {
    /// How OTLP is spoken.
    pub protocol: Protocol,
    /// The whole URL over HTTP; scheme and authority over gRPC.
    pub endpoint: String,
    /// Headers of each request; they may carry credentials and are never shown.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How request bodies are compressed.
    pub compression: Compression,
    /// Longest time of one export.
    pub timeout: Duration,
}

/// The two signals of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    pub(super) fn exporter_variable(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_TRACES_EXPORTER",
            Self::Metrics => "OTEL_METRICS_EXPORTER",
        }
    }

    fn infix(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// What the specification appends to a common HTTP endpoint.
    fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
        }
    }
}

/// The signal's own variable where it is set, else the common one, with its text.
fn choose(reader: &mut Reader<'_>, signal: Signal, suffix: &str) -> (String, Option<String>, bool) {
    let own = format!("OTEL_EXPORTER_OTLP_{}_{suffix}", signal.infix());
    if let Some(text) = reader.text(&own) {
        return (own, Some(text), true);
    }
    let common = format!("OTEL_EXPORTER_OTLP_{suffix}");
    let text = reader.text(&common);
    (common, text, false)
}

pub(super) fn read(reader: &mut Reader<'_>, signal: Signal) -> Export {
    let protocol = protocol(reader, signal);
    Export {
        protocol,
        endpoint: endpoint(reader, signal, protocol),
        headers: headers(reader, signal),
        compression: compression(reader, signal),
        timeout: {
            let (name, _, _) = choose(reader, signal, "TIMEOUT");
            milliseconds(reader, &name, 5_000)
        },
    }
}

fn protocol(reader: &mut Reader<'_>, signal: Signal) -> Protocol {
    let (name, text, _) = choose(reader, signal, "PROTOCOL");
    let Some(text) = text else { return Protocol::HttpProtobuf };
    match text.trim().to_ascii_lowercase().as_str() {
        "grpc" => Protocol::Grpc,
        "http/protobuf" => Protocol::HttpProtobuf,
        "http/json" => {
            reader.refuse(&name, &text, "is a protocol that this build does not have", "write grpc or http/protobuf");
            Protocol::HttpProtobuf
        }
        _ => {
            reader.ignore(&name, &text, "is no protocol of the specification", "write grpc or http/protobuf");
            Protocol::HttpProtobuf
        }
    }
}

fn endpoint(reader: &mut Reader<'_>, signal: Signal, protocol: Protocol) -> String {
    let (name, text, own) = choose(reader, signal, "ENDPOINT");
    let default = match protocol {
        Protocol::Grpc => "http://localhost:4317",
        Protocol::HttpProtobuf => "http://localhost:4318",
    };
    let given = text.as_deref().map_or(default, str::trim);
    let mut url = given.to_owned();
    if protocol == Protocol::Grpc && !given.contains("://") {
        let (_, insecure, _) = choose(reader, signal, "INSECURE");
        let insecure = insecure.is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
        url = format!("{}://{given}", if insecure { "http" } else { "https" });
    }
    let fix = match protocol {
        Protocol::Grpc => "write for example http://localhost:4317",
        Protocol::HttpProtobuf => "write for example http://localhost:4318",
    };
    let Ok(uri) = url.parse::<Uri>() else {
        reader.refuse(&name, given, "is no URL", fix);
        return default.to_owned();
    };
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => {
            let rule = "asks for TLS, which this build does not speak";
            let fix = "send to a collector on this host or network over http://, or set OTEL_EXPORTER_OTLP_INSECURE=true for a gRPC endpoint without a scheme";
            reader.refuse(&name, given, rule, fix);
            return default.to_owned();
        }
        _ => {
            reader.refuse(&name, given, "is no URL with the scheme http", fix);
            return default.to_owned();
        }
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        reader.refuse(&name, "(withheld)", "carries credentials", "send them in OTEL_EXPORTER_OTLP_HEADERS");
        return default.to_owned();
    }
    if uri.host() != Some(authority) && uri.port_u16().is_none() {
        reader.refuse(&name, given, "has no port from 1 to 65535", fix);
        return default.to_owned();
    }
    let path = uri.path();
    match protocol {
        Protocol::Grpc if path != "/" && !path.is_empty() => {
            reader.refuse(&name, given, "has a path, which gRPC has no use for", fix);
            default.to_owned()
        }
        Protocol::Grpc => url.trim_end_matches('/').to_owned(),
        // A signal's own endpoint is used as it is; the common one gets the signal's path.
        Protocol::HttpProtobuf if own => url,
        Protocol::HttpProtobuf => format!("{}/{}", url.trim_end_matches('/'), signal.path()),
    }
}

fn headers(reader: &mut Reader<'_>, signal: Signal) -> Vec<(HeaderName, HeaderValue)> {
    let (name, text, _) = choose(reader, signal, "HEADERS");
    let Some(text) = text else { return Vec::new() };
    let parsed = pairs(&text, |key| !key.is_empty()).and_then(|pairs| {
        pairs
            .into_iter()
            .map(|(key, value)| {
                let mut value = HeaderValue::from_str(&value).ok()?;
                value.set_sensitive(true);
                Some((HeaderName::try_from(key).ok()?, value))
            })
            .collect::<Option<Vec<_>>>()
    });
    // Without its headers an export would be refused or land in the wrong place: not a thing to ignore.
    parsed.unwrap_or_else(|| {
        let fix = "write for example api-key=secret,tenant=a; encode , = and % in values as %XX";
        reader.refuse(&name, &text, "is no list of name=value pairs", fix);
        Vec::new()
    })
}

fn compression(reader: &mut Reader<'_>, signal: Signal) -> Compression {
    let (name, text, _) = choose(reader, signal, "COMPRESSION");
    let Some(text) = text else { return Compression::None };
    match text.trim().to_ascii_lowercase().as_str() {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        "zstd" => {
            reader.refuse(&name, &text, "is a compression that this build does not have", "write gzip or none");
            Compression::None
        }
        _ => {
            reader.ignore(&name, &text, "is no compression of the specification", "write gzip or none");
            Compression::None
        }
    }
}
