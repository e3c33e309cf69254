//! The user who comes in by an encrypted inbound, and the subscription that configures the user's client.

use crate::api::Api;

/// How links name the machine of the inbound.
pub(crate) const LINK_HOST: &str = "localhost";
/// 32 bytes in base64, from which the credentials of the user derive.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SUBSCRIPTION: &str = "subscription-of-the-phone";

/// The line of `[proxy]` for the user.
pub(crate) fn users() -> String {
    format!("users = [{{ name = \"phone\", key = \"{KEY}\" }}]\n")
}

/// The table of the subscription.
pub(crate) fn subscription() -> String {
    format!("[[subscription]]\nname = \"phone\"\ntoken = \"{SUBSCRIPTION}\"\nuser = \"phone\"\ninbounds = true\n")
}

/// What the subscription gives in a form, such as `clash`.
///
/// # Errors
/// When the instance does not answer.
pub(crate) async fn subscribed(api: &Api, target: &str) -> anyhow::Result<String> {
    api.get(&format!("/sub/{SUBSCRIPTION}?target={target}")).await
}
