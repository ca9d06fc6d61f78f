//! The limit: the service's own HTTP server, answering bytes that it had before.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::{Context as _, Result};
use bytes::Bytes;

use crate::served::LISTENING;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// What is answered.
    body: PathBuf,
    /// `gzip` where it is that.
    #[arg(long)]
    encoding: Option<String>,
    /// `name: value`, sent with every answer; once for each
    #[arg(long)]
    header: Vec<String>,
}

/// Serves until it is killed.
///
/// # Errors
/// Where the file cannot be read, or nothing be listened on.
#[expect(clippy::print_stderr, reason = "how a program says where it listens")]
pub(crate) async fn serve(options: Options) -> Result<()> {
    let body = Bytes::from(std::fs::read(&options.body)?);
    let encoding = options.encoding.map(|encoding| format!("content-encoding: {encoding}"));
    let headers = options.header.iter().chain(&encoding).map(|line| parsed(line));
    let headers: Vec<(HeaderName, HeaderValue)> = headers.collect::<Result<_>>()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        let (body, headers) = (body.clone(), headers.clone());
        App::new().default_service(web::to(move |_: HttpRequest| {
            let mut response = HttpResponse::Ok();
            response.content_type("application/json");
            for (name, value) in &headers {
                response.insert_header((name.clone(), value.clone()));
            }
            let response = response.body(body.clone());
            async move { response }
        }))
    })
    .keep_alive(Duration::from_secs(75))
    .listen(listener)?
    .run();
    eprintln!("{LISTENING}{address}");
    Ok(server.await?)
}

fn parsed(line: &str) -> Result<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(": ").context("a header is `name: value`")?;
    Ok((name.parse()?, value.parse()?))
}
