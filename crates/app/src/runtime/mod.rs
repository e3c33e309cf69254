//! The parts of an instance that are changed while it runs, and the one way to change them: [`reload::Runtime::apply`].

pub(crate) mod listeners;
pub(crate) mod prober;
pub(crate) mod reload;
