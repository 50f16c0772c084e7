//! Goal: on both databases a party preserves what is its own, orders and appeals do it by themselves, once, copies are made by one at a time and sealed once,
//! and whatever is done is an entry of a custody that holds, and a record of the audit chain.
#![allow(clippy::unwrap_used, dead_code)]

mod copies;
#[path = "../fixture/mod.rs"]
mod fixture;

use std::collections::BTreeMap;

use fixture::{Fixture, START, alert, filings, on_both};
use tocsin_casework::{CaseId, Filing, NoticeCommand, NoticeId, NoticeKind, NoticeOutcome, Refusal, Team};
use tocsin_evidence::{
    Act, Basis, BasisKind, Chain, Origin, Preservation, PreservationCommand, PreservationId, PreservationRefusal,
    PreservationState, RUNNING_PER_CASE_MAX, SealedCopy, Signer, months_after,
};
use tocsin_model::{
    AlertLevel, Algorithm, ContentHash, ContentId, FamilyId, KeyId, Milliseconds, PartyId, Scope, Timestamp,
};
use tocsin_store::{About, CaseRows, PageOf, PreservationCounts, PreservationQuery, Store, StoreError};

const LEASE: Milliseconds = Milliseconds::from_minutes(2);
const DAY: Milliseconds = Milliseconds::from_hours(24);

fn signer() -> Signer {
    Signer::from_seed(&[7; 32])
}

fn basis(kind: BasisKind, reference: &str) -> Basis {
    Basis {
        kind,
        text: "an investigation".to_owned(),
        reference: reference.to_owned(),
    }
}

fn copy(byte: u8) -> SealedCopy {
    SealedCopy {
        at: START,
        manifest: [byte; 32],
        events: 3,
        bytes: 400,
        is_cut: false,
    }
}

/// A party, its key, and a case of it.
struct Own {
    party: PartyId,
    key: KeyId,
    case: CaseId,
    platform: tocsin_model::PlatformId,
}

impl Own {
    async fn of(f: &Fixture, name: &str, family: u128) -> Own {
        let (party, key, _) = f.party(name).await;
        let scope = Scope::Party(party.id);
        f.store
            .apply_alert(&alert(family, scope, AlertLevel::Raised, 1))
            .await
            .unwrap();
        let team = Team::Party(party.id);
        let case = f.store.case_of_family(team, FamilyId(ContentId(family))).await.unwrap();
        Own {
            party: party.id,
            key,
            case: case.unwrap().id,
            platform: party.platforms[0].0,
        }
    }

    async fn order(&self, store: &Store, (reference, part): (&str, u32)) -> NoticeId {
        self.order_of(store, "Bundeskriminalamt", (reference, part)).await
    }

    async fn order_of(&self, store: &Store, authority: &str, (reference, part): (&str, u32)) -> NoticeId {
        let filing = Filing {
            authority: authority.to_owned(),
            part,
            ..filings::notice(NoticeKind::RemovalOrder, reference, START)
        };
        let by = (Team::Party(self.party), self.key);
        let filed = Box::pin(store.file_notice(by, &About::Case(self.case), &filing)).await;
        filed.unwrap().notice.id
    }

    async fn preserve(&self, store: &Store, kind: BasisKind) -> Result<Preservation, StoreError> {
        let what = basis(kind, "AZ 1");
        let placed = Box::pin(store.preserve((self.party, self.key), self.case, &what)).await;
        placed.map(|(placed, _)| placed)
    }

    async fn all(&self, store: &Store) -> Vec<Preservation> {
        let query = PreservationQuery {
            party: self.party,
            state: None,
            case: Some(self.case),
            limit: 200,
            after: None,
        };
        store.preservations(&query).await.unwrap().preservations
    }

