//! Letters that wait for the printer page, and the messages of a practice.

use countersign_domain::{console::ConsoleChange, proofing::Channel};
use countersign_store::Message;

use crate::{App, At, Error};

impl App {
    /// Opens a letter with a code for printing, once: afterwards its text is gone here. Whoever may
    /// print is on record.
    pub async fn print_letter(
        &self,
        act: crate::Act,
        id: countersign_domain::MessageId,
        at: At,
    ) -> Result<Result<Message, countersign_domain::Refusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.console(act, ConsoleChange::PrintLetter, at, move |tx, event| {
            let Some(message) = tx.message(practice, id)? else { return Ok(None) };
            if message.channel != Channel::Post || message.done.is_some() {
                return Ok(None);
            }
            // Nobody prints what activates a token of their own, by whatever account.
            let me = tx.acting(by, practice, at.now)?;
            let own = match message.person {
                Some(person) => tx.acting(person, practice, at.now)?.is(&me),
                None => false,
            };
            if own {
                return Ok(None);
            }
            tx.message_tried(id, "printed", Some(at.now), at.now)?;
            let mut event = event.detail(&message.kind);
            event.prescriber = message.person;
            Ok(Some((message, event)))
        })
        .await
    }

    /// The letters of a practice that wait for a printer, newest first, and the newest other messages.
    pub async fn messages(&self, membership: &crate::Membership) -> Result<Vec<Message>, Error> {
        let practice = membership.practice.id;
        Ok(self.store.read("messages", move |tx| tx.messages_of(practice, 100)).await?)
    }
}
