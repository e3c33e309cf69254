//! What a start of the GATEWAY core reads.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

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
    pub(super) providers: RwLock<HashMap<String, Arc<str>>>,
    pub(super) controller: Controller,
    pub(super) readiness: Readiness,
}

impl GatewaySetup {
    /// The configuration over the listeners of the moment.
    pub(super) fn configuration(&self) -> String {
        render(&self.listeners.read(), &self.options)
    }

    /// Whether the core listens for the first listener. When another program has the port, a core writes that into its log and goes on.
    async fn listens(&self) -> bool {
        let first = self.started_with.lock().iter().find(|listener| listener.is_first()).map(CoreListener::address);
        match first {
            Some(first) => self.controller.mixed_port().await.is_ok_and(|port| port == first.port()),
            None => true,
        }
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
        // While tunnels drain at the end the port is closed.
        if !self.readiness.was_ready() && !self.listens().await {
            return false;
        }
        self.readiness.is_ready(&self.controller, FIRST_PROVIDER).await
    }

    fn level(&self, line: &str) -> tracing::Level {
        mihomo::level(line)
    }
}

#[cfg(test)]
mod tests {
    use hezar_core::Timestamp;
    use hezar_sidecar::ControllerAddress;
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
    };

    use super::*;
    use crate::{
        clash_engine::listeners::listeners,
        config::{Config, CoreStrategy, Layers},
    };

    /// A core that has every provider, and whose mixed listener has this port.
    async fn core(mixed_port: u16) -> Controller {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut stream, mut head) = (BufReader::new(stream), String::new());
                while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap() > 0 {}
                let body = format!("{{\"mixed-port\":{mixed_port},\"proxies\":[]}}");
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Controller::new(ControllerAddress::Tcp { authority, secret: "".into() })
    }

    #[tokio::test]
    async fn a_core_without_its_port_does_not_serve() {
        let config = Config::read("", None, &Layers::default()).unwrap();
        let listeners = listeners(&config, &["127.0.0.1:8000".parse().unwrap()], Timestamp(1_000));
        let folder = tempfile::tempdir().unwrap();
        let home = CoreHome::create(folder.path(), "x").unwrap();
        for (port, serves) in [(0, false), (8000, true)] {
            let setup = GatewaySetup {
                program: "mihomo".into(),
                options: GatewayOptions {
                    strategy: CoreStrategy::RoundRobin,
                    exposed: None,
                    names: ([127, 0, 0, 1], 53).into(),
                },
                listeners: RwLock::new(listeners.clone()),
                started_with: Mutex::new(listeners.clone()),
                providers: RwLock::default(),
                controller: core(port).await,
                readiness: Readiness::default(),
            };
            assert_eq!(setup.is_ready(&home).await, serves, "{port}");
        }
    }
}