    /// What was done with one, whose custody holds.
    async fn acts(&self, store: &Store, id: PreservationId) -> Vec<Act> {
        let preserved = store.preservation(self.party, id).await.unwrap();
        let mut chain = Chain::of(id);
        for entry in &preserved.custody {
            chain.take(entry, &signer().public()).unwrap();
        }
        preserved.custody.iter().map(|signed| signed.entry.act).collect()
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) -> PreservationRefusal {
    match result {
        Err(StoreError::PreservationRefused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn release() -> PreservationCommand {
    PreservationCommand::Release {
        reason: "the file was closed".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_preserves_its_own_and_nobody_else_does_anything_with_it() {
    on_both(async |f| {
        f.store.keep_custody(signer());
        let (alpha, beta) = (Own::of(f, "alpha", 1).await, Own::of(f, "beta", 2).await);
        let placed = alpha.preserve(&f.store, BasisKind::Investigation).await.unwrap();
        assert_eq!(placed.until, months_after(START, 6));
        let [written] = &alpha.all(&f.store).await[..] else {
            panic!("one was placed")
        };
        assert_eq!(*written, placed, "what is written is what was said");
        let foreign = Own {
            case: alpha.case,
            ..beta
        };
        let refusal = foreign.preserve(&f.store, BasisKind::Investigation).await;
        assert!(
            matches!(refusal, Err(StoreError::Refused(Refusal::NoSuchCase))),
            "{refusal:?}"
        );
        let by = (foreign.party, foreign.key);
        let unknown = PreservationRefusal::NoSuchPreservation;
        assert_eq!(refused(f.store.preservation(foreign.party, placed.id).await), unknown);
        assert_eq!(
            refused(Box::pin(f.store.command_preservation(by, placed.id, &release())).await),
            unknown
        );
        let right = basis(BasisKind::Investigation, "AZ 2");
        assert_eq!(
            refused(Box::pin(f.store.export_preservation(by, placed.id, &right)).await),
            unknown
        );
        assert_eq!(foreign.all(&f.store).await, []);
        let missing = PreservationId(1);
        assert_eq!(refused(f.store.preservation(alpha.party, missing).await), unknown);
        assert_eq!(alpha.acts(&f.store, placed.id).await, [Act::Placed]);
        // Without a key nothing is placed, and nothing is lost.
        let without = f.another().await;
        let refusal = alpha.preserve(&without, BasisKind::Investigation).await;
        assert!(matches!(refusal, Err(StoreError::NoCustodyKey)), "{refusal:?}");
        alpha.order(&without, ("A-0", 0)).await;
        assert_eq!(alpha.all(&f.store).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_preserved_once_for_each_case_and_the_latest_stands_for_those_without_room() {
    on_both(async |f| {
        f.store.keep_custody(signer());
        let own = Own::of(f, "alpha", 1).await;
        for part in 0..3 {
            own.order(&f.store, ("A-1", part)).await;
        }
        let [only] = &own.all(&f.store).await[..] else {
            panic!("one for the parts of one order")
        };
        assert!(matches!(only.origin, Origin::Notice(_)));
        assert_eq!(
            (only.basis.kind, only.basis.reference.as_str()),
            (BasisKind::RemovalOrder, "A-1")
        );
        let by = (own.party, own.key);
        let early = Box::pin(f.store.command_preservation(by, only.id, &release())).await;
        assert_eq!(refused(early), PreservationRefusal::Required);
        for number in 2..=RUNNING_PER_CASE_MAX {
            own.order(&f.store, (&format!("A-{number}"), 0)).await;
        }
        let full = own.all(&f.store).await;
        assert_eq!(full.len(), RUNNING_PER_CASE_MAX);
        let refusal = own.preserve(&f.store, BasisKind::Review).await;
        assert_eq!(refused(refusal), PreservationRefusal::TooMany);
        f.clock.advance(DAY);
        own.order(&f.store, ("B-1", 0)).await;
        own.order(&f.store, ("B-2", 0)).await;
        let after = own.all(&f.store).await;
        assert_eq!(after.len(), RUNNING_PER_CASE_MAX);
        assert_eq!(
            (after[0].id, after[0].until),
            (full[0].id, months_after(START + DAY, 6))
        );
        assert_eq!(own.acts(&f.store, full[0].id).await, [Act::Placed, Act::StoodFor]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_its_authoritys_and_what_is_carried_out_is_preserved_as_it_is_then() {
    on_both(async |f| {
        f.store.keep_custody(signer());
        let own = Own::of(f, "alpha", 1).await;
        let by = (Team::Party(own.party), own.key);
        let first = own.order(&f.store, ("1/2026", 0)).await;
        own.order_of(&f.store, "Europol", ("1/2026", 0)).await;
        let [other, ours] = &own.all(&f.store).await[..] else {
            panic!("one for each authority")
        };
        assert!(ours.basis.text.contains("Bundeskriminalamt") && other.basis.text.contains("Europol"));
        // A part that comes later is due as long as any.
        f.clock.advance(DAY);
        let later = own.order(&f.store, ("1/2026", 1)).await;
        let all = own.all(&f.store).await;
        assert_eq!((all.len(), all[1].until), (2, months_after(START + DAY, 6)));
        assert_eq!(own.acts(&f.store, all[1].id).await, [Act::Placed, Act::StoodFor]);

        f.store.sealed((all[1].id, 0), copy(1)).await.unwrap();
        f.clock.advance(DAY);
        let answer = |outcome| NoticeCommand::Answer {
            outcome,
            note: String::new(),
        };
        let removed = answer(NoticeOutcome::Removed);
        for _ in 0..2 {
            Box::pin(f.store.command_notice(by, first, &removed)).await.unwrap();
        }
        let all = own.all(&f.store).await;
        assert_eq!(all.len(), 3, "the copy is older than the removal");
        assert_eq!((all[0].until, all[0].copy), (months_after(START + DAY + DAY, 6), None));
        assert_eq!(all[0].basis, all[2].basis);
        Box::pin(f.store.command_notice(by, later, &removed)).await.unwrap();
        assert_eq!(own.all(&f.store).await.len(), 3, "that copy will hold it");

        let kept = own.order(&f.store, ("2/2026", 0)).await;
        Box::pin(f.store.command_notice(by, kept, &answer(NoticeOutcome::Kept)))
            .await
            .unwrap();
        assert_eq!(
            own.all(&f.store).await.len(),
            4,
            "what stays was preserved when it was ordered"
        );
    })
    .await;
}

/// Orders of before a program that preserves them are filed by one that signs no custody.
#[tokio::test(flavor = "multi_thread")]
async fn orders_from_before_are_preserved_once() {
    on_both(async |f| {
        let own = Own::of(f, "alpha", 1).await;
        let by = (Team::Party(own.party), own.key);
        own.order(&f.store, ("0/2025", 0)).await;
        f.clock.advance(Milliseconds(200 * DAY.0));
        let filed_at = START + Milliseconds(200 * DAY.0);
        let removed = own.order(&f.store, ("1/2026", 0)).await;
        own.order(&f.store, ("1/2026", 1)).await;
        own.order(&f.store, ("2/2026", 0)).await;
        f.clock.advance(DAY);
        let answer = NoticeCommand::Answer {
            outcome: NoticeOutcome::Removed,
            note: String::new(),
        };
        Box::pin(f.store.command_notice(by, removed, &answer)).await.unwrap();
        assert_eq!(own.all(&f.store).await.len(), 0);

        f.store.keep_custody(signer());
        f.clock.advance(DAY);
        let looked = f.store.preserve_earlier_orders(0).await.unwrap();
        assert_eq!(looked.placed, 2, "one for each order whose months are not over");
        let end = f.store.preserve_earlier_orders(looked.next.unwrap()).await.unwrap();
        assert_eq!((end.placed, end.next), (0, None));
        let all = own.all(&f.store).await;
        let told: Vec<(&str, Timestamp)> = all
            .iter()
            .map(|one| (one.basis.reference.as_str(), one.until))
            .collect();
        let wanted = [
            ("2/2026", months_after(filed_at, 6)),
            ("1/2026", months_after(filed_at + DAY, 6)),
        ];
        assert_eq!(told, wanted, "from its removal, else from its filing");
        assert!(all.iter().all(|one| one.required_until == Some(one.until)));
        for _ in 0..2 {
            let again = f.store.preserve_earlier_orders(0).await.unwrap();
            assert_eq!(again.placed, 0);
        }
        for one in &all {
            assert_eq!(own.acts(&f.store, one.id).await, [Act::Placed]);
        }
        // What ended is not placed anew.
        f.clock.advance(Milliseconds(100 * DAY.0));
        own.order(&f.store, ("3/2026", 0)).await;
        f.clock.advance(Milliseconds(90 * DAY.0));
        assert_eq!(f.store.expire_preservations().await.unwrap(), 2);
        assert_eq!(f.store.preserve_earlier_orders(0).await.unwrap().placed, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appeal_is_preserved_with_those_whose_copy_is_not_made_yet() {
    on_both(async |f| {
        f.store.keep_custody(signer());
        let own = Own::of(f, "alpha", 1).await;
        let content = ContentHash::from_bytes(Algorithm::Sha256, vec![1; 32], None).unwrap();
        let appeal = |reference: &str| filings::appeal(reference, own.platform, content.clone());
        let about = (ContentId(1), FamilyId(ContentId(1)));
        let by = (Team::Party(own.party), own.key);
        for reference in ["C-1", "C-2"] {
            Box::pin(f.store.file_appeal(by, about, &appeal(reference)))
                .await
                .unwrap();
        }
        let [only] = &own.all(&f.store).await[..] else {
            panic!("one for both appeals")
        };
        assert!(matches!(only.origin, Origin::Appeal(_)));
        assert_eq!(
            (only.basis.kind, only.basis.reference.as_str()),
            (BasisKind::Complaint, "C-1")
        );
        let rows = f
            .store
            .case_rows((by.0, own.case), CaseRows::Appeals, 0)
            .await
            .unwrap()
            .lines;
        assert!(rows.len() == 2 && rows[1].contains("\"reference\":\"C-2\""), "{rows:?}");
        f.store.sealed((only.id, 0), copy(1)).await.unwrap();
        Box::pin(f.store.file_appeal(by, about, &appeal("C-3"))).await.unwrap();
        let all = own.all(&f.store).await;
        assert_eq!((all.len(), all[0].basis.reference.as_str()), (2, "C-3"));
        let steps = f
            .store
            .case_rows((by.0, own.case), CaseRows::Steps, 2)
            .await
            .unwrap()
            .lines;
        assert!(steps.len() == 1 && steps[0].contains("appeal_filed"), "{steps:?}");
        let foreign = f
            .store
            .case_rows((Team::Coordinators, own.case), CaseRows::Steps, 0)
            .await;
        assert!(matches!(foreign, Err(StoreError::Refused(Refusal::NoSuchCase))));
    })
    .await;
}
