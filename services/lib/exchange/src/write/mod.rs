//! What goes out, in the shapes that others read.

mod reaction;
mod stix;

use serde_json::{Map, Value};
use tocsin_model::ContentHash;

use crate::local_file_type;

pub use reaction::{Reaction, reactions};
pub use stix::{Sighted, TlpMark, bundle_begin, bundle_end, identity, indicator, indicator_in, sighting};

/// A line of a `local_file` exchange, without its end; `None`: nobody there has a name for this kind of hash, or it would be no line.
pub fn local_file_line(hash: &ContentHash) -> Option<String> {
    let text = hash.value_text();
    let is_line = !text.contains(['\n', '\r']);
    Some(format!("{} {text}", local_file_type(hash.algorithm())?)).filter(|_| is_line)
}

/// The body of `POST /c/bank/<bank>/signal` of HMA: `{"pdq": "..."}`; `None` as for [`local_file_line`].
pub fn bank_signal(hash: &ContentHash) -> Option<Value> {
    let kind = local_file_type(hash.algorithm())?;
    Some(Value::Object(Map::from_iter([(
        kind.to_owned(),
        hash.value_text().into(),
    )])))
}
