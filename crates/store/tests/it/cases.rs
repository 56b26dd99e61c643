//! Proofing cases: their states read back, and columns that disagree are damage.

use countersign_domain::{Timestamp, proofing::CaseState};
use countersign_store::{CasePurpose, CaseRow, Error};

use crate::support::{NOW, People};

fn open_case(people: People) -> CaseRow {
    CaseRow {
        id: new_id!(CaseId),
        practice: people.practice,
        person: people.prescriber,
        purpose: CasePurpose::Recovery,
        opened: NOW,
        state: CaseState::Open,
        evidence: None,
        near: None,
        address_confirmed: None,
        issue: None,
    }
}

on_both! {
    async fn cases_in_every_state(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let mut complete = CaseState::Open;
        complete.complete(NOW);
        let mut used = complete;
        used.end_window();
        let mut closed = complete;
        closed.close();
        for state in [CaseState::Open, complete, used, closed, CaseState::Closed { completed: None }] {
            let mut row = open_case(people);
            row.near = Some((people.prescriber, NOW));
            row.issue = Some((people.prescriber, "Pharmacy".to_owned()));
            row.state = state;
            let (saved, id) = (row.clone(), row.id);
            let found = store
                .write("case", move |tx| {
                    tx.create_case(&open_case_of(&saved))?;
                    tx.save_case(&saved)?;
                    tx.case(people.practice, id)
                })
                .await
                .unwrap();
            assert!(found == Some(row), "{state:?}");
        }
    }

    async fn a_case_whose_columns_disagree_is_damage(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let row = open_case(people);
        let id = row.id;
        store.write("case", move |tx| tx.create_case(&row)).await.unwrap();
        for (column, value, back, damage) in [
            ("state", "'complete'", "'open'", "proofing_case.state"),
            ("complete_at", "5", "NULL", "proofing_case.state"),
            ("window_until", "5", "NULL", "proofing_case.state"),
            ("near_at", "5", "NULL", "proofing_case.near_at"),
            ("issue_unit", "'Pharmacy'", "NULL", "proofing_case.issue_unit"),
        ] {
            place.sql(&format!("UPDATE proofing_case SET {column} = {value}")).await;
            let read = store.read("damaged", move |tx| tx.case(people.practice, id)).await;
            let Err(Error::Corrupt { column: found, .. }) = read else { panic!("{column} = {value}") };
            assert_eq!(found, damage, "{column} = {value}");
            place.sql(&format!("UPDATE proofing_case SET {column} = {back}")).await;
        }
        let read = store.read("whole", move |tx| tx.case(people.practice, id)).await.unwrap();
        assert!(read.is_some_and(|row| row.state == CaseState::Open));
    }

    /// A closed case of before may say until when its window was: it opens nothing.
    async fn a_closed_case_opens_nothing(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let row = open_case(people);
        let id = row.id;
        store.write("case", move |tx| tx.create_case(&row)).await.unwrap();
        place
            .sql("UPDATE proofing_case SET state = 'closed', complete_at = 5, window_until = 9000000000000000000")
            .await;
        let read = store.read("closed", move |tx| tx.case(people.practice, id)).await.unwrap();
        let state = read.expect("the case is there").state;
        assert_eq!(state, CaseState::Closed { completed: Some(Timestamp::from_micros(5)) });
        assert_eq!(state.window(NOW), None);
    }
}

/// The case as it was when it was opened.
fn open_case_of(row: &CaseRow) -> CaseRow {
    CaseRow { state: CaseState::Open, near: None, issue: None, ..row.clone() }
}
