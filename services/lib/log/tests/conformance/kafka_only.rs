//! What only Kafka can do: several members, and the death of one.
