//! Notes where members belong that were told of decisions, for when they are hot no more: nobody says then that one had left its family.

use tocsin_failpoint::{FailPoint, reach};
use tocsin_model::{ContentId, FamilyId};
use tocsin_store::{Belonging, StoreError};

use crate::Dispatcher;

/// Of contents of which a group said something.
pub(super) async fn note(dispatcher: &Dispatcher, due: &[FamilyId]) -> Result<(), StoreError> {
    let contents: Vec<ContentId> = due.iter().map(|family| family.0).collect();
    let told = dispatcher.store.belongings(&contents).await?;
    let changed: Vec<Belonging> = told
        .into_iter()
        .filter_map(|of| {
            // What was withdrawn meanwhile stays where it was.
            let (said, said_at) = dispatcher.carrying.family_since(of.team, of.content)?;
            let belongs_to = Some(said);
            (of.belongs_to != belongs_to && of.said_at <= said_at).then_some(Belonging {
                belongs_to,
                said_at,
                ..of
            })
        })
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    dispatcher.store.note_belongings(&changed).await?;
    reach(FailPoint::BelongingsNoted);
    Ok(())
}
