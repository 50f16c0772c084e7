//! What people decide in Coop, the review console of ROOST: its actions, called back, decide the case of the family that was reported to it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use tocsin_casework::{POLICY_BYTES_MAX, Refusal, Ruling};
use tocsin_model::{ContentId, DecisionId, FamilyId, Grounds};
use tocsin_runtime::Problem;
use utoipa::ToSchema;

use super::body;
use super::cases::answered_case;
use super::documents::CaseDocument;
use super::refused::{NoSuchCase, NotModerated, Refused};
use super::requests::{recommended_action, verdict};
use crate::elsewhere::{cut, stands, words};
use crate::{Dispatcher, problems};

/// Coop puts the history of reports into the body.
const BODY_BYTES_MAX: usize = 1 << 20;

/// An action of Coop, as it calls back (its "Handling Actions"). What is not named here is ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoopAction {
    /// What the action is about: a family, as it was reported.
    pub item: CoopItem,
    /// What the action stands for, from its "Body" in Coop.
    #[serde(default)]
    pub custom: CoopCustom,
    /// The policies it rests on.
    #[serde(default)]
    pub policies: Vec<CoopPolicy>,
    /// Who did it. Absent where a rule did: that decides nothing here. It is not kept.
    pub actor_email: Option<String>,
    /// Why.
    pub decision_reason: Option<String>,
    /// Why, as Coop 1.0 says it.
    pub actor_note: Option<String>,
}

/// An item of Coop.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CoopItem {
    /// The family, 32 hexadecimal digits.
    pub id: String,
}

/// What whoever set up the action in Coop wrote into its body.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct CoopCustom {
    /// `violating`, `benign`, `newsworthy`, `disputed` or `needs_expert`.
    pub tocsin_verdict: Option<String>,
    /// `remove`, `reduce`, `label` or `keep`.
    pub tocsin_action: Option<String>,
}

/// A policy of Coop.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CoopPolicy {
    /// Its name.
    pub name: String,
}

/// Takes an action of Coop as the team's decision: claims the case of the family and decides it. What stands already is answered alike and counts once. What is
/// refused although the case is known (somebody holds it, a decision can still be taken back, it is closed) is kept in the case's history, as `coop_refused`: Coop does
/// not try again.
#[utoipa::path(
    post,
    path = "/v1/coop/actions",
    tag = "casework",
    operation_id = "take_coop_action",
    request_body = CoopAction,
    responses(
        (status = 200, description = "The case, decided", body = CaseDocument),
        (status = 409, description = "Somebody holds the case, it is closed, or a decision can still be taken back", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A rule did it and no person, the action stands for no decision, or a part of it is too long", body = Problem, content_type = "application/problem+json"),
        Refused,
        NotModerated,
        NoSuchCase
    ),
    security(("api_key" = []))
)]
pub(crate) async fn take_coop_action(State(dispatcher): State<Arc<Dispatcher>>, request: Request) -> Response {
    let taken = async {
        let access = dispatcher.moderator(request.headers()).await?;
        let action: CoopAction = body::read_at_most(request, BODY_BYTES_MAX).await?;
        let family = action.family()?;
        let ruling = action.ruling()?.checked().map_err(problems::of_refusal)?;
        let remaining = dispatcher.store.remaining_case(access.team, family).await;
        let (case, now) = remaining.map_err(|error| problems::of_store(&error))?;
        if stands(&case, now, (access.principal.key_id, &ruling)) {
            return Ok(dispatcher.document(&case, now, &access));
        }
        let by = (access.team, access.principal.key_id);
        let id = DecisionId(rand::random());
        let decided = dispatcher.decide_at_once(by, &case, (id, &ruling)).await;
        let decided = decided.map_err(|refused| problems::of_store(&refused.into()));
        if let Err(problem) = &decided {
            let said = words(&ruling);
            dispatcher
                .note_refused(by, case.id, ("coop_refused", problem.code(), &said))
                .await;
        }
        let (case, now) = decided?;
        Ok(dispatcher.document(&case, now, &access))
    };
    answered_case(&dispatcher, "take_coop_action", taken.await)
}

impl CoopAction {
    /// The family it is about. What was not reported by Tocsin has no case.
    fn family(&self) -> Result<FamilyId, Problem> {
        let family = ContentId::parse(&self.item.id).map(FamilyId);
        family.ok_or_else(|| problems::of_refusal(Refusal::NoSuchCase).into())
    }

