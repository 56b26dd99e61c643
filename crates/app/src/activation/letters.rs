//! Letters that wait for the printer page, and the messages of a practice.

use std::convert::Infallible;

use countersign_domain::{MessageId, command::commands, proofing::Channel};
use countersign_store::Message;

use crate::{
    Act, Answer, App, At, Error, Membership,
    command::{Caller, Decision},
};

impl App {
    /// Opens a letter with a code for printing, once: afterwards its text is gone here. Whoever may
    /// print is on record.
    pub async fn print_letter(
        &self,
        act: Act,
        id: MessageId,
        at: At,
    ) -> Result<Answer<Message, Infallible>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::PRINT_LETTER, Caller::Member(Box::new(act)), at, move |cx| {
            let tx = &mut *cx.tx;
            let Some(message) = tx.message(practice, id)? else { return Ok(Decision::NotFound) };
            if message.channel != Channel::Post || message.done.is_some() {
                return Ok(Decision::NotFound);
            }
            // Nobody prints what activates a token of their own, by whatever account.
            let me = tx.acting(by, practice, at.now)?;
            let own = match message.person {
                Some(person) => tx.acting(person, practice, at.now)?.is(&me),
                None => false,
            };
            if own {
                return Ok(Decision::NotFound);
            }
            tx.message_tried(id, "printed", Some(at.now), at.now)?;
            cx.detail(&message.kind);
            cx.about(message.person);
            Ok(Decision::Done(message))
        })
        .await
    }

    /// The letters of a practice that wait for a printer, newest first, and the newest other messages.
    pub async fn messages(&self, membership: &Membership) -> Result<Vec<Message>, Error> {
        let practice = membership.practice.id;
        Ok(self.store.read("messages", move |tx| tx.messages_of(practice, 100)).await?)
    }
}
