//! The documentation page under `/docs`, from files in the binary: nothing is loaded from elsewhere.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpResponse, get, web};
use utoipa_swagger_ui::Config;

use crate::error::{Error, Result};

#[get("/docs")]
pub(super) async fn show_docs_root() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

#[get("/docs/{file:.*}")]
pub(super) async fn show_docs(file: web::Path<String>) -> Result<HttpResponse> {
    let config = Arc::new(Config::from("/v1/openapi.json"));
    let file = utoipa_swagger_ui::serve(&file, config)
        .map_err(|error| Error::internal("cannot serve the documentation", error.to_string()))?
        .ok_or_else(Error::not_found)?;
    let mut response = HttpResponse::Ok();
    response.content_type(file.content_type);
    response.insert_header((header::CACHE_CONTROL, "public, max-age=3600"));
    if file.gzpipped {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    Ok(response.body(file.bytes.into_owned()))
}
