//! The web app is served whole, each file by its type.

use std::{fs, path::Path};

use axum::body::Body;
use countersign_testkit::{Backend, TestApp};
use http::Method;

use super::check_app_headers;

#[tokio::test]
async fn the_app_is_served_whole() {
    let app = TestApp::on(Backend::Sqlite).await;
    let mut browser = app.browser();
    let moved = browser.get("/authenticator").await;
    assert_eq!((moved.status, moved.location()), (308, "/authenticator/"));
    let index = browser.get("/authenticator/").await;
    assert_eq!(index.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(index.header("cache-control"), "no-cache");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("static/authenticator");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("/authenticator/{name}");
        let request = browser.request(&Method::HEAD, &path).body(Body::empty()).unwrap();
        let answer = browser.send(request).await;
        check_app_headers(&answer, &path);
        assert_eq!(answer.status, 200, "{path}");
        let hashed = name.starts_with("index-") || name.starts_with("jsQR-");
        let keep = if hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
        assert_eq!(answer.header("cache-control"), keep, "{path}");
        let kind = match name.rsplit_once('.').unwrap().1 {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "png" => "image/png",
            "webmanifest" => "application/manifest+json",
            other => panic!("a type for {other}"),
        };
        assert_eq!(answer.header("content-type"), kind, "{path}");
    }
    let picture = browser.get("/authenticator/open.svg").await;
    assert_eq!(picture.header("content-type"), "image/svg+xml");
    assert!(picture.body.starts_with("<svg "));
    for path in ["/authenticator/..%2fportal.css", "/authenticator/none.js"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
    let page = browser.get("/get").await;
    page.says(200, "https://erx.test/authenticator/");
    assert!(page.find("[src=/authenticator/open.svg]").is_some());
}
