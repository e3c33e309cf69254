//! Users of a listener.

use hezar_core::Secret;
use hezar_gateway::User;

use super::{resolve::plain, section::Section};

/// Reads the users of a listener. Of two with one name only one could ever log in.
pub(super) fn users(section: &mut Section<'_>) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for user in section.sections("users").into_iter().filter_map(user) {
        if users.iter().any(|other| other.name == user.name) {
            section.problem("users", format_args!("two users are named {:?}", user.name));
        }
        users.push(user);
    }
    users
}

fn user(mut section: Section<'_>) -> Option<User> {
    let mut user = User::default();
    section.fill_object(&mut user);
    section.fill_object(&mut user.limits);
    section.fill_object(&mut user.rules);
    user.quota = plain(section.section("quota"));
    let good = !user.name.is_empty() && !user.name.contains(|c: char| c == ':' || c.is_control());
    // Of a name that is too long it is said already.
    let told = section.was_given("name") && user.name.is_empty();
    if !(good || told) {
        section.problem("name", "a user needs a name of 1 to 64 bytes without ':' and control characters");
    }
    let is_password = |password: &Secret| (1..=255).contains(&password.expose().len());
    let has_password = match (&user.password, &user.password_hash) {
        (Some(password), None) => is_password(password),
        (None, Some(_)) => true,
        _ => false,
    };
    if !has_password {
        section.problem("password", "a user needs a password of 1 to 255 bytes or a password_hash, and not both");
    }
    section.finish();
    (good && has_password).then_some(user)
}
