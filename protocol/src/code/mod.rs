//! Request and response codes by name, as of release 5.3.3. Source: Java's `RequestCode` and `ResponseCode`.

pub mod request;
pub mod response;
mod table;

/// The name of a request code, for logs and refusals; `None` for a number that 5.3.3 does not know.
pub fn request_name(code: i32) -> Option<&'static str> {
    request::name(code)
}

/// The name of a response code, for logs; `None` for a number that 5.3.3 does not know.
pub fn response_name(code: i32) -> Option<&'static str> {
    response::name(code)
}
