//! Keeps pages of other sites from giving orders to a node through the browser of whoever looks at them.
//!
//! A browser sends a request to `127.0.0.1` for any page, and after a change of what the page's own name resolves to
//! (DNS rebinding) even takes it for the page's own. It tells by `Origin` and `Sec-Fetch-Site` where a request comes
//! from, and by `Host` which name it used: a name that is not ours is refused, an address is not. Programs send neither
//! of the first two.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;

/// Host names by which a node may be called, beside addresses and `localhost`.
pub type Names = Arc<Vec<String>>;

/// Refuses, before a route that changes something, what a page of another site asks for; for
/// `axum::middleware::from_fn_with_state`.
pub async fn own_pages_only(State(names): State<Names>, request: Request, next: Next) -> Response {
    match foreign(request.headers(), &names) {
        None => next.run(request).await,
        Some(why) => crate::json(StatusCode::FORBIDDEN, &json!({"error": why})),
    }
}

/// Why a request is taken for one of a foreign page, in a sentence.
fn foreign(headers: &HeaderMap, names: &[String]) -> Option<String> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim());
    if let Some(site) = text("sec-fetch-site")
        && !["same-origin", "none"].contains(&site)
    {
        return Some(format!("refused: it comes from a page of another site (Sec-Fetch-Site: {site})"));
    }
    let host = text(header::HOST.as_str());
    if let Some(origin) = text(header::ORIGIN.as_str()) {
        let from = origin.strip_prefix("http://");
        if from.is_none() || from != host {
            return Some(format!("refused: it comes from a page of another site (Origin: {origin})"));
        }
    }
    let host = host?;
    (!is_ours(host, names)).then(|| {
        format!("refused: {host:?} is not a name of this node (DNS rebinding); use its address, or one of {names:?}")
    })
}

/// An address cannot be made to lead elsewhere.
fn is_ours(host: &str, names: &[String]) -> bool {
    let bare = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((bare, _)) => bare,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    bare.parse::<IpAddr>().is_ok()
        || bare.eq_ignore_ascii_case("localhost")
        || names.iter().any(|name| name.eq_ignore_ascii_case(bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    /// S26: a foreign page could hand the lead over.
    #[test]
    fn a_foreign_page_is_told_from_a_program_and_from_our_own() {
        let names = ["broker-0.mq".to_owned()];
        let judged = |pairs: &[(&'static str, &str)]| foreign(&headers(pairs), &names).is_none();
        for ours in [
            &[][..],
            &[("host", "127.0.0.1:30913")],
            &[("host", "[::1]:30913")],
            &[("host", "localhost")],
            &[("host", "BROKER-0.mq:10913")],
            &[
                ("host", "127.0.0.1:30913"),
                ("origin", "http://127.0.0.1:30913"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[("host", "10.0.0.7:30913"), ("sec-fetch-site", "none")],
        ] {
            assert!(judged(ours), "{ours:?}");
        }
        for foreign in [
            &[("host", "127.0.0.1:30913"), ("origin", "http://evil.example")][..],
            &[("host", "127.0.0.1:30913"), ("origin", "null")],
            &[("host", "127.0.0.1:30913"), ("origin", "http://127.0.0.1:8080")],
            &[("host", "127.0.0.1:30913"), ("sec-fetch-site", "cross-site")],
            &[("host", "127.0.0.1:30913"), ("sec-fetch-site", "same-site")],
            &[("host", "evil.example:30913"), ("origin", "http://evil.example:30913")],
            &[("host", "evil.example:30913")],
            &[("host", "127.0.0.1.evil.example")],
            &[("origin", "http://127.0.0.1:30913")],
        ] {
            assert!(!judged(foreign), "{foreign:?}");
        }
    }
}
