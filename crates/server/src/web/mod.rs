//! What speaks HTTP below pages and API: connections and heads, hosts and origins, whom a request comes from, limits, cookies
//! of browsers, answers.

pub(crate) mod authenticator;
pub(crate) mod browser;
pub(crate) mod client_address;
pub(crate) mod edge;
pub(crate) mod head;
pub(crate) mod limits;
pub(crate) mod listen;
pub(crate) mod proxy_protocol;
pub mod qr;
pub(crate) mod respond;
