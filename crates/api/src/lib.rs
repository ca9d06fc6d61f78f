//! The HTTP API of Jebi and the commands of its operators. The binary `jebi` is a few lines above this.

pub mod auth;
mod body;
mod cached;
pub mod command;
mod doctor;
mod etag;
mod health;
mod import;
mod jobs;
mod limits;
mod openapi;
mod optimize;
mod orders;
mod params;
mod performance;
mod problem;
mod products;
mod relay;
mod repeats;
mod request_id;
mod respond;
mod routes;
mod seed;
pub mod serve;
pub mod settings;
mod state;
pub mod work;
