//! What can go wrong: one attempt over a node, a request as a whole, and an option in a user name.

mod attempt;
mod codes;
mod option;
mod refusal;
mod replies;
#[cfg(test)]
mod tests;

pub use attempt::AttemptError;
pub use option::OptionError;
pub use refusal::{QuotaPeriod, Refusal};
