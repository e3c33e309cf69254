//! Users of a listener, and their links.

use std::collections::HashSet;

use hezar_core::Secret;
use hezar_gateway::{LinkSession, MOST_USER_LINKS, User, UserLink};

use super::{resolve::plain, section::Section};

/// Reads the users of a listener. Of two with one name only one could ever log in.
pub(super) fn users(section: &mut Section<'_>) -> Vec<User> {
    let users: Vec<User> = section.sections("users").into_iter().filter_map(user).collect();
    let mut names = HashSet::new();
    for user in users.iter().filter(|user| !names.insert(&*user.name)) {
        section.problem("users", format_args!("two users are named {:?}", user.name));
    }
    check_credentials(section, &users);
    users
}

/// Refuses a key or a UUID that two users have, as a table has that was copied: every client would count as one of both.
fn check_credentials(section: &Section<'_>, users: &[User]) {
    let mut seen = HashSet::new();
    for user in users {
        let key = user.key.as_ref().map(|key| key.to_text().expose().to_owned());
        let uuid = user.uuid.map(|uuid| uuid.expose().to_string());
        for (what, credential) in [("key", key), ("uuid", uuid)] {
            if credential.is_some_and(|credential| !seen.insert(credential)) {
                section.problem("users", format_args!("{:?} has the same {what} as another user", user.name));
            }
        }
    }
}

fn user(mut section: Section<'_>) -> Option<User> {
    let mut user = User::default();
    section.fill_object(&mut user);
    section.fill_object(&mut user.limits);
    section.fill_object(&mut user.rules);
    user.quota = plain(section.section("quota"));
    user.links = links(&mut section);
    let good = !user.name.is_empty() && !user.name.contains(|c: char| c == ':' || c.is_control());
    // Of a name that is too long it is said already.
    let told = section.was_given("name") && user.name.is_empty();
    if !(good || told) {
        section.problem("name", "a user needs a name of 1 to 64 bytes without ':' and control characters");
    }
    let is_password = |password: &Secret| (1..=255).contains(&password.expose().len());
    // A key that cannot be read has been told already.
    let has_key = section.was_given("key") || section.was_given("uuid");
    let may_come_in = match (&user.password, &user.password_hash) {
        (Some(password), None) => is_password(password),
        (None, Some(_)) => true,
        (None, None) => has_key,
        (Some(_), Some(_)) => false,
    };
    if !may_come_in {
        section.problem(
            "password",
            "a user needs a password of 1 to 255 bytes or a password_hash, and not both; or a key, for encrypted listeners alone",
        );
    }
    section.finish();
    (good && may_come_in).then_some(user)
}

/// The further links of a user.
fn links(section: &mut Section<'_>) -> Vec<UserLink> {
    let mut links: Vec<UserLink> = Vec::new();
    for mut table in section.sections("links") {
        if links.len() >= MOST_USER_LINKS {
            table.problem("name", format_args!("a user has at most {MOST_USER_LINKS} links"));
            break;
        }
        let mut link = UserLink::default();
        table.fill_object(&mut link);
        let told = table.was_given("name") && link.name.is_empty();
        let is_taken = links.iter().any(|other| other.name == link.name);
        if !told && (link.name.is_empty() || link.name.contains(char::is_control) || is_taken) {
            table.problem("name", "a link needs a name of its own of 1 to 32 bytes without control characters");
        }
        if link.session != LinkSession::None && link.options.options().session.is_some() {
            table.problem("session", "the options name a session already");
        }
        table.finish();
        links.push(link);
    }
    links
}
