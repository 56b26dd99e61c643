//! Where the messages of the demonstration end: in memory, and on a page of its EHR.

use std::sync::{Arc, Mutex, PoisonError};

use countersign_app::outbound::{Call, Outbound, Outgoing, Parcel, Sending};
use countersign_standins::views::EhrMessage;

use crate::outside::{Gateway, ask, client};

/// The mailbox of the demonstration: what would be sent stays in the memory of this process, where its
/// page shows it. Nothing leaves the machine.
#[derive(Clone)]
pub(crate) struct Drawer {
    kept: Arc<Mutex<Vec<EhrMessage>>>,
    gateway: Gateway,
    client: reqwest::Client,
}

/// Most messages that are kept.
const MOST_KEPT: usize = 200;

impl Drawer {
    /// An empty one. It asks whom it is told to ask, all on this machine, and hands prescriptions to the
    /// made-up pharmacy.
    pub(crate) fn new(gateway: Gateway) -> anyhow::Result<Self> {
        Ok(Self { kept: Arc::default(), gateway, client: client()? })
    }

    fn keep(&self, way: &'static str, message: Outgoing<'_>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(
            0,
            EhrMessage {
                way: way.to_owned(),
                to: message.to.to_owned(),
                subject: message.subject.to_owned(),
                text: message.text.to_owned(),
            },
        );
        kept.truncate(MOST_KEPT);
    }

    /// What was kept, newest first.
    pub(crate) fn all(&self) -> Vec<EhrMessage> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Outbound for Drawer {
    fn email<'a>(&'a self, message: Outgoing<'a>) -> Sending<'a, ()> {
        self.keep("E-mail", message);
        Box::pin(async { Ok(()) })
    }

    fn phone<'a>(&'a self, message: Outgoing<'a>) -> Sending<'a, ()> {
        self.keep("Text message", message);
        Box::pin(async { Ok(()) })
    }

    fn call<'a>(&'a self, call: Call<'a>) -> Sending<'a, Vec<u8>> {
        Box::pin(ask(&self.client, call))
    }

    fn parcel<'a>(&'a self, parcel: Parcel<'a>) -> Sending<'a, Vec<u8>> {
        Box::pin(self.gateway.hand_over(&self.client, parcel))
    }
}
