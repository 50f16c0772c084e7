//! Notices and appeals.

use tocsin_casework::{
    AppealCause, AppealOutcome, Concerns, NoticeKind, NoticeOutcome, ORDER_DUE_IN, SuspensionGround,
};
use tocsin_model::Timestamp;
use tocsin_report::{AppealRow, NoticeRow};

use super::Reading;
use crate::StoreError;
use crate::database::Row;

impl Reading {
    pub(super) async fn notices(&mut self) -> Result<(), StoreError> {
        let period = *self.tally.period();
        let sql = "SELECT n.sequence, n.kind, n.authority, n.received_at, n.due_at, n.ground, n.suspended_at, n.outcome, n.answered_at FROM notices n \
             WHERE n.team = $1 AND n.received_at >= $2 AND n.received_at < $3 AND (n.received_at, n.sequence) > ($4, $5) \
             ORDER BY n.received_at, n.sequence";
        let fixed = [self.team(), period.begins().into(), period.ends().into()];
        let after = vec![i64::MIN.into(), i64::MIN.into()];
        let next = |row: &Row| {
            Ok(vec![
                row.integer("received_at")?.into(),
                row.integer("sequence")?.into(),
            ])
        };
        self.pages(sql, (&fixed, after), next, async |_, tally, rows| {
            for row in rows {
                tally.notice(&notice(row)?);
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn appeals(&mut self) -> Result<(), StoreError> {
        let period = *self.tally.period();
        let sql = "SELECT a.sequence, a.against, a.filed_at, a.outcome, a.concerns, a.cause, a.answered_at FROM appeals a \
             WHERE a.team = $1 AND (a.answered_at IS NULL OR a.answered_at >= $2) AND a.filed_at < $3 AND a.sequence > $4 ORDER BY a.sequence";
        let fixed = [self.team(), period.begins().into(), period.ends().into()];
        let next = |row: &Row| Ok(vec![row.integer("sequence")?.into()]);
        self.pages(sql, (&fixed, vec![i64::MIN.into()]), next, async |_, tally, rows| {
            for row in rows {
                tally.appeal(&appeal(row)?);
            }
            Ok(())
        })
        .await
    }
}

fn notice(row: &Row) -> Result<NoticeRow, StoreError> {
    let failed = StoreError::database("read a notice of a report");
    let malformed = |field| StoreError::Malformed { field };
    let number = |column| row.integer(column).map_err(&failed);
    let number_if_any = |column| row.integer_if_any(column).map_err(&failed);
    let suspended = match number_if_any("ground")? {
        None => None,
        Some(ground) => {
            let ground = SuspensionGround::from_number(ground).ok_or(malformed("ground"))?;
            Some((ground, Timestamp(number("suspended_at")?)))
        }
    };
    let answered = match number_if_any("outcome")? {
        None => None,
        Some(outcome) => {
            let outcome = NoticeOutcome::from_number(outcome).ok_or(malformed("outcome"))?;
            Some((outcome, Timestamp(number("answered_at")?)))
        }
    };
    let kind = NoticeKind::from_number(number("kind")?).ok_or(malformed("kind"))?;
    let received_at = Timestamp(number("received_at")?);
    let due_at = number_if_any("due_at")?.map(Timestamp);
    // An order is due an hour after its receipt, and an hour after its time ran anew.
    let anew = due_at.filter(|due| kind == NoticeKind::RemovalOrder && *due != received_at + ORDER_DUE_IN);
    Ok(NoticeRow {
        kind,
        authority: row.text("authority").map_err(&failed)?,
        received_at,
        due_at,
        ran_anew_at: anew.map(|due| due - ORDER_DUE_IN),
        suspended,
        answered,
    })
}

fn appeal(row: &Row) -> Result<AppealRow, StoreError> {
    let failed = StoreError::database("read an appeal of a report");
    let malformed = |field| StoreError::Malformed { field };
    let number = |column| row.integer(column).map_err(&failed);
    let answered = match row.integer_if_any("outcome").map_err(&failed)? {
        None => None,
        Some(outcome) => {
            let cause = row.integer_if_any("cause").map_err(&failed)?;
            let cause = cause.map(|number| AppealCause::from_number(number).ok_or(malformed("cause")));
            Some((
                AppealOutcome::from_number(outcome).ok_or(malformed("outcome"))?,
                Concerns::from_number(number("concerns")?).ok_or(malformed("concerns"))?,
                cause.transpose()?,
                Timestamp(number("answered_at")?),
            ))
        }
    };
    Ok(AppealRow {
        against_decision: number("against")? == 1,
        filed_at: Timestamp(number("filed_at")?),
        answered,
    })
}
