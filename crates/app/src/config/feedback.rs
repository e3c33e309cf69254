//! `[[proxy.feedback]]` and `[[listener.feedback]]`: what answers say of exits.

use hezar_gateway::{FeedbackRule, MOST_FEEDBACK_RULES};

use super::section::Section;

/// Reads the feedback rules of a listener.
pub(super) fn feedback_rules(section: &mut Section<'_>) -> Vec<FeedbackRule> {
    let rules: Vec<_> = section.sections("feedback").into_iter().filter_map(feedback_rule).collect();
    if rules.len() > MOST_FEEDBACK_RULES {
        section.problem("feedback", format_args!("there are at most {MOST_FEEDBACK_RULES} rules"));
    }
    rules
}

fn feedback_rule(mut section: Section<'_>) -> Option<FeedbackRule> {
    let mut rule = FeedbackRule::default();
    section.fill_object(&mut rule);
    let given = ["status", "body"].into_iter().any(|key| section.was_given(key));
    if !given {
        section.problem("status", "a rule needs a status, a body, or both");
    }
    section.finish();
    rule.is_complete().then_some(rule)
}
