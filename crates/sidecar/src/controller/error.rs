//! What can go wrong when a core is asked.

use std::io;

use http::StatusCode;
use thiserror::Error;

/// Why a core has not done what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// Its control interface could not be reached.
    #[error("the control interface of the core cannot be reached: {0}")]
    Connect(#[source] io::Error),
    /// There was no answer in time.
    #[error("the core did not answer in time")]
    Timeout,
    /// The exchange failed.
    #[error("the exchange with the core failed: {0}")]
    Exchange(#[from] hyper::Error),
    /// The question cannot be written as HTTP.
    #[error("the core cannot be asked this: {0}")]
    Request(#[from] http::Error),
    /// The answer is longer than is read.
    #[error("the core's answer is too long, or broke off")]
    Body,
    /// The answer has another shape.
    #[error("the core's answer has another shape: {0}")]
    Shape(#[from] serde_json::Error),
    /// The core does not do it.
    #[error("{message} (status {})", status.as_u16())]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it says.
        message: String,
    },
}

impl ControllerError {
    /// What the core says against it, when it has refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused { message, .. } => Some(message),
            _ => None,
        }
    }
}

/// What a core says when it refuses a list because of one node: `proxy 61: …`, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedProxy {
    /// Which node of the list it is.
    pub index: usize,
    /// Why it is refused.
    pub reason: String,
}

impl RefusedProxy {
    /// Finds the node in the message of a refusal; `None` when the message is about something else.
    #[must_use]
    pub fn find(message: &str) -> Option<Self> {
        let (_, rest) = message.split_once("proxy ")?;
        let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let (number, rest) = rest.split_at_checked(digits)?;
        let reason = rest.trim_start().trim_start_matches("error").trim_start_matches(':').trim();
        Some(Self { index: number.parse().ok()?, reason: reason.to_owned() })
    }
}
