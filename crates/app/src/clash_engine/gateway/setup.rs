//! What a start of the GATEWAY core reads.

use std::{collections::HashMap, path::PathBuf};

use async_trait::async_trait;
use hezar_sidecar::{Controller, CoreCommand, CoreError, CoreHome, CoreSetup};
use parking_lot::{Mutex, RwLock};

use super::config::{GatewayOptions, render};
use crate::clash_engine::{
    listeners::{CoreListener, FIRST_PROVIDER},
    mihomo::{self, Readiness, SOCKET, provider_file},
};

/// What a start of the core reads.
pub(super) struct GatewaySetup {
    pub(super) program: PathBuf,
    pub(super) options: GatewayOptions,
    pub(super) listeners: RwLock<Vec<CoreListener>>,
    /// Those that the core read when it was started last.
    pub(super) started_with: Mutex<Vec<CoreListener>>,
    /// The texts of the providers, by their names.
    pub(super) providers: RwLock<HashMap<String, String>>,
    pub(super) controller: Controller,
    pub(super) readiness: Readiness,
}

impl GatewaySetup {
    /// The configuration over the listeners of the moment.
    pub(super) fn configuration(&self) -> String {
        render(&self.listeners.read(), &self.options)
    }
}

#[async_trait]
impl CoreSetup for GatewaySetup {
    fn name(&self) -> &'static str {
        "clash-gateway"
    }

    async fn prepare(&self, home: &CoreHome) -> Result<CoreCommand, CoreError> {
        home.remove(SOCKET)?;
        self.readiness.reset();
        for (name, text) in &*self.providers.read() {
            home.write(&provider_file(name), text.as_bytes())?;
        }
        *self.started_with.lock() = self.listeners.read().clone();
        home.write(mihomo::CONFIGURATION, self.configuration().as_bytes())?;
        Ok(mihomo::command(self.program.clone(), home))
    }

    async fn is_ready(&self, _: &CoreHome) -> bool {
        self.readiness.is_ready(&self.controller, FIRST_PROVIDER).await
    }

    fn level(&self, line: &str) -> tracing::Level {
        mihomo::level(line)
    }
}
