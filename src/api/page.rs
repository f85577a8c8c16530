//! Keyset pages: `limit` and an opaque, sealed `cursor` in the query, `Link: rel="next"` in the answer.
//!
//! A cursor holds the last row's keys and is sealed for one operation, so a forged or foreign one answers 400
//! instead of reaching a statement.

use actix_web::HttpRequest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use validator::Validate;

use crate::auth::tokens::Tokens;
use crate::error::{Error, Result, Violation};

/// Which part of a list is asked for; flatten it into no other query, take it as a second `Query`.
#[derive(Debug, Clone, Deserialize, Validate, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct PageQuery {
    /// How many items at most.
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20, example = 20)]
    #[serde(default = "default_limit")]
    pub limit: u16,
    /// Where to go on: from the `next` link of the page before.
    #[validate(length(min = 1, max = 1024))]
    #[param(min_length = 1, max_length = 1024, pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

const fn default_limit() -> u16 {
    20
}

impl PageQuery {
    /// How many rows to ask storage for: one more than the page, to know whether there is a next one.
    #[must_use]
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Opens the cursor that [`Page::new`] sealed for the same `list`.
    ///
    /// # Errors
    /// [`crate::error::ErrorCode::InvalidRequest`] when it is forged, damaged or of another list.
    pub fn after<K: DeserializeOwned>(&self, tokens: &Tokens, list: &str) -> Result<Option<K>> {
        self.cursor.as_deref().map(|cursor| open(tokens, list, cursor)).transpose()
    }
}

/// One page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The value of the `Link` field, if there is a next page.
    pub link: Option<String>,
}

impl<T> Page<T> {
    /// Cuts `rows` (of [`PageQuery::fetch`]) to the page; `key` gives the keys of a row for the next cursor.
    ///
    /// # Errors
    /// [`Error::Internal`] when the keys cannot be encoded.
    pub fn new<K: Serialize>(
        request: &HttpRequest,
        query: &PageQuery,
        tokens: &Tokens,
        list: &str,
        mut rows: Vec<T>,
        key: impl Fn(&T) -> K,
    ) -> Result<Self> {
        let limit = usize::from(query.limit);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let link = match rows.last() {
            Some(last) if more => {
                Some(next_link(request, query.limit, &close(tokens, list, &key(last))?))
            }
            _ => None,
        };
        Ok(Self { items: rows, link })
    }
}

fn close<K: Serialize>(tokens: &Tokens, list: &str, keys: &K) -> Result<String> {
    let mut content = serde_json::to_vec(keys)
        .map_err(|error| Error::internal("cannot encode a cursor", error))?;
    let seal = tokens.seal(&format!("cursor {list}"), &content);
    content.extend_from_slice(&seal);
    Ok(URL_SAFE_NO_PAD.encode(content))
}

fn open<K: DeserializeOwned>(tokens: &Tokens, list: &str, cursor: &str) -> Result<K> {
    let opened = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| {
        let (content, seal) = bytes.split_at_checked(bytes.len().checked_sub(16)?)?;
        let right = tokens.seal(&format!("cursor {list}"), content);
        let fits: bool = subtle::ConstantTimeEq::ct_eq(&right[..], seal).into();
        if fits { serde_json::from_slice(content).ok() } else { None }
    });
    opened.ok_or_else(|| {
        let detail = "Take the cursor from the `next` link of the page before, unchanged.";
        Error::invalid(vec![Violation::new("cursor", "invalid-cursor", detail)])
    })
}

/// The same request with the next cursor, relative to the server: clients behind a proxy stay there.
fn next_link(request: &HttpRequest, limit: u16, cursor: &str) -> String {
    let kept = request.query_string().split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && name != "cursor" && name != "limit"
    });
    let mut query: String = kept.fold(String::new(), |query, pair| query + pair + "&");
    query.push_str(&format!("limit={limit}&cursor={cursor}"));
    // What stands between < and > must not end it: the path and query arrive percent-encoded.
    let target = format!("{}?{query}", request.path()).replace('>', "%3E").replace('<', "%3C");
    format!("<{target}>; rel=\"next\"")
}