    /// What the person decided, as the one who set up the action wrote it.
    fn ruling(&self) -> Result<Ruling, Problem> {
        if self.actor_email.as_deref().is_none_or(|actor| actor.trim().is_empty()) {
            return Err(problems::NOT_A_PERSON.into());
        }
        let unmapped = || Problem::new(problems::ACTION_UNMAPPED);
        let said = self.custom.tocsin_verdict.as_deref().ok_or_else(unmapped)?;
        let action = self.custom.tocsin_action.as_deref();
        let names: Vec<&str> = self.policies.iter().map(|policy| policy.name.as_str()).collect();
        let reason = self.decision_reason.as_deref().or(self.actor_note.as_deref());
        Ok(Ruling {
            verdict: verdict(said).map_err(|_| unmapped())?,
            grounds: Grounds {
                policy: cut(&names.join(", "), POLICY_BYTES_MAX).to_owned(),
                action: action.map(recommended_action).transpose().map_err(|_| unmapped())?,
                confidence: None,
                exceptions: Vec::new(),
            },
            rationale: reason.unwrap_or_default().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what Coop's documentation shows is read, and decides nothing unless a person did it and somebody said what it stands for.
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};
    use tocsin_model::{RecommendedAction, Verdict};

    use super::*;

    fn example() -> Value {
        json!({
            "item": { "id": "0123456789abcdef0123456789abcdef", "typeId": "item-7" },
            "action": { "id": "action-1" },
            "policies": [{ "id": "p1", "name": "Terrorism", "penalty": "HIGH" }, { "id": "p2", "name": "Violence" }],
            "rules": [],
            "custom": { "tocsin_verdict": "violating", "tocsin_action": "remove", "reportHistory": [] },
            "actorEmail": "moderator@example.com",
            "creator": { "id": "user-id", "typeId": "user-type-id" },
            "decisionReason": "footage of the attack",
            "userStrikeCount": 3
        })
    }

    fn ruling(change: impl FnOnce(&mut Value)) -> Result<Ruling, String> {
        let mut action = example();
        change(&mut action);
        let action: CoopAction = serde_json::from_value(action).unwrap();
        action.ruling().map_err(|problem| problem.code().to_owned())
    }

    #[test]
    fn an_action_stands_for_what_its_body_says() {
        let decided = ruling(|_| {}).unwrap();
        assert_eq!(
            (decided.verdict, decided.grounds.action),
            (Verdict::Violating, Some(RecommendedAction::Remove))
        );
        assert_eq!(
            (decided.grounds.policy.as_str(), decided.rationale.as_str()),
            ("Terrorism, Violence", "footage of the attack")
        );
        let of_1_0 = ruling(|action| {
            action["decisionReason"] = Value::Null;
            action["actorNote"] = "seen".into();
        });
        assert_eq!(of_1_0.unwrap().rationale, "seen");
        let long = ruling(|action| action["policies"] = json!([{"name": "ü".repeat(POLICY_BYTES_MAX)}]));
        assert_eq!(long.unwrap().grounds.policy, "ü".repeat(POLICY_BYTES_MAX / 2));
    }

    #[test]
    fn what_a_rule_did_or_stands_for_nothing_decides_nothing() {
        type Change = fn(&mut Value);
        let codes: [(Change, &str); 5] = [
            (|action| action["actorEmail"] = Value::Null, "coop_not_a_person"),
            (|action| action["actorEmail"] = " ".into(), "coop_not_a_person"),
            (|action| action["custom"] = json!({}), "coop_action_unmapped"),
            (
                |action| action["custom"]["tocsin_verdict"] = "delete".into(),
                "coop_action_unmapped",
            ),
            (
                |action| action["custom"]["tocsin_action"] = "delete".into(),
                "coop_action_unmapped",
            ),
        ];
        for (change, code) in codes {
            assert_eq!(ruling(change), Err(code.to_owned()));
        }
    }

    #[test]
    fn what_tocsin_did_not_report_has_no_case() {
        let mut action = example();
        action["item"]["id"] = "post-99".into();
        let action: CoopAction = serde_json::from_value(action).unwrap();
        assert_eq!(action.family().unwrap_err().code(), "case_unknown");
    }
}
