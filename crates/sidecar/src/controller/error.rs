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
