use crate::fault::Refused;
use crate::protocol::Protocol;

/// The protocols that come with Tocsin: name, and the file.
pub const SHIPPED: [(&str, &str); 4] = [
    ("crisis", include_str!("../../../../schemas/protocols/crisis.toml")),
    (
        "perpetrator-content",
        include_str!("../../../../schemas/protocols/perpetrator-content.toml"),
    ),
    (
        "eu-crisis-protocol",
        include_str!("../../../../schemas/protocols/eu-crisis-protocol.toml"),
    ),
    (
        "new-zealand",
        include_str!("../../../../schemas/protocols/new-zealand.toml"),
    ),
];

/// A protocol that comes with Tocsin. `None` when there is none of this name.
///
/// # Errors
/// Its file is refused, which a test rules out.
pub fn shipped(name: &str) -> Option<Result<Protocol, Refused>> {
    let (_, text) = SHIPPED.iter().find(|(known, _)| *known == name)?;
    Some(Protocol::parse(text))
}
