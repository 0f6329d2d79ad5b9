//! `/`: links to everything this process serves.

use axum::Json;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse as _, Response};
use serde::Serialize;

use super::route::ROUTES;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;\
    color:#1b1f24;background:#fff}dt{margin-top:1rem}dd{margin:0}code{font-size:1rem}\
    @media(prefers-color-scheme:dark){body{color:#e6e9ed;background:#14171a}a{color:#7ab7ff}}";

#[derive(Serialize)]
struct Index {
    name: &'static str,
    version: &'static str,
    routes: Vec<Link>,
}

#[derive(Serialize)]
struct Link {
    path: &'static str,
    example: &'static str,
    about: &'static str,
}

/// HTML for people, JSON for programs that ask for it.
pub(super) async fn index(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("application/json") && !accept.contains("text/html") {
        let routes = ROUTES.iter().map(|route| Link { path: route.path, example: route.example, about: route.about });
        return Json(Index { name: "phaselab", version: env!("CARGO_PKG_VERSION"), routes: routes.collect() })
            .into_response();
    }
    Html(page()).into_response()
}

fn page() -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>phaselab</title><style>{STYLE}</style>\
         <h1>phaselab {}</h1><p>Phases become metrics; the exemplars of these metrics lead to their traces.</p><dl>",
        env!("CARGO_PKG_VERSION")
    );
    for route in &ROUTES {
        // All of it is written in this program; the only character to escape is the & of queries.
        let (example, about) = (route.example.replace('&', "&amp;"), route.about);
        page.push_str(&format!("<dt><a href=\"{example}\"><code>{example}</code></a></dt><dd>{about}</dd>"));
    }
    page.push_str("</dl></html>");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_linked() {
        let page = page();
        for route in &ROUTES {
            assert!(page.contains(&format!("href=\"{}\"", route.example.replace('&', "&amp;"))), "{}", route.path);
            assert!(route.example.starts_with(route.path));
            assert!(!route.about.contains(['<', '>', '&', '"']), "{}", route.about);
        }
    }
}
