//! What the service's look-ups are held against: actix alone, and actix with one cached select by key through diesel-async.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _};
use diesel_async::RunQueryDsl as _;
use propusk::storage::schema::applications as a;
use propusk::storage::{Db, DbOptions};

/// The variable that makes this binary be the server.
pub const LISTEN: &str = "BENCH_BARE_LISTEN";

/// About as long as the status of an application.
const BODY: &str = r#"{"reference":"0000-0000-0000-00","track":"patent","phase":"checks","stage":"Your application is being checked","waitsFor":"office","next":"We decide on it and tell you","promisedOn":"2026-12-09","since":"2026-11-25T09:00:00Z","asOf":"2026-11-25T09:30:00Z"}"#;

/// Serves until it is killed.
pub async fn serve(listen: &str) {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let db = Db::new(&DbOptions {
        url: std::env::var("DATABASE_URL").unwrap(),
        pool_size: 2 * cores + 2,
        wait: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(10),
    });
    let db = Arc::new(db.unwrap());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&db)))
            .route("/fixed", web::get().to(fixed))
            .route("/select/{reference}", web::get().to(select))
    });
    server.workers(cores).bind(listen).unwrap().run().await.unwrap();
}

async fn fixed() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(BODY)
}

async fn select(db: web::Data<Db>, reference: web::Path<String>) -> HttpResponse {
    let mut conn = db.conn().await.unwrap();
    let found: Option<(String, String, i32)> = a::table
        .filter(a::reference.eq(reference.as_str()))
        .select((a::state, a::phase, a::version))
        .first(&mut conn)
        .await
        .optional()
        .unwrap();
    drop(conn);
    match found {
        Some((state, phase, version)) => HttpResponse::Ok()
            .content_type("application/json")
            .body(format!(r#"{{"state":"{state}","phase":"{phase}","version":{version}}}"#)),
        None => HttpResponse::NotFound().finish(),
    }
}
