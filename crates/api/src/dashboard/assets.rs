//! The files of the page, as they are in the binary.

use actix_web::http::header;
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use crate::problem::Problem;

pub(super) const INDEX: &str = include_str!("../../assets/dashboard/index.html");
pub(super) const LOGIN: &str = include_str!("../../assets/dashboard/login.html");

macro_rules! assets {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../assets/dashboard/", $name)))),+]
    };
}

const ASSETS: &[(&str, &[u8])] = assets!(
    "advice.js",
    "alerts.js",
    "app.css",
    "benchmarks.js",
    "cache.js",
    "charts.js",
    "database.js",
    "dom.js",
    "facts.js",
    "figures.js",
    "format.js",
    "header.js",
    "icon.svg",
    "jobs.js",
    "login.js",
    "main.js",
    "statements.js",
    "stream.js",
    "table.js",
    "topics.js",
    "traffic.js",
    "uplot.LICENSE",
    "uplot.css",
    "uplot.js",
    "wholesalers.js",
    "words.js",
);

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

/// One of the files. A browser keeps it and asks whether it has changed: releases change them.
#[get("/assets/{name}")]
pub(super) async fn asset(name: Path<String>, request: HttpRequest) -> HttpResponse {
    use actix_web::ResponseError as _;
    let Some((name, bytes)) = ASSETS.iter().find(|(known, _)| *known == name.as_str()) else {
        return Problem::not_found("file").error_response();
    };
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest(&SHA256, bytes).as_ref()[..12]));
    let known = request.headers().get(header::IF_NONE_MATCH);
    let is_known = known
        .and_then(|known| known.to_str().ok())
        .is_some_and(|known| known.split(',').any(|known| known.trim() == tag));
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, tag)).insert_header((header::CACHE_CONTROL, "no-cache"));
    if is_known {
        return response.finish();
    }
    response.content_type(kind(name)).body(*bytes)
}

#[cfg(test)]
mod tests {
    use super::ASSETS;

    #[test]
    fn every_file_of_the_folder_is_in_the_binary() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/dashboard");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".html") && name != "README.md")
            .collect();
        files.sort();
        let known: Vec<&str> = ASSETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, known);
    }
}
