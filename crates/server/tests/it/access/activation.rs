//! A new token signs after its activation over two channels.

use countersign_testkit::both;

use super::Place;
use crate::add;

both! {
    /// A token that was added logs in, and signs only after a code that came another way.
    /// Shows: R-1311.105-c, A6, N-19
    async fn a_new_token_signs_after_its_activation(app: TestApp) {
        let place = Place::of(app).await;
        let mut browser = place.app.signed_in().await;
        let new = place.app.provision().await;
        add(&mut browser, &new, &new.code(place.app.now()), &[]).await.leads_to("/portal/tokens?done=added");
        let id = place.app.token_id(&new.credential).await;
        let here = format!("/portal/tokens/{id}/activate");
        let send = format!("/portal/tokens/{id}/activation-code");
        let api = place.app.api().await;
        place.app.clock.advance(30);
        assert!(!api.check(new.credential.as_str(), &new.code(place.app.now())).await.verified());
        browser.get("/portal/tokens").await.says(200, "sign-in only: not activated for signing");
        browser.get(&here).await.says(200, "Text message or voice call to •••• 0100");
        browser.post(&here, &[("code", "ABCD1234")]).await.says(422, "Request a code first");
        browser.post(&send, &[("channel", "email")]).await.says(422, "no code can be sent");
        browser.post(&send, &[("channel", "phone")]).await.leads_to(&here);
        browser.post(&send, &[("channel", "phone")]).await.says(422, "Wait a minute");
        let code_of = |text: &str| {
            let tail = text.split("Clinic: ").nth(1).unwrap();
            tail.split('\n').next().unwrap().to_owned()
        };
        let sent = place.app.messages().await;
        let text = sent.iter().find(|it| it.kind == "code_text").unwrap().body.clone().unwrap();
        assert_eq!(text.to, "+14025550100");
        let first = code_of(&text.text);
        for _ in 0..5 {
            browser.post(&here, &[("code", "AAAA AAAA")]).await.says(422, "Incorrect code");
        }
        browser.post(&here, &[("code", &first)]).await.says(422, "Too many incorrect entries");
        place.app.clock.advance(60);
        browser.post(&send, &[("channel", "phone")]).await.leads_to(&here);
        let second = {
            let sent = place.app.messages().await;
            code_of(&sent.iter().find(|it| it.kind == "code_text").unwrap().body.as_ref().unwrap().text)
        };
        // Ten minutes later it has run out.
        place.app.clock.advance(600);
        let mut browser = place.app.signed_in().await;
        browser.post(&here, &[("code", &second)]).await.says(422, "has expired");
        // A letter lasts; somebody prints it, once.
        browser.post(&send, &[("channel", "post")]).await.leads_to(&here);
        let mut office = place.app.signed_in_as(&place.office).await;
        let letters = format!("{}/letters", place.base);
        let page = office.get(&letters).await;
        let letter = page.addresses(&format!("{letters}/")).remove(0);
        let page = place.app.confirm(&mut office, &place.office, &letter, &[]).await;
        page.says(200, "12 Elm Street");
        // Two groups of four, on a line of their own.
        let text = page.hook("letter-text").raw_text();
        let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with("Your code"));
        let code = lines.find(|line| line.len() == 9).unwrap_or_else(|| panic!("{text}")).to_owned();
        assert_eq!(office.post(&letter, &[]).await.status, 404, "it opens once");
        place.app.clock.advance(9 * 86_400);
        let mut browser = place.app.signed_in().await;
        let typed = code.to_lowercase();
        browser.post(&here, &[("code", &typed)]).await.leads_to("/portal/tokens?done=activated");
        browser.get("/portal/tokens?done=activated").await.says(200, "activated for signing");
        assert!(api.check(new.credential.as_str(), &new.code(place.app.now())).await.verified());
        browser.post(&here, &[("code", &typed)]).await.says(422, "not active or is already activated");
        assert_eq!(place.notices("token_activated").await, ["+14025550100", "ada@lakeside.example"]);
        assert_eq!(place.notices("token_added").await.len(), 2);
    }
}
