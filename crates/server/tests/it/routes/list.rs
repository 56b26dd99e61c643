//! The list of routes is that of the router.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::ROUTES;

/// Addresses of the VIP Access protocol, below a path that the operator chooses; tested in vip.rs.
const VIP_ROUTES: [(&str, &str); 3] = [("prov", "POST"), ("otpCheck", "POST"), ("otpSync", "POST")];

#[test]
fn router_and_list_agree() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    for path in rust_files(&source) {
        let file = path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        for (route, methods) in routes_of(&fs::read_to_string(&path).unwrap(), &file) {
            assert!(found.insert(route.clone(), methods).is_none(), "{file}: {route} twice");
        }
    }
    let listed: BTreeMap<String, String> = ROUTES
        .into_iter()
        .map(|(path, methods, _)| (path, methods))
        .chain(VIP_ROUTES)
        .map(|(path, methods)| (path.to_owned(), methods.to_owned()))
        .collect();
    assert_eq!(found, listed, "put the new route into ROUTES, and its record into the tests below");
}

#[test]
fn a_route_that_the_list_can_not_see_is_found() {
    let one = |text: &str| routes_of(text, "new.rs");
    assert_eq!(one(".route(\"/a\", get(show).post(change))"), [("/a".into(), "GET POST".into())]);
    assert_eq!(one(".route(\n \"/a\",\n delete(x),\n)"), [("/a".into(), "DELETE".into())]);
    assert_eq!(one(".route(&at(\"prov\"), post(x))"), [("prov".into(), "POST".into())]);
    for hidden in [
        ".nest(\"/a\", other())",
        ".nest_service(\"/a\", files)",
        ".route_service(\"/a\", files)",
        ".fallback_service(files)",
        ".route(PATH, get(show))",
        ".route(\"/a\", any(show))",
        ".route(\"/a\", on(MethodFilter::GET, show))",
        ".route(\"/a\", MethodRouter::new())",
    ] {
        assert!(std::panic::catch_unwind(|| one(hidden)).is_err(), "{hidden}");
    }
}

/// The routes of a file, with their methods. Panics at a form of routing whose addresses or methods can't be read here.
fn routes_of(text: &str, file: &str) -> Vec<(String, String)> {
    for form in [".nest(", ".nest_service(", ".route_service(", ".fallback_service("] {
        assert!(!text.contains(form), "{file}: the list of routes can't see {form}");
    }
    let mut found = Vec::new();
    for rest in text.split(".route(").skip(1) {
        let mut open = 1;
        let end = rest.find(|letter| {
            open += i32::from(letter == '(') - i32::from(letter == ')');
            open == 0
        });
        let rest = &rest[..end.unwrap_or(rest.len())];
        let rest = rest.trim_start();
        let rest = rest.strip_prefix("&at(").unwrap_or(rest);
        let rest = rest.strip_prefix('"').unwrap_or_else(|| panic!("{file}: no address: {rest}"));
        let (path, handlers) = rest.split_once('"').unwrap();
        let has = |method: &str| {
            handlers.match_indices(&format!("{method}(")).any(|(at, _)| {
                let before = handlers[..at].trim_end().chars().next_back().unwrap();
                [',', '.', ':'].contains(&before)
            })
        };
        let known =
            ["get", "post", "put", "delete", "patch", "head", "options", "trace", "any", "on"];
        let methods: Vec<String> =
            known.iter().filter(|method| has(method)).map(|method| method.to_uppercase()).collect();
        let clear = !methods.is_empty() && !methods.iter().any(|it| it == "ANY" || it == "ON");
        assert!(clear, "{file}: {path}: methods can't be read");
        found.push((path.to_owned(), methods.join(" ")));
    }
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}
