//! Serves the Countersign Authenticator: the files that `scripts/build-web.sh` makes, compiled in.

use axum::{
    Router,
    extract::{Path, State},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::{
    Shared,
    web::{qr, respond::secure},
};

/// Name and bytes of every file.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/authenticator.rs"));

/// The app's own policy: no forms, but connections to us, a worker, a manifest and the camera.
const HEADERS: [(HeaderName, &str); 2] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types countersign-worker",
    ),
    (HeaderName::from_static("permissions-policy"), "camera=(self), geolocation=(), microphone=()"),
];

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/authenticator", get(async || moved()))
        .route("/authenticator/", get(async || file("index.html")))
        .route("/authenticator/open.svg", get(open_picture))
        .route("/authenticator/{file}", get(async |Path(name): Path<String>| file(&name)))
        .layer(middleware::map_response(async |response: Response| {
            let mut response = secure(response).await;
            for (name, value) in HEADERS {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            response
        }))
}

fn moved() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "/authenticator/")]).into_response()
}

/// One of the app's files. A name that holds a hash of its contents may be kept for ever.
fn file(name: &str) -> Response {
    let found = FILES.iter().find(|(known, _)| *known == name);
    let Some(((name, bytes), kind)) = found.and_then(|it| Some((*it, content_type(it.0)?))) else {
        return (StatusCode::NOT_FOUND, "File not found.\n").into_response();
    };
    let keep = if is_hashed(name) { "public, max-age=31536000, immutable" } else { "no-cache" };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)], bytes).into_response()
}

fn content_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

/// Whether the build put a hash into the name: `index-BU3YUBZ0.js`.
fn is_hashed(name: &str) -> bool {
    let Some((stem, kind)) = name.rsplit_once('.') else { return false };
    let hash = stem.len().checked_sub(9).and_then(|at| stem.get(at..)).unwrap_or("");
    let in_hash = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    matches!(kind, "js" | "css")
        && hash.strip_prefix('-').is_some_and(|hash| hash.chars().all(in_hash))
}

/// The address of the app as a QR code, for a phone's camera.
async fn open_picture(State(shared): State<Shared>) -> Response {
    match qr::svg(&address(&shared.app.options().public_url)) {
        Ok(picture) => (
            [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "no-cache")],
            picture,
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "server.public_url does not fit in a QR code");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Where the app is, as phones reach it.
pub(crate) fn address(public_url: &str) -> String {
    format!("{public_url}/authenticator/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_type_and_hashed_ones_are_told_apart() {
        let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        for name in ["index.html", "sw.js", "manifest.webmanifest", "icon-192.png"] {
            assert!(names.contains(&name) && !is_hashed(name), "{name}");
        }
        for (name, bytes) in FILES {
            assert!(content_type(name).is_some() && !bytes.is_empty(), "{name}");
        }
        // Script, reader and style sheet.
        assert_eq!(names.iter().filter(|name| is_hashed(name)).count(), 3, "{names:?}");
        for name in ["a-12345678.png", "index.js", "x", "-.js", "é12345678.js", ""] {
            assert!(!is_hashed(name), "{name}");
        }
    }

    #[test]
    fn the_page_names_only_files_that_are_there() {
        let page = FILES.iter().find(|(name, _)| *name == "index.html").unwrap().1;
        let page = std::str::from_utf8(page).unwrap();
        let mut count = 0;
        for part in page.split("\"/authenticator/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(FILES.iter().any(|(known, _)| *known == name), "{name}");
            count += 1;
        }
        assert!(count >= 5);
    }
}
